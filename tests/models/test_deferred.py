"""Weight gradients from one product against plain autograd."""

import gc
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nmt.models.deferred import RecurrentLinear, one_gradient_product

pytestmark = pytest.mark.usefixtures("float64")
EXACT = {"rtol": 1e-12, "atol": 1e-12}
Open = Callable[[], AbstractContextManager[None]]


def maps() -> tuple[RecurrentLinear, RecurrentLinear]:
    torch.manual_seed(1)
    return RecurrentLinear(4, 4), RecurrentLinear(4, 3, bias=False)


def recurrence(W: RecurrentLinear, V: RecurrentLinear, x: Tensor, opened: Open, steps: int = 5) -> Tensor:
    """Results of two maps that are used twice and once at every step, on inputs of different shapes."""
    with opened():
        total = torch.zeros(3)
        for _ in range(steps):
            x = torch.tanh(W(x) + W(x[:1, 0]))
            total = total + V(x).sum((0, 1)) + V(x[0, :1]).square().sum(0)
    return total


def gradients(x: Tensor, opened: Open, *, frozen: bool = False) -> tuple[Tensor, list[Tensor | None]]:
    W, V = maps()
    W.weight.requires_grad_(not frozen)
    result = recurrence(W, V, x, opened)
    (result * torch.tensor([1.0, -2.0, 0.5])).sum().backward()
    return result, [x.grad, *(parameter.grad for parameter in (*W.parameters(), *V.parameters()))]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("needed", [True, False])
def test_results_and_gradients_equal_those_of_plain_autograd(needed: bool, frozen: bool) -> None:
    x = torch.randn(2, 5, 4)
    result, found = gradients(x.clone().requires_grad_(needed), one_gradient_product, frozen=frozen)
    same, expected = gradients(x.clone().requires_grad_(needed), nullcontext, frozen=frozen)
    torch.testing.assert_close(result, same, **EXACT)
    assert [gradient is None for gradient in expected] == [not needed, frozen, False, False]
    for gradient, wanted in zip(found, expected, strict=True):
        assert (gradient is None) == (wanted is None)
        if wanted is not None:
            torch.testing.assert_close(gradient, wanted, **EXACT)


def test_in_float32_they_are_close_whatever_library_computes_the_products() -> None:
    torch.set_default_dtype(torch.float32)  # the fixture puts it back
    x = torch.randn(2, 5, 4)
    (_, found), (_, expected) = (
        gradients(x.clone().requires_grad_(), opened) for opened in (one_gradient_product, nullcontext)
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_gradients_equal_finite_differences() -> None:
    W, V = maps()
    x = torch.randn(2, 3, 4, requires_grad=True)
    inputs = (x, *W.parameters(), *V.parameters())
    assert torch.autograd.gradcheck(lambda *_: recurrence(W, V, x, one_gradient_product, 3), inputs)


def test_a_weight_without_use_and_one_whose_result_goes_nowhere_have_no_gradient() -> None:
    (W, V), x = maps(), torch.randn(2, 4)
    other = RecurrentLinear(4, 4)
    with one_gradient_product():
        V(x)
        W(x).sum().backward()
    assert W.weight.grad is not None
    assert V.weight.grad is None
    assert other.weight.grad is None


@pytest.mark.parametrize("opened", [one_gradient_product, nullcontext])
def test_without_gradients_nothing_is_kept_for_them(opened: Open) -> None:
    (W, V), x = maps(), torch.randn(2, 5, 4)
    with torch.no_grad():
        result = recurrence(W, V, x, opened)
    assert result.grad_fn is None
    torch.testing.assert_close(result, recurrence(W, V, x, nullcontext), **EXACT)


def test_a_use_under_no_grad_takes_no_gradient_from_those_that_follow() -> None:
    (W, _), x = maps(), torch.randn(2, 4)
    with one_gradient_product():
        with torch.no_grad():
            W(x)
        W(x).sum().backward()
    torch.testing.assert_close(W.weight.grad, x.sum(0).expand(4, 4), **EXACT)


def test_a_second_backward_pass_gives_the_same_again() -> None:
    (W, V), x = maps(), torch.randn(2, 5, 4, requires_grad=True)
    loss = recurrence(W, V, x, one_gradient_product).sum()
    inputs = [x, *W.parameters(), *V.parameters()]
    first = torch.autograd.grad(loss, inputs, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, inputs), first, **EXACT)


