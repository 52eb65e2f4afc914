"""Linear maps inside a recurrence, whose weights take their gradient over all steps from one large product.

Backpropagation through T steps gives a weight T small products, each added to a gradient as large as the weight.
Their sum is one product: Σ_t g_tᵀ x_t = Gᵀ X, with the T outputs' gradients g_t above each other in G, the inputs in X.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.models.linear import Linear, product


class RecurrentLinear(Linear):
    """A linear map for use at every step of a recurrence."""

    def forward(self, x: Tensor) -> Tensor:
        weights = _weights.get()
        if weights is None or not torch.is_grad_enabled():
            return super().forward(x)
        if self not in weights:
            weights[self] = _Weight(self.weight, x.device.type)
        y = weights[self].times(x)
        return y if self.bias is None else y + self.bias.to(y.dtype)


@contextmanager
def one_gradient_product() -> Iterator[None]:
    """While it is open, gradients of every `RecurrentLinear` are gathered for one product; results stay the same."""
    token = _weights.set({} if torch.is_grad_enabled() else None)
    try:
        yield
    finally:
        _weights.reset(token)


Steps = dict[int, list[tuple[Tensor, Tensor]]]
"""For a backward pass, by its number, the inputs (N, in) of all steps and the gradients of their outputs (N, out)."""


class _Weight:
    """A weight in one pass through a recurrence, and what its steps leave for its gradient."""

    def __init__(self, weight: Tensor, device: str) -> None:
        self.steps: Steps = {}
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        self.weight: Tensor = _Gather.apply(weight, dtype, self.steps)  # type: ignore[no-untyped-call]  # torch leaves apply untyped

    def times(self, x: Tensor) -> Tensor:
        y: Tensor = _Times.apply(x, self.weight, self.steps)  # type: ignore[no-untyped-call]  # torch leaves apply untyped
        return y


class _Times(torch.autograd.Function):
    """x Wᵀ, which leaves the gradient of W to `_Gather`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, steps: Steps) -> Tensor:
        x = x.to(weight.dtype)
        ctx.save_for_backward(x, weight)
        ctx.steps = steps
        return product(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        if ctx.needs_input_grad[1]:
            ctx.steps.setdefault(_backward_pass(), []).append((x.detach().flatten(0, -2), grad.flatten(0, -2)))
        return product(grad, weight.t()) if ctx.needs_input_grad[0] else None, None, None


class _Gather(torch.autograd.Function):
    """The weight itself. Every step hangs on it, so its backward comes after theirs."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, dtype: torch.dtype, steps: Steps) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.steps, ctx.dtype = steps, weight.dtype
        return weight.to(dtype, copy=weight.dtype != dtype).view_as(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor | None) -> tuple[Tensor | None, None, None]:
        steps = ctx.steps.get(_backward_pass())
        ctx.steps.clear()  # of passes before, too, in which the weight had no part
        if steps is None:
            return None, None, None
        inputs, grads = (torch.cat(parts) for parts in zip(*steps, strict=True))
        return product(inputs.t(), grads.t()).t().to(ctx.dtype), None, None


def _backward_pass() -> int:
    """The number of the running backward pass."""
    return torch._C._current_graph_task_id()


_weights: ContextVar[dict[RecurrentLinear, _Weight] | None] = ContextVar("weights of open recurrences", default=None)
