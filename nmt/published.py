"""Results that a command leaves in a folder: all of them or none, and never in place of what is not known to be nmt's."""

import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nmt.errors import UserError
from nmt.files import (
    beside,
    check_inside,
    flush,
    flush_folder,
    folder_inside,
    is_regular,
    is_scratch,
    naming_as,
    resolved,
    without_following,
    written_whole,
)

_MOST = 1 << 20
"""Bytes that a list may have."""

_NOT_WHOLE = {errno.EBUSY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EACCES, errno.EPERM, errno.EROFS}
"""Why a folder may not take the place of another one where its files may: it is a mount, or its parent is another user's."""

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


class Published:
    """A folder for the results of a command.

    A hidden list in it has the size and the checksum of each file that nmt has written there. Only a file that is as the list
    says is replaced or, where it is none of the new results, removed; anything else in the folder stays as it is.

    Args:
        folder: for the results; is made when there are some.
        kind: of results, each with a list of its own, so that several kinds may share a folder.
        usual: pattern of the names of such results. In a run, where nobody else writes, a file of such a name is taken for one
            of ours without a list, which an older nmt did not write.
        last: the file that says that the others are whole; where files are replaced one by one, it goes first and comes last.
        within: the run that the folder is in, if it is in one: it may come from a stranger, so no link leads out of it.
    """

    def __init__(self, folder: Path, kind: str, *, usual: str = "", last: str = "", within: Path | None = None) -> None:
        self.folder = folder
        self._list = f".nmt-{kind}.json"
        self._usual = re.compile(usual)
        self._last = last
        self._within = within

    def check(self, names: Iterable[str] = ()) -> None:
        """Before any work, see whether results of these names may be written; make nothing.

        Raises:
            UserError: if there is a file of such a name that is not known to be nmt's, or the folder cannot be made or written.
        """
        if self._within is not None:
            check_inside(self._within, *self._parts(), folder=True)
        there = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
        if not there.is_dir():
            raise UserError(f"output={self.folder} must be a folder, but {there} is a file")
        if not os.access(there, os.W_OK):
            raise UserError(f"output={self.folder} cannot be written: {there} is read-only; choose another folder")
        self._refuse(self.folder, names)

    def is_free(self) -> bool:
        """Whether there are such results, or nothing; what a kill left of a call does not count."""
        return is_regular(self.folder / self._list) or all(map(is_scratch, _names(self.folder)))

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """An empty folder whose files, when all of them are written, take the place of those of an earlier call.

        If something goes wrong before, the folder stays as it was. Where it holds nothing else, it is replaced as a whole, so
        that even a kill leaves the results of one call.

        Raises:
            UserError: as `check`, about what the new files are called.
        """
        if self._within is not None:
            *above, name = self._parts()
            folder = folder_inside(self._within, *above) / name
            check_inside(self._within, *self._parts(), folder=True)
        else:
            folder = resolved(self.folder)
            folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = _scratch_for(folder)
        with naming_as(self.folder, scratch):
            try:
                yield scratch
                self._publish(scratch, folder)
            except BaseException:
                shutil.rmtree(scratch, ignore_errors=True)
                raise

    def _parts(self) -> tuple[str, ...]:
        assert self._within is not None
        return self.folder.relative_to(self._within).parts

    def _publish(self, scratch: Path, folder: Path) -> None:
        new = _names(scratch) - {self._list}
        self._refuse(folder, new)
        there, ours = _names(folder), self._ours(folder)
        self._write_list(scratch, {name: [_sum(scratch / name)] for name in new})
        flush(scratch)
        if there <= {*ours, self._list} and not _is_current(folder):  # so the new files are not in it, but beside
            if folder.is_dir():
                scratch.chmod(stat.S_IMODE(folder.stat().st_mode))
            try:
                _take_place(scratch, folder, there)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another call was faster, by as little
                    self._publish(scratch, folder)
                    return
                if error.errno not in _NOT_WHOLE or not folder.is_dir():
                    raise
            else:
                return
        self._one_by_one(scratch, folder, new, ours)

    def _one_by_one(self, scratch: Path, folder: Path, new: set[str], ours: set[str]) -> None:
        (scratch / self._list).unlink(missing_ok=True)
        old = {name: [_sum(folder / name)] for name in ours}
        added = {name: [_sum(scratch / name)] for name in new}
        # First, so that after a kill both what is there and what was to come are known
        self._write_list(folder, {name: [*old.get(name, []), *added.get(name, [])] for name in {*old, *added}})
        for name in sorted(ours - new, key=lambda name: name != self._last):
            (folder / name).unlink(missing_ok=True)
        if self._last in ours & new:
            (folder / self._last).unlink(missing_ok=True)
        for name in sorted(new, key=lambda name: (name == self._last, name)):
            _move(scratch / name, folder / name)
        self._write_list(folder, added)
        with suppress(OSError):  # not every file system can, and all is there
            flush_folder(folder)
        scratch.rmdir()

    def _refuse(self, folder: Path, names: Iterable[str]) -> None:
        """Raise `UserError` if one of these names is there and not known to be that of a file of ours."""
        there, ours = _names(folder), self._ours(folder)
        if is_regular(folder / self._list):
            ours = {*ours, self._list}
        for name in sorted(there & {*names, self._list} - ours):
            if self._within is not None:
                check_inside(self._within, *self._parts(), name)
            raise UserError(
                f"{self.folder / name} is there, and nmt is not known to have written it as it is: move it, or choose another "
                "folder with output=FOLDER"
            )

    def _ours(self, folder: Path) -> set[str]:
        """The names of files there that nmt has written and nobody has changed since."""
        listed, ours = _read_list(folder / self._list), set()
        for name in _names(folder):
            if not is_regular(folder / name):
                continue
            usual = self._within is not None and self._usual.fullmatch(name)
            sums = listed.get(name)
            if usual or (isinstance(sums, list) and _sum(folder / name, of=sums) in sums):
                ours.add(name)
        return ours

    def _write_list(self, folder: Path, sums: dict[str, list[Any]]) -> None:
        with written_whole(folder / self._list) as file:
            json.dump(sums, file)


