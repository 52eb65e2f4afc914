"""A file that one process at a time holds; it lets go of it when it ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmt.errors import UserError
from nmt.files import inside, without_following


@contextmanager
def held(path: Path, *, busy: str) -> Iterator[None]:
    """While it is open, no other process holds the file.

    Raises:
        UserError: in the words of `busy`, if another one does; or if something else than a file is there.
    """
    with open(inside(path.parent, path.name), "a", encoding="utf-8", opener=without_following) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(busy) from None
        yield
