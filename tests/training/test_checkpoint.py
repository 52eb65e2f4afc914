"""Checkpoints are whole or not believed."""

import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nmt.errors import UserError
from nmt.training.checkpoint import FORMAT, MODEL, Contents
from nmt.training.checkpoints import Checkpoints, CheckpointWriter
from nmt.training.state import copied, whole_weights

FILES = ["model.safetensors", "training.pt", "state.json", "manifest.json"]


def model(value: float) -> nn.Linear:
    linear = nn.Linear(3, 2)
    nn.init.constant_(linear.weight, value)
    return linear


def save(checkpoints: Checkpoints, updates: int, best: int, keep: int = 3) -> None:
    state: dict[str, Any] = {"updates": updates, "best": [{"update": best}]}
    training = {"optimizer": {"step": torch.tensor(updates)}}
    contents = Contents({MODEL: whole_weights(model(updates))}, training, state)
    checkpoints.finish(checkpoints.begin(updates), contents, keep=keep)


def names(checkpoints: Checkpoints) -> list[int]:
    return [checkpoint.updates for checkpoint in checkpoints.all()]


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    made = Checkpoints(tmp_path / "checkpoints")
    for updates in (10, 20, 30):
        save(made, updates, best=20)
    return made


def test_a_checkpoint_gives_back_what_was_saved(checkpoints: Checkpoints) -> None:
    loaded = model(0)
    checkpoints.find("20").load_model(loaded)
    assert loaded.weight.eq(20).all()
    assert checkpoints.find("last").updates == 30
    assert checkpoints.find("best").updates == 20
    assert checkpoints.find("30").training()["optimizer"]["step"] == 30
    assert checkpoints.find("10").state() == {"updates": 10, "best": [{"update": 20}]}


def test_an_unknown_checkpoint_lists_those_there_are(checkpoints: Checkpoints) -> None:
    with pytest.raises(UserError, match=r"checkpoint=7 is not in .*: best, last, 10, 20, 30"):
        checkpoints.find("7")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["cut", "altered", "missing"])
def test_a_damaged_file_is_named_and_the_checkpoint_before_it_is_used(checkpoints: Checkpoints, name: str, damage: str) -> None:
    path = checkpoints.directory / "step-0000030" / name
    content = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "altered":
            path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        case "missing":
            path.unlink()
    told: list[str] = []
    found = checkpoints.newest_intact(told.append)
    assert found is not None
    assert found.updates == 20
    assert len(told) == 1
    assert "step-0000030" in told[0]
    if damage != "altered" or name != "manifest.json":  # a bit of a checksum accuses the file that it belongs to
        assert name in told[0]
    with pytest.raises(UserError, match="step-0000030"):
        checkpoints.find("last").load_model(model(0))