def _names(folder: Path) -> set[str]:
    """What a folder holds, if there is one."""
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _read_list(path: Path) -> dict[str, Any]:
    """A list; what is none, or none of ours, lists nothing."""
    try:
        with open(path, "rb", opener=without_following) as file:
            found = os.fstat(file.fileno())
            listed = json.loads(file.read(_MOST)) if stat.S_ISREG(found.st_mode) and found.st_size < _MOST else None
    except (OSError, ValueError, RecursionError):
        return {}
    return listed if isinstance(listed, dict) else {}


def _sum(path: Path, *, of: list[Any] | None = None) -> list[Any]:
    """Size and SHA-256 of a file; where those that it may have are given and none has its size, no checksum."""
    with open(path, "rb", opener=without_following) as file:
        size = os.fstat(file.fileno()).st_size
        if of is not None and not any(isinstance(each, list) and each[:1] == [size] for each in of):
            return [size]
        return [size, hashlib.file_digest(file, "sha256").hexdigest()]


def _scratch_for(folder: Path) -> Path:
    """A new folder beside a folder, or in it where nothing can be made beside it."""
    scratch = beside(folder)
    with naming_as(folder, scratch):
        try:
            scratch.mkdir()
        except OSError as error:
            if error.errno not in _NOT_WHOLE or not folder.is_dir():
                raise
            scratch = folder / scratch.name
            scratch.mkdir()
    return scratch


def _is_current(folder: Path) -> bool:
    """Whether the current folder is this one, or in it: a shell in there shall not lose it."""
    try:
        return Path.cwd().is_relative_to(folder)
    except FileNotFoundError:
        return False


def _take_place(scratch: Path, folder: Path, there: set[str]) -> None:
    """Let a folder take the place of another one in a single step, and remove the files that were in that one."""
    if not there:
        scratch.rename(folder)  # which is new or empty
    else:
        _exchange(scratch, folder)
    with suppress(OSError):  # the results are there; nothing can be lost any more
        flush_folder(folder.parent)
        for name in there:
            (scratch / name).unlink()
        if there:
            scratch.rmdir()


def _exchange(one: Path, other: Path) -> None:
    """Exchange the names of two folders in a single step, where the system and the file system can."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if library.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def _move(path: Path, target: Path) -> None:
    """Let a file take the place of another one, which may be on another disk."""
    try:
        path.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with path.open("rb") as old, written_whole(target, mode="wb") as new:
            shutil.copyfileobj(old, new)
        path.unlink()
