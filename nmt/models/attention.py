"""Attention: how well each source position fits a query, and the one function that turns scores into weights.

A score has two verbs. `keys` is what it needs of the memory alone, computed once per sentence; calling it compares
K queries of a sentence with those keys. B sentences, K queries, S positions, A width of the comparison.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
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


def is_heard() -> bool:
    """Whether someone listens, so that weights must exist."""
    return _listener.get() is not None


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