def test_nothing_but_damaged_checkpoints_is_an_error_and_none_at_all_is_a_new_run(
    checkpoints: Checkpoints, tmp_path: Path
) -> None:
    for checkpoint in checkpoints.all():
        (checkpoint.directory / "training.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"no checkpoint in .* is intact"):
        checkpoints.newest_intact(lambda _: None)
    assert Checkpoints(tmp_path / "nowhere").newest_intact(lambda _: None) is None


def test_the_newest_and_the_best_are_kept(checkpoints: Checkpoints) -> None:
    save(checkpoints, 40, best=20, keep=2)
    assert names(checkpoints) == [20, 30, 40]
    save(checkpoints, 50, best=50, keep=1)
    assert names(checkpoints) == [50]


def test_checkpoints_of_a_future_that_was_given_up_go(checkpoints: Checkpoints) -> None:
    save(checkpoints, 25, best=20, keep=1)
    assert names(checkpoints) == [20, 25]
    assert checkpoints.find("last").updates == 25


def test_links_that_a_kill_left_behind_are_mended_from_the_state(checkpoints: Checkpoints) -> None:
    for name, wrong in (("last", "step-0000010"), ("best", "step-0000099")):
        (checkpoints.directory / name).unlink()
        (checkpoints.directory / name).symlink_to(wrong)
    checkpoints.point({"updates": 30, "best": [{"update": 20}]})
    assert (checkpoints.find("last").updates, checkpoints.find("best").updates) == (30, 20)


def test_links_that_a_copy_turned_into_folders_become_links_again(checkpoints: Checkpoints, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkpoints.directory, copy, symlinks=False)
    copied = Checkpoints(copy)
    save(copied, 40, best=40)
    assert (copy / "last").is_symlink()
    assert copied.find("best").updates == 40


def test_a_failed_write_leaves_the_checkpoints_as_they_were(checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nmt.training.checkpoints.torch.save", full)
    with pytest.raises(OSError, match="No space left"):
        save(checkpoints, 40, best=40)
    assert names(checkpoints) == [10, 20, 30]
    assert sorted(path.name for path in checkpoints.directory.iterdir()) == [
        "best",
        "last",
        "step-0000010",
        "step-0000020",
        "step-0000030",
    ]


def test_a_damaged_best_checkpoint_is_replaced_by_the_newest_intact_one(checkpoints: Checkpoints) -> None:
    told: list[str] = []
    assert checkpoints.best_intact(told.append).updates == 20
    assert told == []
    (checkpoints.directory / "step-0000020" / "model.safetensors").write_bytes(b"cut")
    assert checkpoints.best_intact(told.append).updates == 30
    assert "step-0000020" in told[0]
    assert "update 30" in told[0]


def contents(updates: int, best: int) -> Contents:
    state: dict[str, Any] = {"updates": updates, "best": [{"update": best}]}
    return Contents({MODEL: whole_weights(model(updates))}, {"optimizer": {}}, state)


def test_what_the_background_could_not_write_is_raised_at_the_next_checkpoint_or_at_the_end(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nmt.training.checkpoints.torch.save", full)
    with CheckpointWriter(checkpoints, keep=3) as writer:
        writer.finish(writer.begin(40), contents(40, best=20))
        with pytest.raises(OSError, match="No space left"):
            writer.begin(50)
    with pytest.raises(OSError, match="No space left"), CheckpointWriter(checkpoints, keep=3) as writer:
        writer.finish(writer.begin(40), contents(40, best=20))
    assert names(checkpoints) == [10, 20, 30]


def test_a_checkpoint_is_what_training_was_when_it_was_asked_for(tmp_path: Path) -> None:
    trained = model(1.0)
    with CheckpointWriter(Checkpoints(tmp_path), keep=3) as writer:
        scratch = writer.begin(1)
        asked = Contents(
            {MODEL: whole_weights(trained)}, copied({"optimizer": {"m": trained.weight}}), {"updates": 1, "best": []}
        )
        writer.finish(scratch, asked)
        nn.init.constant_(trained.weight, 2.0)  # training has gone on
    loaded = model(0)
    found = Checkpoints(tmp_path).find("1")
    found.load_model(loaded)
    assert loaded.weight.eq(1).all()
    assert found.training()["optimizer"]["m"].eq(1).all()


def test_so_many_of_the_best_are_kept_as_the_state_knows(checkpoints: Checkpoints) -> None:
    state: dict[str, Any] = {"updates": 40, "best": [{"update": 20}, {"update": 10}]}
    checkpoints.finish(checkpoints.begin(40), Contents({MODEL: whole_weights(model(4))}, {}, state), keep=1)
    assert names(checkpoints) == [10, 20, 40]
    assert checkpoints.find("best").updates == 20


def test_a_kill_between_two_names_loses_nothing(checkpoints: Checkpoints) -> None:
    directory = checkpoints.directory
    (directory / "step-0000030").rename(directory / ".old-step-0000030")  # its successor had not come yet
    (directory / ".writing-step-0000030").mkdir()
    shutil.copytree(directory / "step-0000020", directory / ".old-step-0000020")  # its successor had
    checkpoints.clean()
    assert names(checkpoints) == [10, 20, 30]
    assert not [path for path in directory.iterdir() if path.name.startswith(".")]
    assert checkpoints.find("30").damage() is None


def test_a_checkpoint_of_the_same_update_takes_the_place_of_the_one_before(checkpoints: Checkpoints) -> None:
    checkpoints.finish(checkpoints.begin(30), contents(30, best=30), keep=3)
    assert names(checkpoints) == [10, 20, 30]
    assert checkpoints.find("best").updates == 30


def test_a_checkpoint_of_an_older_nmt_can_be_used_but_not_continued(checkpoints: Checkpoints) -> None:
    path = checkpoints.directory / "step-0000030" / "manifest.json"
    path.write_text(path.read_text().replace(f'"format": {FORMAT}', '"format": 1'))
    checkpoints.find("30").load_model(model(0))
    with pytest.raises(UserError, match="older nmt: it can be evaluated"):
        checkpoints.find("30").training()


def test_a_checkpoint_off_the_schedule_stays_only_as_long_as_it_is_the_newest(checkpoints: Checkpoints) -> None:
    def kept_after(interruptions: list[int]) -> list[list[int]]:
        made, found = Checkpoints(checkpoints.directory.with_name(f"with_{len(interruptions)}")), []
        for updates in sorted([10, 20, 30, 40, 50, *interruptions]):
            state: dict[str, Any] = {"updates": updates, "best": [{"update": 20}]}
            contents = Contents({MODEL: whole_weights(model(updates))}, None, state)
            made.finish(made.begin(updates), contents, keep=2, scheduled=lambda update: update % 10 == 0)
            found.append(names(made))
        return found

    assert kept_after([]) == [[10], [10, 20], [20, 30], [20, 30, 40], [20, 40, 50]]
    disturbed = kept_after([33, 35, 47])
    assert disturbed == [[10], [10, 20], [20, 30], [20, 30, 33], [20, 30, 35], [20, 30, 40], [20, 40, 47], [20, 40, 50]]


@pytest.mark.parametrize(
    "name", ["checkpoints", "step-0000040", ".writing-step-0000040", "best", "last", ".last", ".old-step-0000040"]
)
def test_links_of_a_stranger_among_the_checkpoints_lead_nowhere(checkpoints: Checkpoints, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (outside / "step-0000001").mkdir(parents=True)
    (outside / "precious.txt").write_text("mine", encoding="utf-8")
    (outside / "step-0000001" / "precious.txt").write_text("mine", encoding="utf-8")
    place = checkpoints.directory if name == "checkpoints" else checkpoints.directory / name
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(outside)
    if name == "checkpoints":
        for work in (checkpoints.clean, lambda: checkpoints.begin(40), lambda: checkpoints.point({"updates": 1, "best": []})):
            with pytest.raises(UserError, match="is a link, but nmt writes into a folder there and nowhere else"):
                work()
    else:
        checkpoints.clean()
        save(checkpoints, 40, best=20, keep=1)
        assert {path.name for path in checkpoints.directory.iterdir()} >= {"step-0000020", "step-0000040", "last", "best"}
        assert not (checkpoints.directory / "step-0000040").is_symlink()
    assert sorted(path.relative_to(outside).as_posix() for path in outside.rglob("*")) == [
        "precious.txt", "step-0000001", "step-0000001/precious.txt",
    ]  # fmt: skip


def test_too_few_file_descriptors_are_no_damage(checkpoints: Checkpoints) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises((UserError, OSError), match="Too many open files"):
            checkpoints.find("30").damage()
        with pytest.raises((UserError, OSError), match="Too many open files"):
            checkpoints.newest_intact(lambda problem: pytest.fail(f"taken for damage: {problem}"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert checkpoints.newest_intact(pytest.fail) == checkpoints.find("30")
