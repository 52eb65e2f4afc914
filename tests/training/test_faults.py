"""Updates that are not finite, and memory that is too small."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nmt.components import build_model
from nmt.config import TrainSettings
from nmt.data.batches import Batch, collate
from nmt.data.store import open_store
from nmt.data.tokenizer import Tokenizer
from nmt.errors import UserError
from nmt.models.seq2seq import Vocabulary
from nmt.training.budget import MARGIN, device_budget, largest_budget
from nmt.training.faults import BadUpdates
from nmt.training.loop import Sums, Trainer
from nmt.training.loss import TrainedModel
from nmt.training.progress import Progress

FINITE, BAD = torch.tensor(True), torch.tensor(False)


@pytest.fixture
def batch(tokenizer: Tokenizer) -> Batch:
    ids = [
        tokenizer.encode([text], side)[0] for text, side in (("der Hund sieht den Ball .", "src"), ("the dog sees .", "tgt"))
    ]
    return collate([ids[0]], [ids[1]])


def run_of(bad: BadUpdates, flags: str, batch: Batch) -> Progress:
    progress = Progress()
    for flag in flags:
        progress.updates += 1
        bad.note(progress, FINITE if flag == "." else BAD, [batch])
    return progress


def test_so_many_bad_updates_in_a_row_end_training_and_their_batches_are_kept(
    tmp_path: Path, tokenizer: Tokenizer, batch: Batch
) -> None:
    bad = BadUpdates(tmp_path, tokenizer, most=3, spared=0)
    assert run_of(bad, "xx.xx", batch).non_finite == 2
    with pytest.raises(UserError, match=r"not finite in 3 updates in a row, up to update 3; .*lower optimizer\.lr"):
        run_of(bad, "xxx", batch)
    kept = sorted(path.name for path in (tmp_path / "non_finite").iterdir())
    assert kept == [f"update-000000{n}.json" for n in (1, 2, 3, 4, 5)]
    (described,) = json.loads((tmp_path / "non_finite" / kept[0]).read_text(encoding="utf-8"))
    assert described["src_shape"] == list(batch.src.shape)
    pair = described["pairs"][0]
    assert pair["src"].replace(" ", "").replace("▁", " ").strip() == "der Hund sieht den Ball ."
    assert pair["tgt"].replace(" ", "").replace("▁", " ").strip() == "the dog sees ."


def test_what_a_loss_scale_needs_to_come_down_is_no_fault(tmp_path: Path, tokenizer: Tokenizer, batch: Batch) -> None:
    bad = BadUpdates(tmp_path, tokenizer, most=2, spared=4)
    run_of(bad, "xxxx.xxxxx", batch)
    assert [path.name for path in (tmp_path / "non_finite").iterdir()] == ["update-0000010.json"]
    with pytest.raises(UserError, match="6 updates in a row"):
        run_of(bad, "xxxxxx", batch)


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "fused": lambda parameters: torch.optim.Adam(parameters, lr=0.1, fused=True),
    "plain": lambda parameters: torch.optim.Adam(parameters, lr=0.1),
    "fused_sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, fused=True),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
}


def new_trainer(compose_model: Callable[..., dict[str, Any]], optimizer: str = "fused", **settings: object) -> Trainer:
    torch.manual_seed(3)
    model = build_model(compose_model("model=transformer_tiny", "model.dropout=0"), Vocabulary(340, 340, True))
    chosen = OPTIMIZERS[optimizer](model.parameters())
    return Trainer(TrainedModel(model, smoothing=0.1), chosen, lambda _: 1.0, TrainSettings(**settings), torch.device("cpu"))


def state(trainer: Trainer) -> list[torch.Tensor]:
    moments = [value for values in trainer.optimizer.state.values() for value in values.values() if value is not None]
    return [tensor.detach().clone() for tensor in (*trainer.trained.parameters(), *moments)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_an_update_that_is_not_finite_changes_nothing(
    compose_model: Callable[..., dict[str, Any]], batch: Batch, optimizer: str, poison: float
) -> None:
    trainer = new_trainer(compose_model, optimizer)
    assert bool(trainer.update([batch], 1).finite)
    before = state(trainer)
    output: nn.Linear = trainer.trained.model.output  # type: ignore[assignment, union-attr]
    handle = output.weight.register_hook(lambda grad: grad.fill_(poison))
    assert not bool(trainer.update([batch], 2).finite)
    after = state(trainer)
    assert len(before) == len(after)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    handle.remove()
    assert bool(trainer.update([batch], 3).finite)
    assert not all(torch.equal(a, b) for a, b in zip(before, state(trainer), strict=True))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_first_update_that_is_not_finite_leaves_no_state(
    compose_model: Callable[..., dict[str, Any]], batch: Batch, precision: str
) -> None:
    trainer, clean = (new_trainer(compose_model, "fused_sgd", precision=precision) for _ in range(2))
    output: nn.Linear = trainer.trained.model.output  # type: ignore[assignment, union-attr]
    handle = output.weight.register_hook(lambda grad: grad.fill_(torch.inf))
    trainer.update([batch], 1)
    handle.remove()
    trainer.update([batch], 2)
    clean.update([batch], 1)
    torch.testing.assert_close(state(trainer), state(clean), rtol=1e-3, atol=1e-6)  # as if it had not been


def test_a_device_without_memory_is_an_error_that_says_shape_and_remedy(
    compose_model: Callable[..., dict[str, Any]], batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = new_trainer(compose_model)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(trainer.trained, "forward", full)
    S, T = batch.src.size(1), batch.tgt_in.size(1)
    expected = rf"memory for a batch of 1 pairs, {S} source and {T} target positions.*lower train\.tokens_per_batch"
    with pytest.raises(UserError, match=expected):
        trainer.update([batch], 1)


def test_an_error_that_is_not_about_memory_stays_what_it_is(
    compose_model: Callable[..., dict[str, Any]], batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = new_trainer(compose_model)

    def broken(*_: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(trainer.trained, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        trainer.update([batch], 1)


@pytest.mark.parametrize("room", [57, 1500, 4096, 70_001, 5_000_000])
def test_the_budget_that_is_found_fits_with_a_margin_and_is_not_far_from_the_largest(room: int) -> None:
    asked: list[int] = []

    def fits(tokens: int) -> bool:
        asked.append(tokens)
        return tokens <= room

    found = largest_budget(fits, least=50)
    assert found <= max(50, room * MARGIN)
    assert found >= min(room, 1 << 20) * MARGIN * 0.85 or found == 50
    assert len(asked) < 30


def test_a_gpu_that_cannot_take_one_pair_is_named() -> None:
    with pytest.raises(UserError, match=r"longest pair \(50 pieces\) fits the GPU"):
        largest_budget(lambda _: False, least=50)


def test_the_budget_of_a_device_is_found_by_updates_on_it(
    compose_model: Callable[..., dict[str, Any]],
    tokenizer: Tokenizer,
    lines: Callable[..., Any],
    pairs: list[Any],
    tmp_path: Path,
) -> None:
    store = open_store(lines(pairs), "train", tokenizer, tmp_path)
    largest: list[int] = []

    def make(tokens: int) -> Trainer:
        trainer = new_trainer(compose_model)
        update = trainer.update

        def limited(batches: list[Batch], number: int) -> Sums:
            rows = max(batch.tgt_in.size(0) * max(batch.tgt_in.size(1), batch.src.size(1)) for batch in batches)
            assert rows <= tokens
            if rows > 1500:
                raise torch.OutOfMemoryError("CUDA out of memory")
            largest.append(rows)
            return update(batches, number)

        trainer.update = limited  # type: ignore[method-assign]
        return trainer

    found = device_budget(store, make)
    assert 0.7 * 1500 * MARGIN < found <= 1500 * MARGIN + 50
    assert max(largest) <= 1500
