"""Writing inside a folder of ours, and files that appear whole or not at all."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nmt.errors import UserError
from nmt.files import (
    check_inside,
    folder_inside,
    inside,
    is_scratch,
    open_inside,
    regular_file,
    scratch_folder,
    written_whole,
)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder of ours, with something else beside it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


IN_THE_WAY: dict[str, tuple[str, Callable[[Path], object]]] = {
    "link to a file": ("a link", lambda path: path.symlink_to("../outside/file")),
    "dangling link": ("a link", lambda path: path.symlink_to("../outside/new")),
    "link to a folder": ("a link", lambda path: path.symlink_to("../outside")),
    "link to a device": ("a link", lambda path: path.symlink_to("/dev/null")),
    "loop": ("a link", lambda path: path.symlink_to(path.name)),
    "pipe": ("a pipe or a device", os.mkfifo),
    "socket": ("a pipe or a device", a_socket),
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_what_is_no_file_of_ours_is_refused_and_nothing_outside_is_touched(run: Path, what: str) -> None:
    word, put = IN_THE_WAY[what]
    put(run / "log")
    for use in (
        lambda: inside(run, "log"),
        lambda: inside(run, "log", "file"),
        lambda: inside(run, "log/new/file"),
        lambda: folder_inside(run, "log"),
        lambda: check_inside(run, "log"),
        lambda: check_inside(run, "log", "file"),
        lambda: check_inside(run, "log", folder=True),
        lambda: open_inside(run, "log", mode="a"),
        lambda: open_inside(run, "log", mode="w"),
    ):
        with pytest.raises(UserError, match=rf"log is {word}"):
            use()
    assert [path.name for path in (run.parent / "outside").iterdir()] == ["file"]
    assert (run.parent / "outside" / "file").read_text(encoding="utf-8") == "mine"


def test_a_folder_in_place_of_a_file_and_a_file_in_place_of_a_folder_are_refused(run: Path) -> None:
    (run / "folder").mkdir()
    (run / "file").touch()
    with pytest.raises(UserError, match="folder is a folder"):
        inside(run, "folder")
    with pytest.raises(UserError, match="file is a file"):
        inside(run, "file", "x")


@pytest.mark.parametrize("name", ["../outside/file", "a/../../outside/file", "/etc/passwd"])
def test_no_name_leads_out(run: Path, name: str) -> None:
    for use in (inside, folder_inside, check_inside):
        with pytest.raises(UserError, match="leads out of the folder"):
            use(run, name)


def test_a_run_that_is_a_link_itself_is_written_to_and_folders_are_made(run: Path) -> None:
    link = run.with_name("link")
    link.symlink_to("run")
    with open_inside(link, "a", "b", "log", mode="a") as file:
        file.write("ä\n")
    with open_inside(link, "a", "b", "log", mode="a") as file:
        file.write("b\n")
    assert (run / "a" / "b" / "log").read_text(encoding="utf-8") == "ä\nb\n"
    check_inside(link, "c", "d")
    assert not (run / "c").exists()


@pytest.mark.parametrize(("how", "left"), [("a", "mine and more"), ("w", " and more")])
def test_a_file_that_has_another_name_elsewhere_is_not_written_there(run: Path, how: str, left: str) -> None:
    (run / "log").hardlink_to(run.parent / "outside" / "file")
    with open_inside(run, "log", mode=how) as file:
        file.write(" and more")
    assert (run / "log").read_text(encoding="utf-8") == left
    assert (run.parent / "outside" / "file").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("length", [1, 255])
@pytest.mark.parametrize("character", ["x", "ü", "字", "😀"])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path, character: str, length: int) -> None:
    path = tmp_path / (character * max(length // len(character.encode()), 1))
    with written_whole(path) as file:
        file.write("a")
    with scratch_folder(path) as scratch:
        assert scratch.parent == tmp_path
        assert is_scratch(scratch.name)
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_usual_permissions_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with umask(0o027), written_whole(path), scratch_folder(path) as scratch:
        assert mode(scratch) == 0o750
    assert mode(path) == 0o640
    path.chmod(0o604)
    with umask(0o077), written_whole(path, mode="wb") as file:
        file.write(b"new")
    assert mode(path) == 0o604
    assert path.read_bytes() == b"new"


def test_until_all_is_written_what_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt), written_whole(path) as file:
        file.write("new")
        raise KeyboardInterrupt
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_that_write_one_file_at_once_both_write_all_of_theirs(tmp_path: Path) -> None:
    path = tmp_path / "file"
    (tmp_path / ".file.part").write_text("of the user", encoding="utf-8")
    with written_whole(path) as one, written_whole(path) as other:
        one.write("one\n")
        other.write("other\n")
        other.flush()
        one.write("one\n")
    assert path.read_text(encoding="utf-8") == "one\none\n"
    assert (tmp_path / ".file.part").read_text(encoding="utf-8") == "of the user"


def test_a_link_is_replaced_and_not_followed(run: Path) -> None:
    (run / "file").symlink_to("../outside/file")
    with written_whole(run / "file") as file:
        file.write("new")
    assert not (run / "file").is_symlink()
    assert (run.parent / "outside" / "file").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("what", ["pipe", "socket"])
def test_a_pipe_is_not_replaced_by_a_file(run: Path, what: str) -> None:
    IN_THE_WAY[what][1](run / "file")
    with pytest.raises(UserError, match="a pipe or a device"), written_whole(run / "file"):
        pass
    assert [path.name for path in run.iterdir()] == ["file"]


def test_an_error_of_the_system_names_the_file_and_no_scratch_name(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere" / "file", Path("/proc/file")):
        with pytest.raises(FileNotFoundError) as caught, written_whole(path):
            pass
        assert caught.value.filename == str(path)
    with pytest.raises(OSError, match="full") as caught, written_whole(tmp_path / "file"):
        raise OSError(28, "full")
    assert caught.value.filename == str(tmp_path / "file")


def test_only_a_regular_file_or_a_link_to_one_is_read(run: Path) -> None:
    (run / "link").symlink_to("../outside/file")
    assert regular_file(run / "link") == run / "link"
    os.mkfifo(run / "pipe")
    with pytest.raises(UserError, match="pipe is a pipe or a device, but must be a file"):
        regular_file(run / "pipe")
    (run / "zero").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="zero is a pipe or a device"):
        regular_file(run / "zero")
