"""Recurrent units behind one call, so that a model can take any of them.

A unit of n states keeps `parts` vectors of n from step to step, side by side in one tensor, its output h first. Its W x + b
may be computed in bulk before the recurrence, which is why `forward` takes that and not x.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.models.deferred import RecurrentLinear, one_gradient_product
from nmt.models.dropout import dropout

SHUT = 1e3
"""A sum at which a gate is shut, or with the other sign open, to the last bit."""

ALIGNMENT = 16
"""Widths of which the library is fast are multiples of this."""


class Cell(nn.Module, ABC):
    """A recurrent unit.

    Args:
        input_dim: width of x.
        dim: width n of h.

    Attributes:
        gates: vectors of n that enter it.
        summaries: how many of these do not come from x.
        parts: vectors of n that it keeps.
    """

    gates: ClassVar[int]
    summaries: ClassVar[int] = 0
    parts: ClassVar[int]

    def __init__(self, input_dim: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.W = RecurrentLinear(input_dim, (self.gates - self.summaries) * dim)

    @abstractmethod
    def forward(self, inputs: Tensor, state: Tensor) -> Tensor:
        """The next state (…, parts · n) from what enters, (…, gates · n), and the state."""

    def hidden(self, state: Tensor) -> Tensor:
        """h (…, n) of a state."""
        return state[..., : self.dim]

    def read(self, x: Tensor, state: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """All steps over x (B, S, input_dim), from a state (B, parts · n).

        Args:
            x: the inputs.
            state: where to begin.
            mask: which positions are real (B, S), padding on one side; at others the state does not change.

        Returns:
            h of every position (B, S, n), of which those at padding mean nothing, and the last state.
        """
        return self.recur(self.W(x), state, mask)

    def recur(self, inputs: Tensor, state: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`read` for what enters (B, S, gates · n), step by step."""
        states = []
        with one_gradient_product():
            for position, entering in enumerate(inputs.unbind(1)):
                following = self(entering, state)
                state = following if mask is None else torch.where(mask[:, position, None], following, state)
                states.append(self.hidden(state))
        return torch.stack(states, dim=1), state


class GRUCell(Cell):
    """The gated hidden unit of Cho et al. 2014 as in Bahdanau et al. 2015, section A.1.1.

    s' = (1 - z) ∘ s + z ∘ s̃,  s̃ = tanh(W x + U [r ∘ s] + b),
    z = σ(W_z x + U_z s + b_z),  r = σ(W_r x + U_r s + b_r).

    The reset gate acts before the product with U, as printed; `torch.nn.GRU` applies it after.
    The rows of W are those of W_z, W_r and W, in this order.
    """

    gates = 3
    parts = 1

    def __init__(self, input_dim: int, dim: int) -> None:
        super().__init__(input_dim, dim)
        self.U_zr = RecurrentLinear(dim, 2 * dim, bias=False)  # U_z above U_r
        self.U = RecurrentLinear(dim, dim, bias=False)
        for weight in (self.U_zr.weight[:dim], self.U_zr.weight[dim:], self.U.weight):
            nn.init.orthogonal_(weight)

    def forward(self, inputs: Tensor, state: Tensor) -> Tensor:
        x_zr, x = inputs.split([2 * self.dim, self.dim], dim=-1)
        z, r = torch.sigmoid(x_zr + self.U_zr(state)).chunk(2, dim=-1)
        candidate = torch.tanh(x + self.U(r * state))
        return state + z * (candidate - state)


