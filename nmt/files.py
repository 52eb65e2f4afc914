"""Files and folders of ours: nothing is written outside of them, a file appears whole or not at all, and only what is known
to be ours is replaced."""

import errno
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from nmt.errors import UserError, naming

LIST = ".nmt-files.json"
"""In a folder of results: the names of the files that nmt has written there, with their sizes and times of change."""


def inside(root: Path, *names: str) -> Path:
    """The path of a file in a folder of ours, such as a run; the folders between are made.

    A run may come from a stranger, who may have put a link, a pipe or a device where we write.

    Args:
        root: the folder of ours, which the user has named; may itself be a link.
        names: what leads from there to the file, each the name of a folder, the last one that of the file.

    Raises:
        UserError: if a folder on the way is a link, or the file is there but is not a regular one.
    """
    path = root
    for name in names[:-1]:
        path = folder_inside(path, name)
    path = path / names[-1]
    found = _status(path)
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is {_kind(found)}, but nmt writes a file there: remove it")
    return path


def folder_inside(root: Path, *names: str) -> Path:
    """The path of a folder in a folder of ours, made if it is not there.

    Raises:
        UserError: if it, or a folder on the way, is a link or no folder.
    """
    path = root
    for name in names:
        path = path / name
        found = _status(path)
        if found is None:
            with naming(path):
                path.mkdir(parents=True, exist_ok=True)
        elif not stat.S_ISDIR(found.st_mode):
            raise UserError(f"{path} is {_kind(found)}, but nmt writes into a folder there and nowhere else: remove it")
    return path


def open_inside(root: Path, *names: str, mode: str) -> IO[Any]:
    """Open a file in a folder of ours for writing: `w`, `a`, `a+` or `x`, with `b` for bytes; text is UTF-8.

    Raises:
        UserError: as `inside`.
    """
    path = inside(root, *names)
    if "a" in mode and (found := _status(path)) is not None and found.st_nlink > 1:
        _unshare(path)
    encoding = None if "b" in mode else "utf-8"
    with naming(path):
        return open(path, mode, encoding=encoding, opener=_without_following)


@contextmanager
def written_whole(path: Path, *, mode: str = "w") -> Iterator[IO[Any]]:
    """A file that appears under its name when all of it is written and flushed to disk; until then, what had its name stays.

    It is written beside, under a name that no other process has. A link at its place is replaced, not followed.

    Args:
        path: of the file, in a folder that exists.
        mode: `w` for UTF-8 text, `wb` for bytes.
    """
    with naming(path):
        number, name = tempfile.mkstemp(prefix=f".{path.name[:100]}-", dir=path.parent)
        scratch = Path(name)
        try:
            with os.fdopen(number, mode, encoding=None if "b" in mode else "utf-8") as file:
                os.fchmod(number, _mode_of(path))
                yield file
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)


@contextmanager
def published(folder: Path, *, trusted: bool = False) -> Iterator[Path]:
    """An empty folder whose files, when all of them are written, take the place of those of an earlier call in `folder`.

    Where `folder` holds nothing else, it is replaced as a whole; else its files are, one by one, and what is not ours stays.
    If something goes wrong before, `folder` stays as it was.

    Args:
        folder: is made where it is not there.
        trusted: whether whatever has the name of a file of ours is ours, as in a run, which nobody else writes into.

    Raises:
        UserError: if a file there has the name of a new one, and no earlier call is known to have written it as it is now.
    """
    folder = folder.resolve()
    with naming(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _recover(folder)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name[:100]}-", dir=folder.parent))
    try:
        scratch.chmod(0o777 & ~_umask())
        yield scratch
        new = sorted(path.name for path in scratch.iterdir())
        there = {path.name for path in folder.iterdir()} - {LIST} if folder.is_dir() else set()
        ours = there if trusted else known_files(folder)
        if foreign := sorted((there & set(new)) - ours):
            raise UserError(
                f"{folder / foreign[0]} is there, and nmt is not known to have written it as it is: move it, or choose another "
                "folder with output=FOLDER"
            )
        if not there - ours:
            _list_files(scratch, new)
            flush(scratch)
            _swap(scratch, folder)
            return
        _list_files(folder, sorted({*new, *ours}), of=scratch)  # first, so that a call that is killed can be made again
        for name in sorted(ours - set(new)):
            (folder / name).unlink(missing_ok=True)
        for name in new:
            (scratch / name).replace(folder / name)
        _list_files(folder, new)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def known_files(folder: Path) -> set[str]:
    """The names of the files in a folder that `published` has written and nobody has changed since."""
    try:
        listed = json.loads((folder / LIST).read_text(encoding="utf-8"))
        return {name for name, written in listed.items() if _stamp(folder / name) in written}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return set()


