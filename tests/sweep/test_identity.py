"""What a sweep folder is of: what continues it, and what is refused before any work."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from nmt.errors import UserError
from tests.sweep.test_multirun import Pretended, here, run

__all__ = ["here"]

GRID = ("model=luong_tiny,transformer_tiny", "sweep_dir=s")


def begin(*arguments: str) -> None:
    assert run(*arguments, train=Pretended()) == 0


def refused(*arguments: str) -> str:
    """The message of a command that must not train anything, and leaves the folder as it is."""
    train, before = Pretended(), sorted(Path("s").rglob("*"))
    with pytest.raises(UserError) as caught:
        run(*arguments, train=train)
    assert train.trained == []
    assert sorted(Path("s").rglob("*")) == before
    return str(caught.value)


def forget() -> None:
    """Make the sweep one of a version that kept nothing of what it is of."""
    (Path("s") / ".sweep" / "sweep.json").unlink()


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("other", "words"),
    [
        (("optimizer.lr=0.1,0.2",), ["keys that vary", "seed", "→ optimizer.lr"]),
        (("model=luong_tiny,transformer_tiny", "seed=3,4"), ["keys that vary", "→ model, seed"]),
        (("seed=3,4", "model.dropout=0.4"), ["model.dropout (0.1 → 0.4)"]),
        (("seed=3,4", "optimizer.lr=0.5"), ["optimizer.lr (", "→ 0.5)"]),
        (("seed=3,4", "data.train_pairs=70"), ["the text of data.train", "data.train_pairs (30000 → 70)"]),
        (("seed=3,4", "data.src=de", "data.tgt=en"), ["data.src (en → de)", "data.tgt (de → en)"]),
        (("seed=3,4", "guide.links=gold"), ["guide.links (None → gold)"]),
    ],
)
def test_new_runs_of_another_sweep_are_refused_with_the_keys_and_both_values(
    kept: bool, other: tuple[str, ...], words: list[str]
) -> None:
    begin("seed=1,2", "sweep_dir=s")
    if not kept:
        forget()
    message = refused(*other, "sweep_dir=s")
    for word in [*words, "sweep_dir=s is of another sweep", "choose another sweep_dir"]:
        assert word in message


def test_another_choice_of_configs_is_named_as_it_is_typed() -> None:
    begin("seed=1,2", "model=luong_tiny", "sweep_dir=s")
    message = refused("seed=3,4", "model=transformer_tiny", "sweep_dir=s")
    assert "model (luong_tiny → transformer_tiny)" in message
    assert "model.encoder_layers" not in message
    message = refused("seed=3,4", "model=luong_tiny", "experiment=quickstart", "sweep_dir=s")
    assert "experiment (None → quickstart)" in message


def test_a_constant_is_compared_in_the_runs_that_are_there_not_only_in_those_to_come() -> None:
    begin(*GRID)
    assert "model.dropout (0.2 → 0.4)" in refused("model=bahdanau_tiny,encdec_tiny", "model.dropout=0.4", "sweep_dir=s")
    assert "model.readout (None → deep)" in refused("model=bahdanau_tiny,encdec_tiny", "+model.readout=deep", "sweep_dir=s")
    assert "model.dropout (0.1 → 0.2)" in refused("model=bahdanau_tiny,luong_tiny", "model.dropout=0.2", "sweep_dir=s")


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("more", "names"),
    [
        (("model=luong_tiny,bahdanau_tiny",), ["model=bahdanau_tiny"]),
        (("model=bahdanau_tiny,encdec_tiny", "device=cpu", "train.keep=7"), ["model=bahdanau_tiny", "model=encdec_tiny"]),
        (("model=bahdanau_tiny,luong_tiny", "train.log_every=7"), ["model=bahdanau_tiny"]),
    ],
)
def test_more_values_and_what_is_free_continue_a_sweep(kept: bool, more: tuple[str, ...], names: list[str]) -> None:
    begin(*GRID)
    if not kept:
        forget()
    train = Pretended()
    assert run(*more, "sweep_dir=s", train=train) == 0
    assert train.names == names


def test_longer_training_and_later_seeds_continue_a_sweep_again_and_again() -> None:
    begin("seed=1,2", "sweep_dir=s")
    for seeds, names in (("1,2,3", ["seed=3"]), ("5,6", ["seed=5", "seed=6"])):
        train = Pretended()
        assert run(f"seed={seeds}", "sweep_dir=s", train=train) == 0
        assert train.names == names
    longer = Pretended()
    assert run("seed=1,7", "train.max_updates=9", "sweep_dir=s", train=longer) == 0
    assert longer.names == ["seed=1", "seed=7"]


def test_a_sweep_whose_runs_left_nothing_is_still_known() -> None:
    failing = Pretended(lambda config: UserError("no"))
    assert run("seed=1,2", "sweep_dir=s", train=failing) == 1
    assert "optimizer.lr" in refused("optimizer.lr=0.1,0.2", "sweep_dir=s")
    assert (Path("s") / ".sweep" / "failed" / "seed=1.txt").exists()


def test_values_that_need_quotes_are_found_in_the_names_of_runs(tmp_path: Path) -> None:
    begin("optimizer.betas=[0.9,0.98],[0.9,0.99]", "sweep_dir=s")
    forget()
    train = Pretended()
    assert run("optimizer.betas=[0.9,0.98],[0.8,0.9]", "sweep_dir=s", train=train) == 0
    assert len(train.trained) == 1


def test_ordinary_runs_in_the_folder_are_no_part_of_the_sweep() -> None:
    begin("seed=1,2", "sweep_dir=s")
    shutil.copytree("s/seed=1", "s/baseline")
    forget()
    begin("seed=1,2,3", "sweep_dir=s")


@pytest.mark.integration
def test_a_search_is_known_by_what_it_searches_and_by_its_constants() -> None:
    search = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "sweep_dir=s")
    space = ("optimizer.lr=tag(log,interval(1e-4,1e-2))", "model=luong_tiny")
    begin(*search, *space)
    assert "model (luong_tiny → transformer_tiny)" in refused(*search, space[0], "model=transformer_tiny")
    assert "keys that vary (optimizer.lr → model.dropout)" in refused(*search, "model.dropout=interval(0,0.5)", space[1])
    assert "the text of data.train" in refused(*search, *space, "data.train_pairs=70")
    train = Pretended()
    assert run(*search, "optimizer.lr=interval(0.5,0.9)", space[1], "hydra.sweeper.n_trials=3", train=train) == 0
    assert train.trained


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    begin("seed=1,2", "sweep_dir=s")
    record: Any = Path("s") / ".sweep" / "sweep.json"
    record.write_text("[")
    assert "sweep.json is damaged" in refused("seed=1,2", "sweep_dir=s")
