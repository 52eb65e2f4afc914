"""`train.histograms=true`: how the values of each parameter, and of its gradient, are distributed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

BINS = 64
"""Of a histogram; TensorBoard draws thirty."""


@dataclass(frozen=True)
class Histogram:
    """The finite ones among some values.

    Attributes:
        values: how many there are.
        not_finite: how many were left out.
        low: the smallest; `high` the largest.
        total: their sum; `squares` that of their squares.
        limits: upper ends of the bins, (BINS,).
        counts: values in each bin, (BINS,).
    """

    values: int
    not_finite: int
    low: float
    high: float
    total: float
    squares: float
    limits: list[float]
    counts: list[float]

    @classmethod
    def of(cls, tensor: Tensor) -> "Histogram | None":
        """Of all values of a tensor, or of this process's part of one that is sharded; None where none is finite."""
        if hasattr(tensor, "to_local"):  # a DTensor, whose module takes a second to import
            tensor = tensor.to_local()
        everything = tensor.detach().flatten().double()  # no two float32 are further apart than its range
        values = everything[torch.isfinite(everything)]
        if not values.numel():
            return None
        low, high = float(values.min()), float(values.max())
        width = (high - low) / BINS or max(abs(low), 1.0) * 1e-6
        limits = [low + width * (n + 1) for n in range(BINS)]
        return cls(
            values=values.numel(),
            not_finite=everything.numel() - values.numel(),
            low=low,
            high=high,
            total=float(values.sum()),
            squares=float(values.square().sum()),
            limits=limits,
            counts=torch.histc(values, BINS, low, max(limits[-1], high)).tolist(),
        )

    def summary(self) -> dict[str, Any]:
        """What metrics.jsonl holds of it."""
        mean = self.total / self.values
        deviation = max(self.squares / self.values - mean**2, 0.0) ** 0.5
        figures = {"values": self.values, "not_finite": self.not_finite}
        return figures | {"min": self.low, "max": self.high, "mean": mean, "standard_deviation": deviation}


def parameters(model: nn.Module) -> Iterator[tuple[str, Histogram]]:
    """Of every parameter, as `parameters/NAME`."""
    return _named((f"parameters/{name}", parameter) for name, parameter in model.named_parameters())


def gradients(model: nn.Module) -> Iterator[tuple[str, Histogram]]:
    """Of every gradient there is, as `gradients/NAME`."""
    return _named(
        (f"gradients/{name}", parameter.grad) for name, parameter in model.named_parameters() if parameter.grad is not None
    )


def _named(tensors: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Histogram]]:
    for name, tensor in tensors:
        if histogram := Histogram.of(tensor):
            yield name, histogram
