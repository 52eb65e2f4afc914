"""The cache of what was computed from text before."""

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TypedDict, TypeVar

from nmt.errors import is_of_the_system, naming
from nmt.files import flush, flush_folder, regular_file
from nmt.saved import read_json

Contents = TypeVar("Contents")
log = logging.getLogger("nmt")

MANIFEST = "cache.json"
"""In each folder: its name, and the SHA-256 of every other file."""

DAY = 24 * 60 * 60
"""Seconds after which what a process has begun to write, and not touched since, is known to be left by one that was killed."""

_SCRATCH = re.compile(r"\.[a-z]+-[0-9a-f]{32}-\w{8}")


class Manifest(TypedDict):
    """What `cache.json` holds."""

    name: str
    sha256: dict[str, str]


def cached(cache: Path, name: str, write: Callable[[Path], None], read: Callable[[Path], Contents]) -> Contents:
    """What `read(folder)` finds in the folder `name` of a cache, which `write(folder)` fills if it is not there yet.

    It is filled under another name, flushed to disk and renamed, so that other processes see all of it or nothing. A folder
    that was cut short or altered, by a single bit even, is filled anew. Where the system cannot read it now, for want of
    memory, file descriptors or permission, it stays as it is.

    Args:
        cache: a folder, made if it is not there.
        name: of the folder in it, which says all that decides its content.
        write: fills an empty folder.
        read: opens a filled one; raises `ValueError` if it does not hold what it should.

    Raises:
        OSError: if the system cannot read or write (it names the file).
    """
    folder = cache / name
    with naming(folder):
        found = _identity(folder)
        if found is not None:
            try:
                return _open(folder, read)
            except (OSError, ValueError, TypeError, LookupError, EOFError) as error:
                if is_of_the_system(error):
                    raise
                log.warning(f"{folder} was cut short or altered: making it again")
                _remove(folder, found)
        if _identity(folder) is None:
            _fill(folder, write)
        return _open(folder, read)


def _open(folder: Path, read: Callable[[Path], Contents]) -> Contents:
    """Open a folder whose files are all those, to the bit, that were written."""
    manifest = read_json(folder / MANIFEST, Manifest)
    if manifest != _manifest(folder):
        raise ValueError(f"{folder} does not hold what was written there")
    return read(folder)


def _fill(folder: Path, write: Callable[[Path], None]) -> None:
    cache = folder.parent
    cache.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(cache)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=cache))
    try:
        write(scratch)
        text = json.dumps(_manifest(scratch) | {"name": folder.name})
        (scratch / MANIFEST).write_text(text, encoding="utf-8")
        flush(scratch)
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.exists():  # another process was faster: its folder holds the same
                raise
        with suppress(OSError):
            flush_folder(cache)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _manifest(folder: Path) -> Manifest:
    """That of the files that are there now."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name != MANIFEST and not path.is_dir():
            with naming(path), regular_file(path).open("rb") as file:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": folder.name, "sha256": found}


class _Identity(NamedTuple):
    """What tells a folder from another one of its name."""

    device: int
    inode: int
    changed: int


def _identity(folder: Path) -> _Identity | None:
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return None
    return _Identity(status.st_dev, status.st_ino, status.st_mtime_ns)


def _remove(folder: Path, found: _Identity) -> None:
    """Remove a damaged folder, unless another process has done so and put a whole one in its place."""
    with _alone(folder.parent):
        if _identity(folder) != found:
            return
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        folder.rename(aside / "damaged")
    shutil.rmtree(aside)


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """While no other process removes something, where the file system knows locks."""
    number = os.open(cache, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _remove_leftovers(cache: Path) -> None:
    for path in cache.iterdir():
        if _SCRATCH.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            with suppress(OSError):  # it is gone, or somebody else's
                if max(file.lstat().st_mtime for file in (path, *path.rglob("*"))) < time.time() - DAY:
                    shutil.rmtree(path, ignore_errors=True)
