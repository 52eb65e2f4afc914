"""The cache: what was altered is made again, what the system cannot read now stays, and nothing is there by halves."""

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmt.data.cache
from nmt.data.cache import cached
from nmt.data.store import SIDES, open_store
from nmt.data.tokenizer import Tokenizer
from nmt.errors import UserError

Pair = tuple[str, str]
Lines = Callable[..., Any]
NAME = "things-" + 32 * "0"


def write(folder: Path) -> None:
    (folder / "a").write_bytes(b"content")


def read(folder: Path) -> bytes:
    return (folder / "a").read_bytes()


def ids(store: Any) -> list[list[list[int]]]:
    return [[store.ids(pair, side).tolist() for side in SIDES] for pair in range(len(store))]


def signed(folder: Path) -> None:
    """Let the manifest of a folder be that of the files which are there."""
    files = [path for path in folder.iterdir() if path.name != "cache.json"]
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / "cache.json").write_text(json.dumps({"name": folder.name, "sha256": sums}))


@pytest.mark.parametrize(
    "file", ["src.ids", "tgt.ids", "src.ids.offsets.npy", "tgt.ids.offsets.npy", "meta.json", "cache.json"]
)
@pytest.mark.parametrize("place", [0, -1])
def test_one_altered_bit_in_cached_ids_is_noticed(
    lines: Lines, pairs: list[Pair], tokenizer: Tokenizer, tmp_path: Path, file: str, place: int
) -> None:
    first = open_store(lines(pairs), "train", tokenizer, tmp_path)
    expected, path = ids(first), first.directory / file
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert ids(open_store(lines(pairs), "train", tokenizer, tmp_path)) == expected
    content[place] ^= 1
    assert path.read_bytes() == content


def test_one_altered_bit_in_a_cached_tokenizer_is_noticed(lines: Lines, pairs: list[Pair], tmp_path: Path) -> None:
    from nmt.config import TokenizerSettings
    from nmt.data.tokenizer import cached_tokenizer

    settings = vars(TokenizerSettings(vocab_size=320))
    first = cached_tokenizer(lines(pairs), settings, tmp_path)
    path, *_ = tmp_path.rglob("*.model")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert cached_tokenizer(lines(pairs), settings, tmp_path).models == first.models


@pytest.mark.parametrize("wrong", [-1, 340, 2**31 - 1])
def test_an_id_that_is_in_no_vocabulary_is_noticed_when_the_store_is_opened(
    lines: Lines, pairs: list[Pair], tokenizer: Tokenizer, tmp_path: Path, wrong: int
) -> None:
    first = open_store(lines(pairs), "train", tokenizer, tmp_path)
    expected, path = ids(first), first.directory / "tgt.ids"
    content = np.fromfile(path, np.int32)
    content[7] = wrong
    content.tofile(path)
    signed(first.directory)
    assert ids(open_store(lines(pairs), "train", tokenizer, tmp_path)) == expected


def test_offsets_that_go_back_and_missing_pairs_are_noticed(
    lines: Lines, pairs: list[Pair], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    first = open_store(lines(pairs), "train", tokenizer, tmp_path)
    expected, path = ids(first), first.directory / "src.ids.offsets.npy"
    offsets = np.load(path)
    offsets[[2, 3]] = offsets[[3, 2]]
    for wrong in (offsets, np.delete(np.load(path), 5), np.load(path)[:0]):
        np.save(path, wrong)
        signed(first.directory)
        assert ids(open_store(lines(pairs), "train", tokenizer, tmp_path)) == expected


def test_files_that_nobody_has_written_and_another_folders_content_are_noticed(tmp_path: Path) -> None:
    cached(tmp_path, NAME, write, read)
    (tmp_path / NAME / "b").touch()
    cached(tmp_path, NAME, write, read)
    assert not (tmp_path / NAME / "b").exists()
    other = NAME.replace("0", "1")
    shutil.copytree(tmp_path / NAME, tmp_path / other)
    assert cached(tmp_path, other, lambda folder: (folder / "a").write_bytes(b"other") and None, read) == b"other"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EACCES, errno.ENOMEM, errno.EIO, errno.ENOSPC])
