"""Attention: how well each source position fits a query, and the one function that turns scores into weights.

A score has two verbs. `keys` is what it needs of the memory alone, computed once per sentence; calling it compares
K queries of a sentence with those keys. B sentences, K queries, S positions, A width of the comparison.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.models.seq2seq import Memory

Listener = Callable[[nn.Module, Tensor], None]
"""Called with the module that attended and its weights (…, K, S)."""

_listener: ContextVar[Listener | None] = ContextVar("attention listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """While it is open, `listener` receives the weights of every attention."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def attend(owner: nn.Module, scores: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Average the values with the softmax of the scores: c_i = Σ_j α_ij h_j, α_i = softmax(e_i).

    Args:
        owner: the module that attends, named to whoever listens.
        scores: e, (…, K, S).
        values: h, (…, S, D).
        mask: which positions may be attended, broadcastable to (…, K, S).

    Returns:
        The contexts c, (…, K, D).
    """
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
    listener = _listener.get()
    if listener is not None:
        listener(owner, weights)
    return weights @ values


class Score(nn.Module):
    """How well a query fits each position: `forward(query (B, K, query_dim), keys) -> (B, K, S)`."""

    def keys(self, states: Tensor) -> Tensor:
        """What the score needs of the encoder states (B, S, key_dim) alone."""
        return states


class Additive(Score):
    """e_ij = v_aᵀ tanh(W_a s_{i-1} + U_a h_j) (Bahdanau et al. 2015, section A.1.2).

    Args:
        query_dim: width of the decoder state s.
        key_dim: width of the encoder states h.
        dim: width of the comparison (the paper's n'); null takes that of the decoder state.
    """

    def __init__(self, query_dim: int, key_dim: int, *, dim: int | None) -> None:
        super().__init__()
        dim = query_dim if dim is None else dim
        if dim < 1:
            raise ValueError(f"model.attention.dim must be at least 1, or null for the decoder's width, but is {dim}")
        self.W_a = nn.Linear(query_dim, dim, bias=False)
        self.U_a = nn.Linear(key_dim, dim, bias=False)
        self.v_a = nn.Parameter(torch.empty(dim).uniform_(-1, 1) / math.sqrt(dim))

    def keys(self, states: Tensor) -> Tensor:
        keys: Tensor = self.U_a(states)
        return keys

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        sums = self.W_a(query).unsqueeze(2) + keys.unsqueeze(1)  # (B, K, S, A)
        return torch.tanh(sums) @ self.v_a  # (B, K, S)


class Dot(Score):
    """score(h_t, h̄_s) = h_tᵀ h̄_s (Luong et al. 2015, equation 8); both must have the same width."""

    def __init__(self, query_dim: int, key_dim: int) -> None:
        super().__init__()
        if query_dim != key_dim:
            raise ValueError(
                f"model/attention=dot needs encoder states ({key_dim}) as wide as the decoder's ({query_dim}): "
                "take model/attention=general, which maps one onto the other"
            )

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.transpose(1, 2)  # (B, K, S)


class General(Score):
    """score(h_t, h̄_s) = h_tᵀ W_a h̄_s (Luong et al. 2015, equation 8)."""

    def __init__(self, query_dim: int, key_dim: int) -> None:
        super().__init__()
        self.W_a = nn.Linear(key_dim, query_dim, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        keys: Tensor = self.W_a(states)
        return keys

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.transpose(1, 2)  # (B, K, S)


class Attention(nn.Module):
    """Attention of a recurrent decoder over the states of its encoder, with any score."""

    def __init__(self, score: Score) -> None:
        super().__init__()
        self.score = score

    def memory(self, states: Tensor, mask: Tensor) -> Memory:
        """The memory of encoder states (B, S, key_dim) with their mask (B, S)."""
        return {"mask": mask, "states": states, "keys": self.score.keys(states)}

    def forward(self, query: Tensor, memory: Memory) -> Tensor:
        """The contexts (B, K, key_dim) of K queries per sentence (B, K, query_dim)."""
        scores = self.score(query, memory["keys"])  # (B, K, S)
        return attend(self, scores, memory["states"], memory["mask"].unsqueeze(1))


class MultiHead(nn.Module):
    """MultiHead(Q, K, V) = Concat(head_1, …, head_H) W^O, head_i = softmax(QW_i^Q (KW_i^K)ᵀ / √d_k) VW_i^V.

    Vaswani et al. 2017, section 3.2.2. The three projections are one matrix, W^Q above W^K above W^V, so that
    self-attention is one product. Heads are split as (…, H, T, d_k) with d_k = dim / heads.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.W_qkv = nn.Linear(dim, 3 * dim)
        self.W_o = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.W_qkv.weight, gain=1 / math.sqrt(2))
        nn.init.xavier_uniform_(self.W_o.weight)
        nn.init.zeros_(self.W_qkv.bias)
        nn.init.zeros_(self.W_o.bias)

    def split(self, x: Tensor) -> Tensor:
        """(…, T, D) to (…, H, T, d_k)."""
        heads: Tensor = x.unflatten(-1, (self.heads, -1))
        return heads.transpose(-2, -3)

    def queries(self, x: Tensor) -> Tensor:
        """QW^Q of (…, T, D) as (…, H, T, d_k)."""
        dim = x.size(-1)
        return self.split(F.linear(x, self.W_qkv.weight[:dim], self.W_qkv.bias[:dim]))

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """KW^K and VW^V of (…, S, D), each (…, H, S, d_k)."""
        dim = x.size(-1)
        keys, values = F.linear(x, self.W_qkv.weight[dim:], self.W_qkv.bias[dim:]).chunk(2, dim=-1)
        return self.split(keys), self.split(values)

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All three of (…, T, D) from one product."""
        queries, keys, values = self.W_qkv(x).chunk(3, dim=-1)
        return self.split(queries), self.split(keys), self.split(values)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Contexts (…, T, D) of queries (…, H, T, d_k) over keys and values (…, H, S, d_k).

        `mask` is broadcastable to (…, H, T, S); without one, everything may be attended.
        """
        if _listener.get() is None:
            heads = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        else:
            scores = queries @ keys.transpose(-1, -2) / math.sqrt(queries.size(-1))  # (…, H, T, S)
            heads = attend(self, scores, values, torch.ones_like(scores, dtype=torch.bool) if mask is None else mask)
        return self._merge(heads)

    def causal(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The same where position t may attend to 1 … t, with T = S."""
        if _listener.get() is None:
            return self._merge(F.scaled_dot_product_attention(queries, keys, values, is_causal=True))
        length = queries.size(-2)
        return self(queries, keys, values, torch.ones(length, length, dtype=torch.bool, device=queries.device).tril())  # type: ignore[no-any-return]

    def _merge(self, heads: Tensor) -> Tensor:
        """Concat(head_1, …, head_H) W^O of (…, H, T, d_k)."""
        contexts: Tensor = self.W_o(heads.transpose(-2, -3).flatten(-2))
        return contexts
