"""Results appear in a folder all at once, and take the place of nothing but results of ours."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nmt.published
from nmt.errors import UserError
from nmt.files import is_scratch, write_text
from nmt.published import Published

REFUSED = r"is there, and nmt is not known to have written it as it is: move it, or choose another folder with output=FOLDER"


def write(folder: Path, *names: str, text: str = "new", kind: str = "report", **how: Any) -> None:
    with Published(folder, kind, **how).writing() as scratch:
        for name in names:
            write_text(scratch / name, f"{text} {name}")


def content(folder: Path) -> dict[str, str]:
    """What a folder shows, by name."""
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("[!.]*")}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "a" / "out"


def test_results_of_an_earlier_call_make_room_for_new_ones(out: Path) -> None:
    write(out, "a", "b", text="old")
    write(out, "b", "c")
    assert content(out) == {"b": "new b", "c": "new c"}
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["table.csv", "explanation-of-mine.png"])
def test_a_file_of_the_user_is_never_replaced_or_removed(out: Path, name: str) -> None:
    out.mkdir(parents=True)
    (out / name).write_text("mine", encoding="utf-8")
    write(out, "other", text="old")
    write(out, "another")
    assert content(out) == {name: "mine", "another": "new another"}
    with pytest.raises(UserError, match=rf"{name} {REFUSED}"):
        Published(out, "report").check([name])
    with pytest.raises(UserError, match=rf"{name} {REFUSED}"):
        write(out, name)
    assert content(out) == {name: "mine", "another": "new another"}


def test_what_the_user_has_changed_since_is_theirs(out: Path) -> None:
    write(out, "a", "b")
    (out / "a").write_text("new A", encoding="utf-8")  # as long as it was
    with pytest.raises(UserError, match=REFUSED):
        write(out, "a")
    write(out, "c")
    assert content(out) == {"a": "new A", "c": "new c"}


def test_a_copy_with_other_times_is_known(out: Path) -> None:
    write(out, "a", text="old")
    shutil.copytree(out, out.with_name("copy"), copy_function=shutil.copyfile)
    write(out.with_name("copy"), "a")
    assert content(out.with_name("copy")) == {"a": "new a"}


def test_kinds_of_results_that_share_a_folder_leave_each_other_alone(out: Path) -> None:
    write(out, "a", kind="report")
    write(out, "b", kind="evaluation")
    write(out, "c", kind="report")
    assert content(out) == {"b": "new b", "c": "new c"}
    with pytest.raises(UserError, match=REFUSED):
        write(out, "b", kind="report")


@pytest.mark.parametrize("first", [True, False])
def test_what_fails_changes_nothing(out: Path, first: bool) -> None:
    if not first:
        write(out, "a", text="old")
    with pytest.raises(OSError, match="full") as caught, Published(out, "report").writing() as scratch:
        write_text(scratch / "a", "new")
        raise OSError(errno.ENOSPC, "full", str(scratch / "a"))
    assert caught.value.filename == str(out / "a")
    assert content(out) == ({} if first else {"a": "old a"})
    assert [path.name for path in out.parent.iterdir()] == ([] if first else ["out"])


KILLED = """
import os, signal, sys
from pathlib import Path
import nmt.published
from nmt.files import write_text
step = sys.argv[2]
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
if step != "written":
    setattr(nmt.published, step, die)
with nmt.published.Published(Path(sys.argv[1]), "report").writing() as scratch:
    for name in ("a", "b"):
        write_text(scratch / name, f"new {name}")
    if step == "written":
        die()
