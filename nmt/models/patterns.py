"""Which pieces a piece attends to in self-attention, beyond padding and the future: a mask for the same attention.

Positions are counted from 0. Each pattern is given in its symmetric form, for the encoder; a decoder sees what of it
lies in the past. All heads have the same pattern.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from nmt.models.multihead import View


class Pattern(ABC):
    """A set of pairs: the positions j that a query at position i attends to, i itself always among them."""

    @abstractmethod
    def sees(self, i: Tensor, j: Tensor) -> Tensor:
        """Whether i attends to j, bool, in the shape to which both are broadcast."""

    def around(self, i: Tensor, real: Tensor) -> View:
        """What the pieces at positions i (S,) see of each other if `real` (B, S) says which are no padding."""
        itself = i.unsqueeze(-1) == i  # padding too sees something, or its softmax would have no value
        return self.view(i, i, real[:, None, None] | itself)

    def past(self, i: Tensor) -> View:
        """What the pieces at positions i (T,), in order, see of those up to themselves."""
        return self.view(i, i, i <= i.unsqueeze(-1))

    def view(self, i: Tensor, j: Tensor, allowed: Tensor | None) -> View:
        """What queries at i (…, T) see of keys at j (…, S), if `allowed` (…, T, S; None for everything) allows it too."""
        mask = self.sees(i.unsqueeze(-1), j.unsqueeze(-2))
        return View(i, j, mask if allowed is None else mask & allowed)


class Full(Pattern):
    """Every pair (Vaswani et al. 2017); no mask is made."""

    def sees(self, i: Tensor, j: Tensor) -> Tensor:
        return torch.ones_like(i - j, dtype=torch.bool)

    def around(self, i: Tensor, real: Tensor) -> View:
        return View(i, i, real[:, None, None])

    def past(self, i: Tensor) -> View:
        return View(i, i, None, causal=True)

    def view(self, i: Tensor, j: Tensor, allowed: Tensor | None) -> View:
        return View(i, j, allowed)


class Window(Pattern):
    """|i - j| < size: a piece and its size - 1 neighbours on each side (Beltagy et al. 2020, section 3.1).

    Args:
        size: pieces of the past that a decoder sees, the present one among them.
    """

    def __init__(self, *, size: int) -> None:
        _check(size=size)
        self.size = size

    def sees(self, i: Tensor, j: Tensor) -> Tensor:
        return (i - j).abs() < self.size


class Strided(Pattern):
    """|i - j| < l, or (i - j) mod l = 0: the neighbours, and every l-th piece (Child et al. 2019, section 4.3).

    The paper's two sets as one, which all heads attend to (its merged head, section 5.1).

    Args:
        stride: l.
    """

    def __init__(self, *, stride: int) -> None:
        _check(stride=stride)
        self.stride = stride

    def sees(self, i: Tensor, j: Tensor) -> Tensor:
        return ((i - j).abs() < self.stride) | ((i - j) % self.stride == 0)


class Fixed(Pattern):
    """⌊i / l⌋ = ⌊j / l⌋, or j mod l ≥ l - c: the own block, and the last c of every block (Child et al. 2019, section 4.3).

    The paper's two sets as one, which all heads attend to (its merged head, section 5.1).

    Args:
        block: l.
        columns: c, at most l.
    """

    def __init__(self, *, block: int, columns: int) -> None:
        _check(block=block, columns=columns)
        if columns > block:
            raise ValueError(f"model.pattern.columns ({columns}) must be at most model.pattern.block ({block})")
        self.block = block
        self.columns = columns

    def sees(self, i: Tensor, j: Tensor) -> Tensor:
        same = torch.div(i, self.block, rounding_mode="floor") == torch.div(j, self.block, rounding_mode="floor")
        return same | (j % self.block >= self.block - self.columns)


def _check(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"model.pattern.{name} must be at least 1, but is {size}")
