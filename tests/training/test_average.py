"""Averages of checkpoints: their numbers, their place among the others, and what cannot be averaged."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nmt.errors import UserError
from nmt.training.average import choose, fill_with_mean
from nmt.training.checkpoint import MODEL, Checkpoint, Contents
from nmt.training.checkpoints import Checkpoints
from nmt.training.state import whole_weights


class Tied(nn.Module):
    """Two layers that share a matrix, and a bias."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width, bias=False)
        self.second.weight = self.first.weight


def model(seed: int, width: int = 4) -> Tied:
    torch.manual_seed(seed)
    return Tied(width)


def save(checkpoints: Checkpoints, updates: int, *, best: int = 20, keep: int = 9, width: int = 4) -> None:
    write(checkpoints, model(updates, width), updates, best=best, keep=keep)


def write(checkpoints: Checkpoints, saved: nn.Module, updates: int, *, best: int, keep: int = 9) -> None:
    state: dict[str, Any] = {"updates": updates, "best": [{"update": best}]}
    checkpoints.finish(checkpoints.begin(updates), Contents({MODEL: whole_weights(saved)}, {"optimizer": {}}, state), keep=keep)


def save_averaged(saved: nn.Module, checkpoints: Checkpoints, of: list[Checkpoint]) -> Checkpoint:
    return checkpoints.save_averaged(whole_weights(saved), of)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    made = Checkpoints(tmp_path / "checkpoints")
    for updates in (10, 20, 30, 40):
        save(made, updates)
    return made


def updates(checkpoints: Checkpoints, **choice: Any) -> list[int]:
    return [checkpoint.updates for checkpoint in choose(checkpoints, **({"last": None, "names": None} | choice))]


def test_all_the_newest_or_named_checkpoints_are_chosen_oldest_first(checkpoints: Checkpoints) -> None:
    assert updates(checkpoints) == [10, 20, 30, 40]
    assert updates(checkpoints, last=3) == [20, 30, 40]
    assert updates(checkpoints, names=[40, 10]) == [10, 40]
    assert updates(checkpoints, names=["last", "best"]) == [20, 40]


def test_an_average_is_the_mean_of_every_parameter_and_what_is_tied_stays_tied(checkpoints: Checkpoints) -> None:
    filled = model(0)
    fill_with_mean(filled, choose(checkpoints, last=3, names=None))
    parts = [model(seed) for seed in (20, 30, 40)]
    for name in ("first.weight", "first.bias", "second.weight"):
        mean = torch.stack([part.get_parameter(name).double() for part in parts]).mean(0).float()
        torch.testing.assert_close(filled.get_parameter(name).detach(), mean, rtol=0, atol=0)
    assert filled.first.weight is filled.second.weight


def test_the_sum_does_not_lose_what_float32_would(tmp_path: Path) -> None:
    made = Checkpoints(tmp_path)
    for number, value in enumerate([1e8, 1.0, -1e8, 1.0], start=1):
        part = nn.Linear(1, 1, bias=False)
        nn.init.constant_(part.weight, value)
        write(made, part, number, best=number)
    filled = nn.Linear(1, 1, bias=False)
    fill_with_mean(filled, made.all())
    assert filled.weight.item() == 0.5


def test_an_average_is_loaded_like_any_checkpoint_and_says_what_it_is_of(checkpoints: Checkpoints) -> None:
    saved = model(7)
    made = save_averaged(saved, checkpoints, checkpoints.all()[1:])
    assert made.damage() is None
    loaded = model(8)
    checkpoints.find("averaged").load_model(loaded)
    assert torch.equal(loaded.second.weight, saved.first.weight)
    assert made.state() == {"averaged": [20, 30, 40]}
    assert sorted(path.name for path in made.directory.iterdir()) == ["manifest.json", "model.safetensors", "state.json"]
    assert not list(checkpoints.directory.glob(".writing-*"))


def test_training_on_neither_takes_an_average_for_a_checkpoint_nor_removes_it(checkpoints: Checkpoints) -> None:
    save_averaged(model(7), checkpoints, checkpoints.all())
    assert [checkpoint.updates for checkpoint in checkpoints.all()] == [10, 20, 30, 40]
    newest = checkpoints.newest_intact(lambda _: None)
    assert newest is not None
    assert newest.updates == 40
    save(checkpoints, 50, keep=1)
    assert [checkpoint.updates for checkpoint in checkpoints.all()] == [20, 50]
    assert checkpoints.find("averaged").damage() is None