def regular_file(path: Path) -> Path:
    """The path itself, if a regular file is there, or a link to one: no pipe and no device, which might never end.

    Raises:
        UserError: if it is anything else.
        FileNotFoundError: if there is nothing.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is {_kind(found)}, but must be a file")
    return path


def open_regular(path: Path, *, most: int) -> BinaryIO:
    """Open a regular file, or a link to one, for reading; what is none is neither waited for nor read.

    Args:
        path: of the file.
        most: bytes that such a file may have.

    Raises:
        UserError: if it is a pipe, a device or a folder, is too large, or cannot be read.
        FileNotFoundError: if there is nothing.
    """
    try:
        number = os.open(regular_file(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    found = os.fstat(number)
    if not stat.S_ISREG(found.st_mode) or found.st_size > most:
        os.close(number)
        regular_file(path)
        raise UserError(f"{path} is not what nmt writes: it has {found.st_size:,} bytes, more than {most:,}")
    return os.fdopen(number, "rb")


def flush(folder: Path) -> None:
    """Have the disk hold a folder and everything below it."""
    for path in (*folder.rglob("*"), folder):
        with naming(path):
            number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fsync(number)
            finally:
                os.close(number)


def _status(path: Path) -> os.stat_result | None:
    """What is there, a link not followed; None where there is nothing."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _kind(found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return "a link"
    return "a folder" if stat.S_ISDIR(found.st_mode) else "a file" if stat.S_ISREG(found.st_mode) else "a pipe or a device"


def _without_following(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _unshare(path: Path) -> None:
    """Let a file that has several names, perhaps elsewhere, be a copy of its own."""
    with path.open("rb") as shared, written_whole(path, mode="wb") as own:
        shutil.copyfileobj(shared, own)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _mode_of(path: Path) -> int:
    """The permissions of a file, or those of a new one."""
    found = _status(path)
    return stat.S_IMODE(found.st_mode) if found is not None and stat.S_ISREG(found.st_mode) else 0o666 & ~_umask()


def _stamp(path: Path) -> list[int]:
    found = path.lstat()
    return [found.st_size, found.st_mtime_ns]


def _list_files(folder: Path, names: list[str], *, of: Path | None = None) -> None:
    """Write down what nmt has written into a folder: for each name the files that it may be, there or still in `of`."""
    stamps = {}
    for name in names:
        found = [path for path in (folder / name, *([of / name] if of else [])) if _status(path) is not None]
        stamps[name] = [_stamp(path) for path in found]
    with written_whole(folder / LIST) as file:
        json.dump(stamps, file)


def _old(folder: Path) -> Path:
    return folder.with_name(f".old-{folder.name}")


def _recover(folder: Path) -> None:
    """Give back its name to a folder that a kill has left without one."""
    if _status(folder) is None and (found := _status(_old(folder))) is not None and stat.S_ISDIR(found.st_mode):
        _old(folder).rename(folder)


def _swap(scratch: Path, folder: Path) -> None:
    """Let a folder take the place of another one."""
    old = _old(folder)
    if _status(folder) is not None:
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    try:
        scratch.rename(folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another call was faster, by as little
            raise UserError(f"another process writes into {folder}: choose another folder with output=FOLDER") from error
        raise
    with suppress(OSError):
        flush_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def flush_folder(folder: Path) -> None:
    """Have the disk hold the names in a folder."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
