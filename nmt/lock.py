"""A file that one process at a time holds; it lets go of it when it ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmt.errors import UserError


@contextmanager
def held(path: Path, *, busy: str) -> Iterator[None]:
    """While it is open, no other process holds the file.

    Raises:
        UserError: in the words of `busy`, if another one does.
    """
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(busy) from None
        yield