def test_a_new_average_takes_the_place_of_an_earlier_one(checkpoints: Checkpoints) -> None:
    for seed, of in ((7, checkpoints.all()), (8, checkpoints.all()[2:])):
        save_averaged(model(seed), checkpoints, of)
    assert checkpoints.find("averaged").state() == {"averaged": [30, 40]}
    loaded = model(0)
    checkpoints.find("averaged").load_model(loaded)
    assert torch.equal(loaded.first.weight, model(8).first.weight)


def test_a_failed_write_leaves_the_earlier_average(checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    save_averaged(model(7), checkpoints, checkpoints.all())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nmt.training.checkpoints.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save_averaged(model(8), checkpoints, checkpoints.all())
    assert checkpoints.find("averaged").damage() is None
    assert not list(checkpoints.directory.glob(".writing-*"))


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "manifest.json"])
def test_a_damaged_average_is_not_loaded(checkpoints: Checkpoints, name: str) -> None:
    path = save_averaged(model(7), checkpoints, checkpoints.all()).directory / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"averaged.*(was cut short or altered|is damaged)"):
        checkpoints.find("averaged").load_model(model(0))


def test_a_missing_average_says_what_makes_it(checkpoints: Checkpoints) -> None:
    with pytest.raises(UserError, match=r"checkpoint=averaged is not in .*`nmt average` makes averaged"):
        checkpoints.find("averaged")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"last": 5}, r"an average of 5 checkpoints needs as many, but .* has 4 \(10, 20, 30, 40\): train\.keep says"),
        ({"last": 1}, r"last must be at least 2, for an average needs two checkpoints, but is 1"),
        ({"last": 0}, r"last must be at least 2, .* but is 0"),
        ({"last": 2, "names": [10, 20]}, r"last=N and checkpoints=\[…\] are two choices"),
        ({"names": [10, 25]}, r"checkpoint=25 is not in .* best, last, 10, 20, 30, 40"),
        ({"names": [10]}, r"checkpoints must name at least two, but names 1: \[10\]"),
        ({"names": 40}, r"checkpoints must be a list, such as \[30, 40\], but is 40"),
        ({"names": []}, r"checkpoints must name at least two, but names 0"),
        ({"names": ["last", 40]}, r"names a checkpoint twice: they are those of updates 40, 40"),
        ({"names": [10, "averaged"]}, r"averaged is an average itself"),
    ],
)
def test_checkpoints_that_cannot_be_chosen_are_named(checkpoints: Checkpoints, choice: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        updates(checkpoints, **choice)


def test_a_run_with_one_checkpoint_or_none_has_no_average(tmp_path: Path) -> None:
    made = Checkpoints(tmp_path)
    with pytest.raises(UserError, match=r"an average of 2 checkpoints needs as many, but .* has 0 \(none\)"):
        updates(made)
    save(made, 10)
    with pytest.raises(UserError, match=r"has 1 \(10\): train\.keep says"):
        updates(made)


def test_a_damaged_checkpoint_is_not_averaged(checkpoints: Checkpoints) -> None:
    (checkpoints.directory / "step-0000030" / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(
        UserError, match=r"step-0000030.* was cut short or altered: choose others with checkpoints=\[…\]; there are"
    ):
        updates(checkpoints)
    assert updates(checkpoints, names=[10, 40]) == [10, 40]


def test_a_checkpoint_of_a_newer_format_is_not_averaged(checkpoints: Checkpoints) -> None:
    path = checkpoints.directory / "step-0000030" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(UserError, match=r"format 99.*newer nmt"):
        updates(checkpoints)


def test_a_checkpoint_of_another_shape_is_not_averaged(checkpoints: Checkpoints) -> None:
    save(checkpoints, 50, width=5)
    with pytest.raises(UserError, match=r"step-0000050.* does not fit the run's config\.yaml: .*has shape"):
        fill_with_mean(model(0), choose(checkpoints, last=2, names=None))
