"""Linear maps on the CPU by the faster of the two libraries that torch carries.

torch gives matrix products to MKL, which uses AVX-512 on Intel's processors only. oneDNN uses it on every processor that has
it: on an AMD EPYC its products are more than twice as fast (`scripts/benchmark_training.py` measures both). So on such
processors float32 products go to oneDNN, by the operator that `torch.compile` uses for the same purpose; everywhere else to
torch as usual.
"""

import functools
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


@functools.cache
def prefers_onednn() -> bool:
    """Whether this machine has AVX-512, and MKL does not use it."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"):
        return False
    if not (torch.backends.mkl.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return False
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.is_file() and "GenuineIntel" not in cpuinfo.read_text(encoding="utf-8", errors="replace")


def _by_onednn(x: Tensor) -> bool:
    """Whether a product with x is to go there; what `torch.compile` traces is its own affair."""
    return x.dtype == torch.float32 and x.device.type == "cpu" and not torch.compiler.is_compiling() and prefers_onednn()


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a bᵀ + bias of (…, I), (O, I) and (O,), without a gradient: what autograd functions are made of."""
    if _by_onednn(a) and a.dtype == b.dtype and a.numel():
        y: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")
        return y
    return F.linear(a, b, bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b (…, O) of (…, I), (O, I) and (O,), with gradients."""
    if not _by_onednn(x) or torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight, bias)
    if not torch.is_grad_enabled():
        return product(x, weight, bias)
    y: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]  # torch leaves apply untyped
    return y


class Linear(nn.Linear):
    """`nn.Linear` by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class _Linear(torch.autograd.Function):
    """y = x Wᵀ + b;  ∂x = ∂y W,  ∂W = ∂yᵀ x,  ∂b = Σ ∂y."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad_x = product(grad, weight.t()) if ctx.needs_input_grad[0] else None
        rows = grad.flatten(0, -2)
        grad_weight = product(x.flatten(0, -2).t(), rows.t()).t() if ctx.needs_input_grad[1] else None
        grad_bias = rows.sum(0) if ctx.needs_input_grad[2] else None
        return grad_x, grad_weight, grad_bias
