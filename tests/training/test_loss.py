"""The fused loss against torch's, its gradients, and what an update makes of it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nmt.config import TrainSettings
from nmt.data.batches import Batch, collate
from nmt.models.attention import Global
from nmt.models.encoder import RecurrentEncoder
from nmt.models.feedforward import ReLU
from nmt.models.luong import Luong
from nmt.models.patterns import Full
from nmt.models.positions import Sinusoidal
from nmt.models.scores import General
from nmt.models.seq2seq import Vocabulary
from nmt.models.transformer import Transformer
from nmt.training.loop import Trainer
from nmt.training.loss import CHUNK, TrainedModel, cross_entropy
from nmt.training.validation import dev_loss

EXACT = {"rtol": 1e-10, "atol": 1e-10}


def projected(rows: int, *, bias: bool) -> tuple[Tensor, nn.Linear, Tensor]:
    """Features (N, 12), a projection to 13 logits, targets."""
    torch.manual_seed(1)
    output = nn.Linear(12, 13, bias=bias)
    nn.init.normal_(output.weight)
    return torch.randn(rows, 12, requires_grad=True), output, torch.randint(13, (rows,))


def gradients(loss: Tensor, features: Tensor, output: nn.Linear) -> list[Tensor]:
    return list(torch.autograd.grad(loss, [features, *output.parameters()]))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("rows", [5, CHUNK, 2 * CHUNK + 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("bias", [True, False])
def test_loss_and_gradients_equal_torchs_cross_entropy(rows: int, smoothing: float, bias: bool) -> None:
    features, output, targets = projected(rows, bias=bias)
    loss, nll = cross_entropy(features, output, targets, smoothing=smoothing)
    logits = output(features)
    expected = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(loss, expected, **EXACT)
    torch.testing.assert_close(nll, F.cross_entropy(logits, targets, reduction="sum"), **EXACT)
    assert not nll.requires_grad
    torch.testing.assert_close(gradients(loss / 7, features, output), gradients(expected / 7, features, output), **EXACT)


@pytest.mark.usefixtures("float64")
def test_gradients_equal_finite_differences() -> None:
    features, output, targets = projected(3, bias=True)

    def loss(*_: Tensor) -> Tensor:
        return cross_entropy(features, output, targets, smoothing=0.1)[0]

    assert torch.autograd.gradcheck(loss, (features, output.weight, output.bias))


@pytest.mark.parametrize("bias", [True, False])
def test_under_bf16_autocast_it_stays_close_to_fp32(bias: bool) -> None:
    features, output, targets = projected(2 * CHUNK + 3, bias=bias)
    exact, exact_nll = cross_entropy(features, output, targets, smoothing=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        loss, nll = cross_entropy(features, output, targets, smoothing=0.1)
    assert loss.dtype == nll.dtype == torch.float32
    torch.testing.assert_close([loss, nll], [exact.detach(), exact_nll], rtol=2e-3, atol=0)
    pairs = zip(gradients(loss, features, output), gradients(exact, features, output), strict=True)
    for gradient, expected in pairs:
        assert gradient.dtype == torch.float32
        assert (gradient - expected).norm() < 0.02 * expected.norm()


@pytest.mark.usefixtures("float64")  # whose products are always torch's, which are counted
def test_evaluation_pays_for_the_logits_only() -> None:
    features, output, targets = projected(CHUNK + 3, bias=True)
    products = {}
    for training in (True, False):
        with torch.inference_mode(not training), FlopCounterMode(display=False) as counter:
            loss, _ = cross_entropy(features, output, targets, smoothing=0.1)
        assert loss.requires_grad == training
        products[training] = counter.get_total_flops() / (2 * (CHUNK + 3) * 12 * 13)
    assert products[False] == 1
    assert products[True] > 1


def batches() -> list[Batch]:
    """Three batches of different numbers of pairs, lengths and tokens; then all pairs in one."""
    random = np.random.default_rng(1)
    lengths = [[(5, 4), (2, 7)], [(6, 1)], [(3, 3), (1, 2), (7, 0)]]
    rows = [[[random.integers(4, 13, n, dtype=np.int32) for n in pair] for pair in batch] for batch in lengths]
    made = [collate(*map(list, zip(*batch, strict=True))) for batch in rows]
    return [*made, collate(*map(list, zip(*(pair for batch in rows for pair in batch), strict=True)))]


def luong() -> Luong:
    encoder = partial(RecurrentEncoder, direction="forward", hidden_dim=None, layers=None, cell=None)
    sizes: dict[str, Any] = {"embedding_dim": 6, "hidden_dim": 10, "layers": 2, "dropout": 0.0}
    attention, keys = partial(Global, score=General), {"cell": "lstm", "input_feeding": True}
    return Luong(Vocabulary(13, 13, joint=True), encoder=encoder, attention=attention, **keys, **sizes)


def tied_transformer(tied: str = "all") -> Transformer:
    sizes = {"dim": 12, "heads": 3, "feedforward_dim": 10, "encoder_layers": 1, "decoder_layers": 2, "dropout": 0.0}
    kinds = {"positions": Sinusoidal, "pattern": Full, "feedforward": ReLU, "normalization": "layer", "key_value_heads": None}
    return Transformer(Vocabulary(13, 13, joint=True), norm="pre", tied=tied, **sizes, **kinds)


@pytest.mark.usefixtures("float64")
def test_the_loss_of_a_batch_counts_its_real_target_tokens_only() -> None:
    torch.manual_seed(1)
    model = luong()
    batch = batches()[-1]
    loss, nll = TrainedModel(model, smoothing=0.1)(batch)
    logits = model.project(model(batch.src, batch.tgt_in, batch.src_mask))
    expected = torch.zeros(2)
    end = 0
    for row, length in enumerate([5, 8, 2, 4, 3, 1]):  # with the end of sentence
        start, end = end, end + length
        for smoothing in (0, 1):
            expected[smoothing] += F.cross_entropy(
                logits[row, :length], batch.targets[start:end], reduction="sum", label_smoothing=smoothing * 0.1
            )
    assert end == batch.tokens
    torch.testing.assert_close(torch.stack([nll, loss]), expected, **EXACT)


@pytest.mark.usefixtures("float64")
def test_a_tied_matrix_receives_the_gradient_of_all_its_uses() -> None:
    torch.manual_seed(1)
    tied, untied = tied_transformer(), tied_transformer("none")
    untied.load_state_dict(tied.state_dict())
    batch = batches()[0]
    for model in (tied, untied):
        TrainedModel(model, smoothing=0.1)(batch)[0].backward()
    uses = [untied.src_embedding.weight.grad, untied.tgt_embedding.weight.grad, untied.output.weight.grad]
    assert all(use is not None and use.abs().max() > 0 for use in uses)
    torch.testing.assert_close(tied.output.weight.grad, uses[0] + uses[1] + uses[2], **EXACT)


def trainer(make: Callable[[], nn.Module], **settings: object) -> Trainer:
    torch.manual_seed(1)
    trained = TrainedModel(make(), smoothing=0.1)
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.5)
    return Trainer(trained, optimizer, lambda *_: 1.0, TrainSettings(**settings), torch.device("cpu"))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("make", [luong, tied_transformer])
@pytest.mark.parametrize("clip_norm", [None, 0.3])
def test_batches_accumulated_in_one_update_equal_one_big_batch(make: Callable[[], nn.Module], clip_norm: float | None) -> None:
    *parts, whole = batches()
    accumulated, at_once = trainer(make, clip_norm=clip_norm), trainer(make, clip_norm=clip_norm)
    before = [parameter.detach().clone() for parameter in at_once.trained.parameters()]
    for _ in range(2):  # a second update shows gradients that were not cleared
        sums, expected = accumulated.update(parts, 1), at_once.update([whole], 1)
    for name in ("loss", "nll", "gradient_norm"):
        torch.testing.assert_close(getattr(sums, name), getattr(expected, name), **EXACT)
    assert sums.tokens == expected.tokens == 23
    real = 23 + 30  # target and source pieces with their ends
    assert sums.padding == pytest.approx(1 - real / (16 + 2 + 12 + 12 + 7 + 24))
    assert expected.padding == pytest.approx(1 - real / (48 + 48))
    after = list(at_once.trained.parameters())
    torch.testing.assert_close(list(accumulated.trained.parameters()), after, **EXACT)
    assert all((x - y).abs().max() > 0 for x, y in zip(before, after, strict=True))


@pytest.mark.usefixtures("float64")
def test_the_mean_loss_of_validation_weighs_every_token_alike_and_leaves_out_dropout_and_smoothing() -> None:
    def with_dropout() -> Luong:
        model = luong()
        model.dropout = 0.5
        return model

    *parts, whole = batches()
    validating = trainer(with_dropout)
    model = validating.trained.model
    validating.trained.eval()
    mean = dev_loss(validating.trained, parts, "fp32", torch.device("cpu"))
    logits = model.project(model(whole.src, whole.tgt_in, whole.src_mask)).flatten(0, 1)[whole.positions]
    assert mean == pytest.approx(F.cross_entropy(logits, whole.targets).item(), rel=1e-6)
