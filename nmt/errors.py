"""Errors: the one that a user can mend, and those of the system."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(ValueError):
    """What the user gave breaks a rule: the message says the rule, the value found and the remedy.

    The command line prints it as one line on stderr and ends with status 2.
    """


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system, such as a full disk, name the file that it is about."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
