"""Files and folders of ours: nothing is written outside of them, and a file appears whole or not at all."""

import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO, Any, BinaryIO

from nmt.errors import UserError, naming

ABANDONED = 24 * 3600
"""Seconds after which nobody works on a scratch folder any more."""


def inside(root: Path, *names: str) -> Path:
    """The path of a file in a folder of ours, such as a run; the folders between are made.

    A run may come from a stranger, who may have put a link, a pipe or a device where we write.

    Args:
        root: the folder of ours, which the user has named; may itself be a link.
        names: what leads from there to the file, each the name of a folder, the last one that of the file.

    Raises:
        UserError: if a folder on the way is a link, or the file is there but is not a regular one.
    """
    *folders, name = _parts(names)
    path = folder_inside(root, *folders) / name
    _refuse_other(path)
    return path


def folder_inside(root: Path, *names: str) -> Path:
    """The path of a folder in a folder of ours, made if it is not there.

    Raises:
        UserError: if it, or a folder on the way, is a link or no folder.
    """
    path = root
    for name in _parts(names):
        path = path / name
        if _status(path) is None:
            with naming(path):
                path.mkdir(parents=True, exist_ok=True)
        _refuse_other(path, folder=True)
    return path


def check_inside(root: Path, *names: str, folder: bool = False) -> None:
    """Raise what `inside`, or for a folder `folder_inside`, would; make nothing."""
    parts = _parts(names)
    path = root
    for number, name in enumerate(parts, start=1):
        path = path / name
        if _status(path) is None:
            return
        _refuse_other(path, folder=folder or number < len(parts))


def open_inside(root: Path, *names: str, mode: str) -> IO[Any]:
    """Open a file in a folder of ours for writing: `w`, `a`, `a+` or `x`, with `b` for bytes; text is UTF-8.

    A file that has several names, perhaps elsewhere, becomes one of its own before.

    Raises:
        UserError: as `inside`.
    """
    path = inside(root, *names)
    if (found := _status(path)) is not None and found.st_nlink > 1 and "x" not in mode:
        _unshare(path, keep="a" in mode)
    encoding = None if "b" in mode else "utf-8"
    with naming(path):
        return open(path, mode, encoding=encoding, opener=without_following)


def without_following(path: str, flags: int) -> int:
    """An opener for `open` that refuses a link and does not wait for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


@contextmanager
def written_whole(path: Path, *, mode: str = "w") -> Iterator[IO[Any]]:
    """A file that appears under its name when all of it is written and flushed to disk; until then, what had its name stays.

    It is written beside, under a name that no other process has. A file that it replaces leaves it its permissions. A link at
    its place is replaced, not followed.

    Args:
        path: of the file, in a folder that exists.
        mode: `w` for UTF-8 text, `wb` for bytes.

    Raises:
        UserError: if a folder, a pipe or a device is there.
    """
    found = _status(path)
    if found is not None and not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
        _refuse_other(path)
    scratch = beside(path)
    with naming_as(path, scratch):
        try:
            with scratch.open(mode.replace("w", "x"), encoding=None if "b" in mode else "utf-8") as file:
                if found is not None and stat.S_ISREG(found.st_mode) and _mode(file.fileno()) != stat.S_IMODE(found.st_mode):
                    os.fchmod(file.fileno(), stat.S_IMODE(found.st_mode))
                yield file
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file into a folder that is ours alone, such as one that is not published yet."""
    with naming(path):
        path.write_text(text, encoding="utf-8")


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside a path, under a name that no other process has; what is left of it goes at the end."""
    scratch = beside(path)
    with naming_as(path, scratch):
        scratch.mkdir()
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def beside(path: Path) -> Path:
    """A hidden path beside a path, which no other process has, and whose name is short enough for any file system."""
    name = os.fsencode(path.name)[:100].decode(errors="ignore")
    return path.with_name(f".{name}-{secrets.token_hex(8)}.part")


def resolved(path: Path) -> Path:
    """What a path stands for when links are followed; one that leads in a circle stands for itself."""
    return Path(os.path.realpath(path))


def is_scratch(name: str) -> bool:
    """Whether a name is one that `beside` gives."""
    return re.fullmatch(r"\..*-[0-9a-f]{16}\.part", name, re.DOTALL) is not None


@contextmanager
def naming_as(path: Path, scratch: Path) -> Iterator[None]:
    """Let an error of the system that is about a scratch name, or names nothing, name what it was to become."""
    try:
        yield
    except OSError as error:
        name = str(error.filename or scratch)
        if name == str(scratch) or name.startswith(f"{scratch}{os.sep}"):
            error.filename, error.filename2 = f"{path}{name.removeprefix(str(scratch))}", None
        raise


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


def is_regular(path: Path) -> bool:
    """Whether a regular file is there, and no link."""
    found = _status(path)
    return found is not None and stat.S_ISREG(found.st_mode)


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
            _flush(path)


def flush_folder(folder: Path) -> None:
    """Have the disk hold the names in a folder."""
    _flush(folder, os.O_DIRECTORY)


def _flush(path: Path, flags: int = os.O_NOFOLLOW) -> None:
    number = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def is_abandoned(scratch: Path) -> bool:
    """Whether a scratch file or folder is so old that the process that made it must have been killed."""
    return time.time() - scratch.lstat().st_mtime > ABANDONED


def removed(path: Path) -> None:
    """Have nothing at a path: a folder with all that is in it, a file, or a link, and not what that leads to."""
    found = _status(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        shutil.rmtree(path)
    elif found is not None:
        path.unlink(missing_ok=True)


def _parts(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of all folders on the way; none of them leads upwards."""
    parts = PurePath(*names).parts
    if ".." in parts or PurePath(*names).is_absolute():
        raise UserError(f"{PurePath(*names)} leads out of the folder in which nmt writes")
    return parts


def _status(path: Path) -> os.stat_result | None:
    """What is there, a link not followed; None where there is nothing."""
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _refuse_other(path: Path, *, folder: bool = False) -> None:
    """Raise `UserError` if what is there is no regular file, or no folder where one is wanted."""
    if (found := _status(path)) is None:
        return
    if folder and not stat.S_ISDIR(found.st_mode):
        raise UserError(f"{path} is {_kind(found)}, but nmt writes into a folder there and nowhere else: remove it")
    if not folder and not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is {_kind(found)}, but nmt writes a file there: remove it")


def _kind(found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return "a link"
    return "a folder" if stat.S_ISDIR(found.st_mode) else "a file" if stat.S_ISREG(found.st_mode) else "a pipe or a device"


def _mode(number: int) -> int:
    return stat.S_IMODE(os.fstat(number).st_mode)


def _unshare(path: Path, *, keep: bool) -> None:
    """Let a file that has several names be one of its own, with what it holds or empty."""
    with path.open("rb") as shared, written_whole(path, mode="wb") as own:
        if keep:
            shutil.copyfileobj(shared, own)