def test_what_the_system_cannot_read_now_is_not_taken_for_damage(tmp_path: Path, number: int) -> None:
    cached(tmp_path, NAME, write, read)
    inode = (tmp_path / NAME / "a").stat().st_ino

    def fail(_: Path) -> None:
        raise OSError(number, os.strerror(number))

    def fail_inside(folder: Path) -> None:
        try:
            fail(folder)
        except OSError as error:
            raise ValueError("it cannot be read") from error

    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        cached(tmp_path, NAME, write, fail)
    assert caught.value.filename == str(tmp_path / NAME)
    with pytest.raises(ValueError, match="it cannot be read"):
        cached(tmp_path, NAME, write, fail_inside)
    assert (tmp_path / NAME / "a").stat().st_ino == inode
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_too_few_file_descriptors_remove_nothing(lines: Lines, pairs: list[Pair], tokenizer: Tokenizer, tmp_path: Path) -> None:
    import resource

    first = open_store(lines(pairs), "train", tokenizer, tmp_path)
    inodes = sorted(path.stat().st_ino for path in first.directory.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(UserError, match=r"cache\.json cannot be read: Too many open files"):
            open_store(lines(pairs), "train", tokenizer, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sorted(path.stat().st_ino for path in first.directory.iterdir()) == inodes


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: (path.unlink(), path.mkdir()), Path.touch])
def test_a_file_that_is_missing_or_a_folder_is_damage(tmp_path: Path, harm: Callable[[Path], object]) -> None:
    cached(tmp_path, NAME, write, read)
    harm(tmp_path / NAME / "a")
    assert cached(tmp_path, NAME, write, read) == b"content"


def test_a_file_in_place_of_the_folder_is_damage(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"")
    assert cached(tmp_path, NAME, write, read) == b"content"


def test_a_folder_that_another_process_has_made_anew_is_not_removed(tmp_path: Path) -> None:
    cached(tmp_path, NAME, write, read)
    calls = []

    def read_late(folder: Path) -> bytes:
        calls.append(folder)
        if len(calls) > 1:
            return read(folder)
        shutil.move(folder, tmp_path / "aside")  # what another process does, while this one finds out
        cached(tmp_path, NAME, write, read)
        raise ValueError("what was there was damaged")

    assert cached(tmp_path, NAME, lambda _: pytest.fail("made again"), read_late) == b"content"
    assert len(calls) == 2


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events, synced = [], os.fsync
    rename = Path.rename

    def seen(number: int) -> None:
        events.append(str(Path(f"/proc/self/fd/{number}").readlink()))
        synced(number)

    def renamed(path: Path, target: Path) -> Path:
        events.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", seen)
    monkeypatch.setattr(Path, "rename", renamed)
    cached(tmp_path, NAME, write, read)
    before = {Path(event).name for event in events[: events.index("rename")]}
    assert {"a", "cache.json"} < before
    assert events[events.index("rename") + 1 :] == [str(tmp_path)]


def test_what_a_killed_process_has_left_is_removed_after_a_day(tmp_path: Path) -> None:
    old, young, other = (tmp_path / name for name in (f".{NAME}-abcd_123", f".{NAME}-abcd_124", ".somebodys"))
    for folder in (old, young, other):
        folder.mkdir()
        (folder / "a").touch()
    for path in (old / "a", old, other / "a", other):
        os.utime(path, (time.time() - 2 * nmt.data.cache.DAY,) * 2)
    cached(tmp_path, NAME, write, read)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([NAME, young.name, other.name])


def test_what_fails_while_it_is_written_leaves_nothing_and_names_its_place(tmp_path: Path) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left") as caught:
        cached(tmp_path, NAME, full, read)
    assert caught.value.filename == str(tmp_path / NAME)
    assert list(tmp_path.iterdir()) == []
