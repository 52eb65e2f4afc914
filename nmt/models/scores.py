"""Scores: how well each source position fits a query of a recurrent decoder.

A score has two verbs. `keys` is what it needs of the encoder's states alone, computed once per sentence; calling it compares
K queries of a sentence with those keys. B sentences, K queries, S positions, A width of the comparison, H heads.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from nmt.models.deferred import RecurrentLinear
from nmt.models.linear import Linear


def tanh_times(a: Tensor, b: Tensor, v: Tensor) -> Tensor:
    """tanh(a + b) v of tensors that broadcast, (…, A) each, and v (A,) or (…, A, 1).

    As tanh x = 2 σ(2x) - 1, it is 2 σ(2a + 2b) v - Σ v: on a CPU torch's σ is eight times as fast as its tanh.
    """
    return 2 * (torch.sigmoid(2 * a + 2 * b) @ v) - (v.sum(-2, keepdim=True) if v.dim() > 1 else v.sum())


class Score(nn.Module, ABC):
    """How well a query fits each position."""

    def keys(self, states: Tensor) -> Tensor:
        """What the score needs of the encoder states (B, S, key_dim) alone, (B, S, …)."""
        return states

    @abstractmethod
    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """Scores (B, K, S) of queries (B, K, query_dim)."""


class Additive(Score):
    """e_ij = v_aᵀ tanh(W_a s_{i-1} + U_a h_j) (Bahdanau et al. 2015, section A.1.2).

    Args:
        query_dim: width of the decoder state s.
        key_dim: width of the encoder states h.
        dim: width of the comparison (the paper's n'); null takes that of the decoder state.
    """

    def __init__(self, query_dim: int, key_dim: int, *, dim: int | None) -> None:
        super().__init__()
        dim = _width(dim, query_dim)
        self.W_a = RecurrentLinear(query_dim, dim, bias=False)
        self.U_a = Linear(key_dim, dim, bias=False)
        self.v_a = nn.Parameter(torch.empty(dim).uniform_(-1, 1) / math.sqrt(dim))

    def keys(self, states: Tensor) -> Tensor:
        keys: Tensor = self.U_a(states)
        return keys

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return tanh_times(self.W_a(query).unsqueeze(2), keys.unsqueeze(1), self.v_a)  # (B, K, S)


class Concat(Score):
    """score(h_t, h̄_s) = v_aᵀ tanh(W_a [h_t; h̄_s]) (Luong et al. 2015, section 3.1, "concat").

    W_a = [W_h W_s], so that W_s h̄_s is computed once per sentence: the same function as `Additive`.

    Args:
        query_dim: width of the decoder state h_t.
        key_dim: width of the encoder states h̄_s.
        dim: rows of W_a; null takes the width of the decoder state.
    """

    def __init__(self, query_dim: int, key_dim: int, *, dim: int | None) -> None:
        super().__init__()
        dim = _width(dim, query_dim)
        self.W_h = RecurrentLinear(query_dim, dim, bias=False)
        self.W_s = Linear(key_dim, dim, bias=False)
        self.v_a = nn.Parameter(torch.empty(dim).uniform_(-1, 1) / math.sqrt(dim))

    def keys(self, states: Tensor) -> Tensor:
        keys: Tensor = self.W_s(states)
        return keys

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return tanh_times(self.W_h(query).unsqueeze(2), keys.unsqueeze(1), self.v_a)  # (B, K, S)


class Dot(Score):
    """score(h_t, h̄_s) = h_tᵀ h̄_s (Luong et al. 2015, section 3.1, "dot"); both must have the same width."""

    def __init__(self, query_dim: int, key_dim: int) -> None:
        super().__init__()
        if query_dim != key_dim:
            raise ValueError(
                f"the dot score of model/attention needs encoder states ({key_dim}) as wide as the decoder's ({query_dim}): "
                "set model.encoder.hidden_dim=null, or take the general score, which maps one onto the other"
            )

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.transpose(1, 2)  # (B, K, S)


class General(Score):
    """score(h_t, h̄_s) = h_tᵀ W_a h̄_s (Luong et al. 2015, section 3.1, "general")."""

    def __init__(self, query_dim: int, key_dim: int) -> None:
        super().__init__()
        self.W_a = Linear(key_dim, query_dim, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        keys: Tensor = self.W_a(states)
        return keys

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.transpose(1, 2)  # (B, K, S)


class Location(Score):
    """a_t = softmax(W_a h_t) (Luong et al. 2015, equation 8, "location"): positions are scored by h_t alone.

    W_a has a row per position, of which short sentences use the first, as in the paper. There, what is beyond the last row
    gets no weight; here it is an error.

    Args:
        query_dim: width of the decoder state h_t.
        key_dim: width of the encoder states, not used.
        length: rows of W_a, the most source pieces with EOS.
    """

    def __init__(self, query_dim: int, key_dim: int, *, length: int) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(f"model.attention.score.length must be at least 1, but is {length}")
        self.length = length
        self.W_a = RecurrentLinear(query_dim, length, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        if states.size(1) > self.length:
            raise ValueError(
                f"a source has {states.size(1)} pieces, but the location score has a table of "
                f"model.attention.score.length={self.length}: train with a longer one, or lower decode.max_source_length"
            )
        return states[..., :0]  # only their number counts

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        scores: Tensor = self.W_a(query)  # (B, K, length)
        return scores[..., : keys.size(1)]


class HeadScore(nn.Module, ABC):
    """The scores of H heads: `keys` as a `Score` has, and `forward(query, keys) -> (B, H, K, S)`.

    Args:
        query_dim: width of the decoder state.
        key_dim: width of the encoder states.
        heads: H.
        dim: width A of the comparison, all heads together; null takes that of the decoder state.
    """

    def __init__(self, query_dim: int, key_dim: int, heads: int, *, dim: int | None) -> None:
        super().__init__()
        dim = _width(dim, query_dim)
        if dim % heads:
            raise ValueError(f"model.attention.heads ({heads}) must divide the width of the comparison ({dim})")
        self.heads = heads
        self.W_q = RecurrentLinear(query_dim, dim, bias=False)
        self.W_k = Linear(key_dim, dim, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        keys: Tensor = self.W_k(states)
        return self.split(keys)

    def split(self, x: Tensor) -> Tensor:
        """(B, T, A) to (B, H, T, A / H)."""
        heads: Tensor = x.unflatten(-1, (self.heads, -1))
        return heads.transpose(1, 2)

    @abstractmethod
    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """Scores (B, H, K, S) of queries (B, K, query_dim)."""


class DotHeads(HeadScore):
    """(W_i^Q h_t)ᵀ (W_i^K h̄_s) / √d_k for head i (Vaswani et al. 2017, equation 1), d_k = A / H."""

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        q = self.split(self.W_q(query))
        return q @ keys.transpose(2, 3) / math.sqrt(keys.size(3))


class AdditiveHeads(HeadScore):
    """v_iᵀ tanh(W_i^Q h_t + W_i^K h̄_s) for head i: `Additive` with a v_a and a share of its rows for every head."""

    def __init__(self, query_dim: int, key_dim: int, heads: int, *, dim: int | None) -> None:
        super().__init__(query_dim, key_dim, heads, dim=dim)
        width = self.W_q.out_features // heads
        self.v = nn.Parameter(torch.empty(heads, 1, width, 1).uniform_(-1, 1) / math.sqrt(width))

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        q = self.split(self.W_q(query)).unsqueeze(3)  # (B, H, K, 1, A / H)
        return tanh_times(q, keys.unsqueeze(2), self.v).squeeze(-1)  # (B, H, K, S)


def _width(dim: int | None, query_dim: int) -> int:
    dim = query_dim if dim is None else dim
    if dim < 1:
        raise ValueError(f"model.attention.score.dim must be at least 1, or null for the decoder's width, but is {dim}")
    return dim
