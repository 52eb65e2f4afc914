"""The error that a user can mend, and what comes from outside: ends, and errors of the system."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(ValueError):
    """What the user gave breaks a rule: the message says the rule, the value found and the remedy.

    The command line prints it as one line on stderr and ends with status 2.
    """


class LostProcessError(RuntimeError):
    """Another process of a training on many devices has ended, so this one must."""

    def __init__(self) -> None:
        super().__init__("another process of this training has ended, so this one ends: the same command continues the run")


class Interrupted(KeyboardInterrupt):
    """A signal has ended the command; the command line ends with status 128 + its number.

    Args:
        signal_number: which.
        what: what was kept, for the last line.
    """

    def __init__(self, signal_number: int, what: str = "") -> None:
        super().__init__(signal_number, what)
        self.signal_number = signal_number
        self.what = what

    def __str__(self) -> str:
        return f"ended by {signal.Signals(self.signal_number).name}{self.what and ' '}{self.what}"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system, such as a full disk, name the file that it is about."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
