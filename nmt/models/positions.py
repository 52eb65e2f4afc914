"""How a Transformer knows the order of its pieces: absolute positions here, relative ones in `relative.py`.

Positions i and j are integer tensors counted from 0. D width of the stream, H heads, d_k = D / H.
"""

import math

import torch
from torch import Tensor, nn

from nmt.models.multihead import SelfAttention
from nmt.models.seq2seq import Limit


def sinusoids(positions: Tensor, dim: int) -> Tensor:
    """PE(pos, 2i) = sin(pos / 10000^(2i/dim)), PE(pos, 2i+1) = cos(pos / 10000^(2i/dim)) (Vaswani et al. 2017, section 3.5).

    Args:
        positions: (…, T), counted from 0.
        dim: even width.

    Returns:
        (…, T, dim) in the default float type.
    """
    rates = torch.exp(torch.arange(0, dim, 2, device=positions.device) * (-math.log(10000.0) / dim))
    angles = positions.unsqueeze(-1) * rates  # (…, T, dim / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


class Positions(nn.Module):
    """The positions of one stack of layers: what they add to the embeddings, and the self-attention that knows them.

    Here neither does anything; a kind of positions says one of the two, or both.

    Args:
        dim: D.
        heads: H.
    """

    longest: int | None = None
    """Pieces of the longest sequence that has positions; None where any has."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.dim = dim
        self.heads = heads

    def forward(self, x: Tensor, i: Tensor) -> Tensor:
        """Embeddings (…, T, D) with what positions i (…, T) add to them."""
        return x

    def self_attention(self, key_value_heads: int | None) -> SelfAttention:
        """Self-attention for one more layer, with parameters of its own."""
        return SelfAttention(self.dim, self.heads, key_value_heads)

    def limit(self) -> Limit | None:
        """Pieces of the longest sequence that has positions, and the key that says so; None where any has."""
        return None if self.longest is None else Limit("model.positions.length", self.longest)

    def check(self, length: int) -> None:
        """Raise `ValueError` if there are no positions for as many pieces."""
        if self.longest is not None and length > self.longest:
            raise ValueError(
                f"model.positions.length ({self.longest}) is less than the {length} pieces of a sequence: set a larger "
                "model.positions.length, or cut sentences with data.max_length, decode.max_source_length and decode.max_length"
            )


class Sinusoidal(Positions):
    """x_i + PE(i), the sines and cosines of `sinusoids`: no parameters, any length (Vaswani et al. 2017, section 3.5)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__(dim, heads)
        check_even(dim)

    def forward(self, x: Tensor, i: Tensor) -> Tensor:
        return x + sinusoids(i, self.dim)


class Learned(Positions):
    """x_i + P_i, a learned vector for each position (Gehring et al. 2017, section 3.1; Vaswani et al. 2017, table 3 E).

    Args:
        dim: D.
        heads: H.
        length: rows of P; a longer sequence is an error.
    """

    def __init__(self, dim: int, heads: int, *, length: int) -> None:
        super().__init__(dim, heads)
        if length < 1:
            raise ValueError(f"model.positions.length must be at least 1, but is {length}")
        self.longest = length
        self.P = nn.Embedding(length, dim)
        nn.init.normal_(self.P.weight, std=dim**-0.5)

    def forward(self, x: Tensor, i: Tensor) -> Tensor:
        total: Tensor = x + self.P(i)
        return total


class Rotary(Positions):
    """Queries and keys are turned by angles that grow with their position, so that scores depend on distances alone.

    The pair (x_{2m-1}, x_{2m}) of a head at position i is turned by i θ_m, θ_m = base^(-2(m-1)/d_k), m = 1 … d_k / 2:
    q_iᵀ k_j becomes (R_i q_i)ᵀ (R_j k_j) = q_iᵀ R_{j-i} k_j (Su et al. 2021, equations 15, 16 and 34). In self-attention only.

    Args:
        dim: D.
        heads: H; d_k must be even.
        base: 10000 in the paper.
    """

    def __init__(self, dim: int, heads: int, *, base: float) -> None:
        super().__init__(dim, heads)
        if dim // heads % 2:
            raise ValueError(
                f"model/positions=rotary turns pairs: model.dim / model.heads ({dim} / {heads} = {dim // heads}) must be even"
            )
        if not 1 < base < math.inf:
            raise ValueError(f"model.positions.base must be more than 1, but is {base}")
        self.base = base

    def self_attention(self, key_value_heads: int | None) -> SelfAttention:
        return RotaryAttention(self.dim, self.heads, key_value_heads, base=self.base)


class RotaryAttention(SelfAttention):
    """Self-attention with `Rotary` positions."""

    def __init__(self, dim: int, heads: int, key_value_heads: int | None, *, base: float) -> None:
        super().__init__(dim, heads, key_value_heads)
        self.base = base

    def turn(self, x: Tensor, i: Tensor) -> Tensor:
        rates = torch.exp(torch.arange(0, self.head_dim, 2, device=i.device) * (-math.log(self.base) / self.head_dim))
        angles = i.unsqueeze(-1) * rates  # (…, T, d_k / 2)
        cos, sin = angles.cos(), angles.sin()
        odd, even = x.unflatten(-1, (-1, 2)).unbind(-1)  # (…, H, T, d_k / 2): the pairs, counted from 1
        return torch.stack([odd * cos - even * sin, odd * sin + even * cos], dim=-1).flatten(-2).to(x.dtype)


def check_even(dim: int) -> None:
    """Raise `ValueError` for a width that sines and cosines cannot share."""
    if dim % 2:
        raise ValueError(f"model.dim ({dim}) must be even: half of it are sines, half cosines")