class LSTMCell(Cell):
    """The LSTM unit without peepholes that Luong et al. 2015 stack (Zaremba et al. 2014).

    [i, f, o] = σ(W x + U h + b), g = tanh(W x + U h + b), c' = f ∘ c + i ∘ g, h' = o ∘ tanh(c').

    The rows of W and U are ordered i, f, g, o as in `torch.nn.LSTM`; the state is [h; c].
    """

    gates = 4
    parts = 2

    def __init__(self, input_dim: int, dim: int) -> None:
        super().__init__(input_dim, dim)
        self.U = RecurrentLinear(dim, 4 * dim, bias=False)
        for weight in (self.W.weight, self.U.weight):
            nn.init.uniform_(weight, -1 / math.sqrt(dim), 1 / math.sqrt(dim))
        nn.init.zeros_(self.W.bias)

    def forward(self, inputs: Tensor, state: Tensor) -> Tensor:
        h, c = state.chunk(2, dim=-1)
        i, f, g, o = (inputs + self.U(h)).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.cat([torch.sigmoid(o) * torch.tanh(c), c], dim=-1)

    def read(self, x: Tensor, state: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As every unit's, in one library call.

        One extra input that is 1 at padding shuts the input gate and opens the forget gate there, so that c stays: as if
        the sentences were packed, in half the time. (It is ALIGNMENT wide: of odd widths the library is slow.) h is not held:
        where padding comes first, the state must begin at zero, as an encoder's does.
        """
        W, U, b = self.W.weight, self.U.weight, self.W.bias
        last = x.size(1) - 1
        if mask is not None:
            hold = W.new_tensor([-SHUT, SHUT, 0.0, 0.0]).repeat_interleave(self.dim).unsqueeze(1)  # i, f, g, o
            W = torch.cat([W, F.pad(hold, (0, ALIGNMENT - 1))], dim=1)
            x = torch.cat([x, F.pad((~mask).unsqueeze(-1).to(x.dtype), (0, ALIGNMENT - 1))], dim=-1)
        start = [part.unsqueeze(0).contiguous() for part in state.to(x.dtype).chunk(2, dim=-1)]
        with_gradient = torch.is_grad_enabled()  # what the library calls training; there is no dropout inside
        states, _, c = torch.lstm(x, start, [W, U, b, torch.zeros_like(b)], True, 1, 0.0, with_gradient, False, True)
        if mask is None:
            h = states[:, last]
        else:
            ends = (mask * torch.arange(mask.size(1), device=mask.device)).amax(1)  # (B,) the last real position
            h = states[torch.arange(len(ends), device=mask.device), ends]
        return states, torch.cat([h, c.squeeze(0)], dim=-1)


def cells_of(modules: nn.Module) -> list[Cell]:
    """The units in a module list, by their type."""
    return [module for module in modules.children() if isinstance(module, Cell)]


CELLS: dict[str, type[Cell]] = {"gru": GRUCell, "lstm": LSTMCell}


def cell_named(name: str, key: str = "model.cell") -> type[Cell]:
    """The unit that a key names; raises `ValueError` for another name."""
    if name not in CELLS:
        raise ValueError(f"{key} must be one of {', '.join(CELLS)}, but is {name!r}")
    return CELLS[name]


class Stack(nn.Module):
    """Units above each other, with dropout between them (Zaremba et al. 2014), as a decoder steps through them."""

    def __init__(self, unit: str, input_dim: int, dim: int, *, layers: int, dropout: float) -> None:
        super().__init__()
        cell = cell_named(unit)
        self.unit = unit
        self.dropout = dropout
        self.cells = nn.ModuleList(cell(input_dim if layer == 0 else dim, dim) for layer in range(layers))
        self.dim, self.parts, self.state_dim = dim, cell.parts, cell.parts * dim

    def inputs(self, x: Tensor) -> Tensor:
        """W x + b of the lowest layer (…, gates · n)."""
        entering: Tensor = cells_of(self.cells)[0].W(x)
        return entering

    def hidden(self, state: Tensor) -> Tensor:
        """h (…, n) of the state of one layer."""
        return state[..., : self.dim]

    def forward(self, inputs: Tensor, states: list[Tensor]) -> list[Tensor]:
        """The next states of all layers (…, parts · n), from what enters the lowest (…, gates · n)."""
        following: list[Tensor] = []
        for layer, (cell, state) in enumerate(zip(cells_of(self.cells), states, strict=True)):
            if layer:
                inputs = cell.W(dropout(self.hidden(following[-1]), self.dropout, self.training))
            following.append(cell(inputs, state))
        return following

    def read(self, x: Tensor, states: Tensor) -> Tensor:
        """The top h at all positions of x (B, T, E), from the states of all layers (B, L, parts · n)."""
        for layer, (cell, state) in enumerate(zip(cells_of(self.cells), states.unbind(1), strict=True)):
            below = dropout(x, self.dropout, self.training) if layer else x
            x, _ = cell.read(below, state)
        return x