def test_gradients_of_the_inputs_alone_leave_nothing_behind_for_those_of_the_weights() -> None:
    (W, V), x = maps(), torch.randn(2, 5, 4, requires_grad=True)
    loss = recurrence(W, V, x, one_gradient_product).sum()
    torch.autograd.grad(loss, x, retain_graph=True)
    found = torch.autograd.grad(loss, list(W.parameters()))
    expected = torch.autograd.grad(recurrence(W, V, x, nullcontext).sum(), list(W.parameters()))
    torch.testing.assert_close(found, expected, **EXACT)


@pytest.mark.parametrize("nested", [False, True])
def test_passes_that_share_a_backward_add_up(nested: bool) -> None:
    W, V = maps()
    x, y = torch.randn(2, 5, 4), torch.randn(3, 1, 4)

    def both(opened: Open) -> tuple[Tensor, ...]:
        with opened() if nested else nullcontext():
            loss = W(y).square().sum() if nested else torch.zeros(())
            loss = loss + recurrence(W, V, x, opened).sum() + recurrence(W, V, y, opened, 2).square().sum()
        return torch.autograd.grad(loss, [*W.parameters(), *V.parameters()])

    torch.testing.assert_close(both(one_gradient_product), both(nullcontext), **EXACT)


def test_under_bf16_autocast_gradients_are_float32_and_close_to_the_exact_ones() -> None:
    torch.set_default_dtype(torch.float32)  # the fixture puts it back
    x = torch.randn(2, 5, 4)
    _, exact = gradients(x.clone().requires_grad_(), nullcontext)
    with torch.autocast("cpu", torch.bfloat16):
        _, found = gradients(x.clone().requires_grad_(), one_gradient_product)
        with one_gradient_product():
            assert maps()[1](x).dtype == torch.bfloat16
    for gradient, expected in zip(found, exact, strict=True):
        assert gradient.dtype == torch.float32
        assert (gradient - expected).norm() < 0.03 * expected.norm()


class Products(TorchDispatchMode):
    """Counts matrix products whose result has a given shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape, self.count = shape, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm):
            self.count += result.shape[-2:] in (self.shape, self.shape[::-1])
        return result


@pytest.mark.parametrize(("opened", "products"), [(one_gradient_product, 1), (nullcontext, 6)])
def test_a_weight_takes_its_gradient_from_one_product_instead_of_one_per_step(opened: Open, products: int) -> None:
    torch.manual_seed(1)
    W, x = RecurrentLinear(7, 7, bias=False), torch.randn(2, 7)
    with opened():
        for _ in range(6):
            x = torch.tanh(W(x))
    with Products(7, 7) as counter:
        x.sum().backward()
    assert counter.count == products


def test_a_frozen_weight_leaves_nothing_behind() -> None:
    (W, V), x = maps(), torch.randn(2, 5, 4, requires_grad=True)
    for parameter in (*W.parameters(), *V.parameters()):
        parameter.requires_grad_(False)
    states: list[weakref.ref[torch.Tensor]] = []
    W.register_forward_hook(lambda _, __, y: states.append(weakref.ref(y)))
    recurrence(W, V, x, one_gradient_product).sum().backward()
    gc.collect()
    assert states
    assert [state() for state in states if state() is not None] == []


def test_a_bias_keeps_the_precision_of_autocast() -> None:
    torch.set_default_dtype(torch.float32)
    W = RecurrentLinear(4, 3)
    with torch.autocast("cpu", torch.bfloat16), one_gradient_product():
        assert W(torch.randn(2, 4)).dtype == torch.bfloat16