"""


@pytest.mark.parametrize("step", ["written", "flush", "_take_place", "flush_folder", "_move"])
@pytest.mark.parametrize("shared", [False, True])
def test_a_kill_leaves_the_old_results_or_the_new_and_the_same_call_works(out: Path, step: str, shared: bool) -> None:
    write(out, "a", "b", text="old")
    if shared:
        (out / "mine").touch()
    done = subprocess.run([sys.executable, "-c", KILLED, str(out), step], check=False)
    replaced_whole = step == "_move" and not shared
    unused = step == "_take_place" and shared
    assert done.returncode == (0 if replaced_whole or unused else -signal.SIGKILL)
    found = {name: text.split()[0] for name, text in content(out).items() if name != "mine"}
    assert found in ({"a": "old", "b": "old"}, {"a": "new", "b": "new"})
    write(out, "a", "c", text="again")
    assert content(out) == {"a": "again a", "c": "again c"} | ({"mine": ""} if shared else {})


def test_a_kill_of_the_first_call_leaves_room_for_the_next(out: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(out), "_take_place"], check=False)
    assert Published(out, "report").is_free()
    write(out, "a")
    assert content(out) == {"a": "new a"}


def test_of_two_at_once_one_is_there_as_a_whole(out: Path) -> None:
    with Published(out, "report").writing() as one, Published(out, "report").writing() as other:
        for name in ("a", "b"):
            write_text(one / name, "one")
            write_text(other / name, "other")
    assert content(out) == {"a": "one", "b": "one"}
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_where_a_folder_cannot_be_replaced_its_files_are(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, "not on this file system")

    write(out, "a", "b", text="old")
    monkeypatch.setattr(nmt.published, "_exchange", refuse)
    write(out, "b", "c", last="b")
    assert content(out) == {"b": "new b", "c": "new c"}
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    write(out, "b")
    assert content(out) == {"b": "new b"}


def test_the_current_folder_stays_the_same_one(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out.mkdir(parents=True)
    monkeypatch.chdir(out)
    before = out.stat().st_ino
    write(Path(), "a", text="old")
    write(Path(), "a")
    assert out.stat().st_ino == before
    assert content(out) == {"a": "new a"}


def test_a_link_that_the_user_names_is_followed_and_stays(out: Path) -> None:
    out.parent.mkdir()
    (out.parent / "real").mkdir()
    out.symlink_to("real")
    write(out, "a", text="old")
    write(out, "a")
    assert out.is_symlink()
    assert content(out.parent / "real") == {"a": "new a"}


def test_the_permissions_of_a_folder_stay(out: Path) -> None:
    write(out, "a")
    out.chmod(0o2750)
    write(out, "a")
    assert out.stat().st_mode & 0o7777 == 0o2750


@pytest.mark.parametrize(
    "listed",
    [
        '{"../../mine": [[4, null]], "": [], ".": [], "..": []}',
        '{"a": 7, "b": "x", "c": [[]], "d": [[1, {}]], "e": {"f": 1}}',
        "[" * 100_000,
        "9" * 5_000,
        "[1]",
        "\\x00",
    ],
)
def test_a_list_of_a_stranger_makes_nothing_ours(out: Path, listed: str) -> None:
    out.mkdir(parents=True)
    for path in (out.parent.parent / "mine", *(out / name for name in "abcde")):
        path.write_text("mine", encoding="utf-8")
    (out / ".nmt-report.json").write_text(listed, encoding="utf-8")
    write(out, "new")
    assert content(out) == dict.fromkeys("abcde", "mine") | {"new": "new new"}
    assert (out.parent.parent / "mine").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", [".nmt-report.json", "a"])
def test_pipes_and_links_of_a_stranger_are_refused(out: Path, name: str) -> None:
    out.mkdir(parents=True)
    os.mkfifo(out / name)
    with pytest.raises(UserError, match=REFUSED):
        Published(out, "report").check(["a"])
    with pytest.raises(UserError, match=rf"{name} is a pipe"):
        Published(out, "report", usual="a", within=out.parent).check(["a"])
    (out / name).unlink()
    (out / name).symlink_to("/dev/null")
    with pytest.raises(UserError, match=REFUSED):
        write(out, "a")
    with pytest.raises(UserError, match=rf"{name} is a link"):
        write(out, "a", usual="a", within=out.parent)
    assert not any(is_scratch(path.name) for path in out.parent.rglob("*"))


def test_in_a_run_what_has_the_name_of_a_result_is_one(out: Path) -> None:
    out.mkdir(parents=True)
    for name in ("a", "b", "notes"):
        (out / name).write_text("old", encoding="utf-8")
    write(out, "a", usual="a|b", within=out.parent)
    assert content(out) == {"a": "new a", "notes": "old"}
    assert json.loads((out / ".nmt-report.json").read_text(encoding="utf-8")).keys() == {"a"}


@pytest.mark.parametrize("name", ["out", ""])
def test_a_folder_in_a_run_that_is_a_link_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "run").mkdir()
    link = tmp_path / "run" / "evaluation" / name if name else tmp_path / "run" / "evaluation"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "outside")
    place = Published(tmp_path / "run" / "evaluation" / "out", "report", within=tmp_path / "run")
    for use in (place.check, lambda: place.writing().__enter__()):
        with pytest.raises(UserError, match=rf"{link.name} is a link"):
            use()
    assert list((tmp_path / "outside").iterdir()) == []
