"""Relative positions: self-attention that knows how far apart two pieces are, not where they are.

Nothing is added to the embeddings. Queries i = 1 … T, keys j = 1 … S, H heads of width d_k; every layer has parameters
of its own. Scores of distances are computed once per distance and then gathered to pairs (i, j): no (T, S, d_k) tensor.
"""

import math

import torch
from torch import Tensor, nn

from nmt.models.linear import Linear
from nmt.models.multihead import SelfAttention
from nmt.models.positions import Positions, check_even, sinusoids


class Shaw(Positions):
    """A learned vector for each distance up to a maximum, added to keys and to values.

    e_ij = q_iᵀ (k_j + a^K_ij) / √d_k and z_i = Σ_j α_ij (v_j + a^V_ij), with a_ij = w_clip(j-i, k) and
    clip(x, k) = max(-k, min(k, x)) (Shaw et al. 2018, equations 3 and 4, section 3.2). Heads share w^K and w^V, layers
    do not (section 3.3).

    Args:
        dim: D.
        heads: H.
        max_distance: k.
    """

    def __init__(self, dim: int, heads: int, *, max_distance: int) -> None:
        super().__init__(dim, heads)
        if max_distance < 1:
            raise ValueError(f"model.positions.max_distance must be at least 1, but is {max_distance}")
        self.max_distance = max_distance

    def self_attention(self, key_value_heads: int | None) -> SelfAttention:
        return ShawAttention(self.dim, self.heads, key_value_heads, max_distance=self.max_distance)


class ShawAttention(SelfAttention):
    """Self-attention with the positions of `Shaw`."""

    def __init__(self, dim: int, heads: int, key_value_heads: int | None, *, max_distance: int) -> None:
        super().__init__(dim, heads, key_value_heads)
        self.max_distance = max_distance
        self.w_K = nn.Parameter(torch.empty(2 * max_distance + 1, self.head_dim))
        self.w_V = nn.Parameter(torch.empty(2 * max_distance + 1, self.head_dim))
        nn.init.xavier_uniform_(self.w_K)
        nn.init.xavier_uniform_(self.w_V)

    def bias(self, queries: Tensor, i: Tensor, j: Tensor) -> Tensor:
        scores = queries @ self.w_K.t() / math.sqrt(self.head_dim)  # (…, H, T, 2k + 1)
        return scores.gather(-1, self._rows(i, j).expand(*scores.shape[:-1], -1))

    def moved(self, weights: Tensor, i: Tensor, j: Tensor) -> Tensor:
        rows = self._rows(i, j).expand_as(weights)
        sums = weights.new_zeros(*weights.shape[:-1], len(self.w_V)).scatter_add(-1, rows, weights)  # (…, H, T, 2k + 1)
        return sums @ self.w_V

    def _rows(self, i: Tensor, j: Tensor) -> Tensor:
        """The row of w of each pair, (…, T, S)."""
        distances = j.unsqueeze(-2) - i.unsqueeze(-1)
        return distances.clamp(-self.max_distance, self.max_distance) + self.max_distance


class TransformerXL(Positions):
    """Scores of content and of distance, each with a query of its own for what matters wherever the query is.

    A_ij = (q_i + u)ᵀ k_j + (q_i + v)ᵀ W_{k,R} R_{i-j}, divided by √d_k like all scores; R_{i-j} is the sinusoid of the
    distance (Dai et al. 2019, section 3.3). u, v and W_{k,R} belong to a head and a layer; the paper writes u and v
    without a layer, and its code has both. There is no recurrence over segments: a sentence is one segment.

    Args:
        dim: D, even.
        heads: H.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__(dim, heads)
        check_even(dim)

    def self_attention(self, key_value_heads: int | None) -> SelfAttention:
        return TransformerXLAttention(self.dim, self.heads, key_value_heads)


class TransformerXLAttention(SelfAttention):
    """Self-attention with the positions of `TransformerXL`."""

    def __init__(self, dim: int, heads: int, key_value_heads: int | None) -> None:
        super().__init__(dim, heads, key_value_heads)
        self.W_kR = Linear(dim, dim, bias=False)
        self.u = nn.Parameter(torch.zeros(heads, 1, self.head_dim))
        self.v = nn.Parameter(torch.zeros(heads, 1, self.head_dim))
        nn.init.xavier_uniform_(self.W_kR.weight)

    def content(self, queries: Tensor) -> Tensor:
        return queries + self.u

    def bias(self, queries: Tensor, i: Tensor, j: Tensor) -> Tensor:
        length = j.size(-1)  # no two positions are farther apart
        distances = torch.arange(1 - length, length, device=j.device)
        R = self.split(self.W_kR(sinusoids(distances, self.W_kR.in_features)))  # (H, 2S - 1, d_k)
        scores = torch.einsum("...htd,hrd->...htr", queries + self.v, R) / math.sqrt(self.head_dim)
        pairs = i.unsqueeze(-1) - j.unsqueeze(-2) + length - 1  # (…, T, S)
        return scores.gather(-1, pairs.expand(*scores.shape[:-1], -1))
