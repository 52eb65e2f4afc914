"""The error that a user can mend, and what comes from outside: ends, and errors of the system."""

import errno
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


def is_of_the_system(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, says that the system cannot read a file now, rather than that its content is wrong.

    Too few file descriptors, no permission, or a failing disk are no damage of the file.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
            return True
        error = error.__cause__
    return False


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system, such as a full disk, name the file that it is about."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
