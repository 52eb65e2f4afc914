"""Recurrent units. What does not depend on the recurrence, the product with the inputs, is done by the caller in bulk."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GRUCell(nn.Module):
    """The gated hidden unit of Cho et al. 2014 as in Bahdanau et al. 2015, section A.1.1.

    s_i = (1 - z_i) ∘ s_{i-1} + z_i ∘ s̃_i,  s̃_i = tanh(x_i + U [r_i ∘ s_{i-1}]),
    z_i = σ(x_i^z + U_z s_{i-1}),  r_i = σ(x_i^r + U_r s_{i-1}).

    The reset gate acts before the product with U, as printed; `torch.nn.GRU` applies it after.
    x = [x^z, x^r, x] is what enters from outside: W E y_{i-1} + C c_i and biases.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.U_gates = nn.Parameter(torch.empty(2 * dim, dim))  # U_z above U_r
        self.U = nn.Parameter(torch.empty(dim, dim))
        for weight in (self.U_gates[:dim], self.U_gates[dim:], self.U):
            nn.init.orthogonal_(weight)

    def forward(self, inputs: Tensor, s: Tensor) -> Tensor:
        """The next state (…, n) from what enters, (…, 3n), and the state (…, n)."""
        dim = s.size(-1)
        x_gates, x = inputs.split([2 * dim, dim], dim=-1)
        z, r = torch.sigmoid(x_gates + F.linear(s, self.U_gates)).chunk(2, dim=-1)
        candidate = torch.tanh(x + F.linear(r * s, self.U))
        return s + z * (candidate - s)


class LSTMCell(nn.Module):
    """The LSTM unit without peepholes that Sutskever et al. 2014 and Luong et al. 2015 stack (Zaremba et al. 2014).

    [i, f, o] = σ(W x + U h + b), g = tanh(W x + U h + b), c' = f ∘ c + i ∘ g, h' = o ∘ tanh(c').

    The rows of the weights are ordered i, f, g, o as in `torch.nn.LSTM`; W and U are one matrix.
    """

    def __init__(self, input_dim: int, dim: int) -> None:
        super().__init__()
        self.WU = nn.Parameter(torch.empty(4 * dim, input_dim + dim).uniform_(-1, 1) / math.sqrt(dim))
        self.b = nn.Parameter(torch.zeros(4 * dim))

    def forward(self, x: Tensor, h: Tensor, c: Tensor, bulk: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The next h and c (…, n) from the input (…, input_dim); `bulk` (…, 4n) is a share of W x computed before."""
        sums = F.linear(torch.cat([x, h], dim=-1), self.WU, self.b)
        if bulk is not None:
            sums = sums + bulk
        i, f, g, o = sums.chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
