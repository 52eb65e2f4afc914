"""Products by oneDNN against torch's own, values and gradients, and the conditions under which they are taken."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nmt.models import linear as module
from nmt.models.linear import Linear, linear, prefers_onednn, product

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
has_operator = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")


@pytest.fixture(params=[False, True], ids=["torch", "onednn"])
def preferred(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Whichever library this machine prefers, both are tried."""
    monkeypatch.setattr(module, "prefers_onednn", lambda: request.param)
    yield request.param


@has_operator
@pytest.mark.parametrize("shape", [(7, 12), (2, 5, 12), (3, 1, 12), (2, 0, 12)])
@pytest.mark.parametrize("bias", [False, True])
def test_values_and_gradients_equal_torchs(preferred: bool, shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(1)
    x, W = torch.randn(shape, requires_grad=True), torch.randn(13, 12, requires_grad=True)
    b = torch.randn(13, requires_grad=True) if bias else None
    inputs = [x, W] + ([b] if b is not None else [])
    found, expected = linear(x, W, b), F.linear(x, W, b)
    torch.testing.assert_close(found, expected, **CLOSE)
    direction = torch.randn_like(expected)
    gradients = torch.autograd.grad((found * direction).sum(), inputs)
    torch.testing.assert_close(gradients, torch.autograd.grad((expected * direction).sum(), inputs), **CLOSE)


@has_operator
def test_slices_and_transposes_are_multiplied_as_they_are(preferred: bool) -> None:
    torch.manual_seed(1)
    x, W = torch.randn(12, 7), torch.randn(30, 12)
    torch.testing.assert_close(product(x.t(), W[5:18]), F.linear(x.t(), W[5:18]), **CLOSE)
    torch.testing.assert_close(product(x, x), F.linear(x, x), **CLOSE)


@has_operator
def test_float64_and_autocast_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "prefers_onednn", lambda: True)
    x, W = torch.randn(7, 12, dtype=torch.float64), torch.randn(13, 12, dtype=torch.float64)
    torch.testing.assert_close(linear(x, W), F.linear(x, W), rtol=0, atol=0)
    assert torch.autograd.gradcheck(linear, (x.requires_grad_(), W.requires_grad_()))
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(torch.randn(7, 12), torch.randn(13, 12)).dtype == torch.bfloat16


def test_the_module_equals_torchs_and_has_its_parameters() -> None:
    torch.manual_seed(1)
    ours = Linear(12, 13)
    torch.manual_seed(1)
    theirs = nn.Linear(12, 13)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    x = torch.randn(7, 12)
    torch.testing.assert_close(ours(x), theirs(x), **CLOSE)


def test_an_intel_processor_keeps_mkl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(module.Path, "is_file", lambda _: True)
    found = {}
    for vendor in ("GenuineIntel", "AuthenticAMD"):
        monkeypatch.setattr(module.Path, "read_text", lambda *_, vendor=vendor, **__: f"vendor_id\t: {vendor}\n")
        found[vendor] = prefers_onednn.__wrapped__()
    assert found["GenuineIntel"] is False
    assert found["AuthenticAMD"] is (torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available())


def test_without_avx512_torch_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert prefers_onednn.__wrapped__() is False
