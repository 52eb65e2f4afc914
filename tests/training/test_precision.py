"""Formats of floating-point numbers, and torch.compile, against plain fp32."""

from typing import Any

import numpy as np
import pytest
import torch

from nmt.components import build_model
from nmt.config import TrainSettings, compose
from nmt.data.batches import Batch, collate
from nmt.errors import UserError
from nmt.models.seq2seq import Vocabulary
from nmt.training.loop import Trainer
from nmt.training.precision import check_device
from nmt.training.session import new_trainer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def batch() -> Batch:
    draw = np.random.default_rng(1)
    sources, targets = ([draw.integers(4, 60, n).astype(np.int32) for n in lengths] for lengths in ((3, 7, 5), (6, 2, 4)))
    return collate(sources, targets)


def trainer(name: str = "transformer_tiny", **settings: object) -> Trainer:
    torch.manual_seed(2)
    config = compose("train", [f"model={name}", "model.dropout=0"])
    model = build_model(config["model"], Vocabulary(60, 60, True))
    return new_trainer(config, model, TrainSettings(**settings), CPU, alone=True)


def losses(trained: Trainer, batch: Batch, updates: int = 12) -> list[float]:
    found = []
    for number in range(1, updates + 1):
        trained.set_rate(100)
        sums = trained.update([batch], number)
        found.append(float(sums.loss) / sums.tokens)
    return found


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_the_bits_learn_almost_the_same(batch: Batch, precision: str) -> None:
    plain, half = losses(trainer(), batch), losses(trainer(precision=precision), batch)
    assert half != plain  # the products were computed in another format
    assert half == pytest.approx(plain, rel=0.02)
    assert plain[-1] < 0.8 * plain[0]


def test_fp16_scales_its_loss_down_where_a_gradient_overflows_and_leaves_that_update_out(batch: Batch) -> None:
    half = trainer(precision="fp16")
    losses(half, batch, 1)
    scale = half.scaler.get_scale()
    before = [parameter.detach().clone() for parameter in half.trained.parameters()]
    handle = half.trained.model.output.weight.register_hook(lambda grad: grad * torch.inf)  # type: ignore[union-attr, operator]
    assert not bool(half.update([batch], 2).finite)
    handle.remove()
    assert half.scaler.get_scale() == scale / 2
    assert all(torch.equal(a, b) for a, b in zip(before, half.trained.parameters(), strict=True))
    assert bool(half.update([batch], 3).finite)


def test_the_gradient_norm_is_that_of_the_unscaled_gradient(batch: Batch) -> None:
    norms = [float(trainer(precision=precision).update([batch], 1).gradient_norm) for precision in ("fp32", "fp16")]
    assert norms[1] == pytest.approx(norms[0], rel=0.02)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "fp16", "tokens_per_batch": 1}, r"train\.precision=fp16 needs a CUDA GPU"),
        ({"precision": "fp32", "tokens_per_batch": "auto"}, r"train\.tokens_per_batch=auto needs a CUDA GPU"),
    ],
)
def test_what_a_device_lacks_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_device(settings, CPU)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["transformer_tiny", "decoder_only_tiny"])
def test_compiled_models_learn_the_same(batch: Batch, name: str) -> None:
    assert losses(trainer(name, compile=True), batch, 3) == pytest.approx(losses(trainer(name), batch, 3), rel=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["transformer_tiny", "luong_tiny", "bahdanau_tiny"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_learns_what_the_cpu_learns(batch: Batch, name: str, precision: str) -> None:
    torch.manual_seed(2)
    config = compose("train", [f"model={name}", "model.dropout=0"])
    model = build_model(config["model"], Vocabulary(60, 60, True))
    device = torch.device("cuda")
    on_gpu = new_trainer(config, model, TrainSettings(precision=precision), device, alone=True)
    assert losses(on_gpu, batch.to(device)) == pytest.approx(losses(trainer(name), batch), rel=0.03)
