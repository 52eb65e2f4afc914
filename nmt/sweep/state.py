"""What the processes of a sweep tell each other, in the hidden folder `.sweep` of its directory."""

import fcntl
import os
import shutil
import signal
import socket
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nmt.console import visible
from nmt.errors import UserError
from nmt.files import check_inside, folder_inside, open_inside, written_whole
from nmt.lock import held
from nmt.saved import MEBIBYTE, read_small


class SweepState:
    """Who is at work, what failed, and whether the rest shall still begin.

    Args:
        sweep_dir: of the sweep.
    """

    def __init__(self, sweep_dir: Path) -> None:
        self.directory = sweep_dir / ".sweep"
        self._stop = self.directory / "stop"
        self._failed = self.directory / "failed"
        self._locks = self.directory / "locks"

    @contextmanager
    def alone(self, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        """While it is open, no other command works on this sweep. Failures of an earlier one are forgotten, and tried again.

        Args:
            check: is called when no other command is at work, before anything is forgotten.

        Raises:
            UserError: if another command does, or the folder cannot be made.
        """
        try:
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            folder_inside(self.directory.parent, self.directory.name, "locks")
        except OSError as error:
            raise UserError(f"sweep_dir={self.directory.parent} cannot be made: {error.strerror}") from error
        self._check_places()
        busy = f"another nmt train -m is at work in {self.directory.parent}: wait for its end, or choose another sweep_dir"
        with held(self.directory / "command", busy=busy):
            check()
            self._stop.unlink(missing_ok=True)
            shutil.rmtree(self._failed, ignore_errors=True)
            self._failed.mkdir(exist_ok=True)
            yield

    def _check_places(self) -> None:
        """Raise `UserError` if there is a link, a pipe or a device: a launcher or a sweeper would write there, too."""
        within = os.path.realpath(self.directory)
        for folder, folders, files in os.walk(self.directory):
            for name in (*folders, *files):
                path = Path(folder) / name
                if not path.is_symlink() or not Path(os.path.realpath(path)).is_relative_to(within):  # as submitit makes some
                    check_inside(path.parent, name, folder=path.is_dir() and not path.is_symlink())

    def ask_to_stop(self, signal_number: int) -> None:
        """No run that has not begun shall begin."""
        with written_whole(self._stop) as file:
            file.write(str(int(signal_number)))

    def asked_to_stop(self) -> int | None:
        """The signal that asked for it, or None."""
        try:
            said = read_small(self._stop, most=20).decode(errors="replace")
            return int(said) if said.isdecimal() else int(signal.SIGINT)
        except FileNotFoundError:
            return None

    def fail(self, slug: str, error: Exception) -> str:
        """Keep why a run failed, its traceback included; returns the reason as one line."""
        reason = _reason(error)
        trace = "".join(traceback.format_exception(error))
        with written_whole(self._failed / f"{slug}.txt") as file:
            file.write(visible(f"{reason}\n\n{trace}"))
        return reason

    def failures(self) -> dict[str, str]:
        """The reason of every run that failed."""
        files = sorted(self._failed.glob("*.txt"))
        texts = {file: read_small(file, most=MEBIBYTE).decode(errors="replace") for file in files}
        return {file.name.removesuffix(".txt"): text.partition("\n")[0] for file, text in texts.items()}

    @contextmanager
    def working_on(self, slug: str) -> Iterator[None]:
        """Work on a run alone: another process that has begun it, perhaps for an earlier command, is waited for."""
        with open_inside(self._locks, slug, mode="a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            file.write(f"{socket.gethostname()} {os.getpid()}")
            file.flush()
            yield

    def signal_workers(self, signal_number: int) -> None:
        """Send a signal to the processes on this machine that work on a run."""
        for path in self._locks.iterdir():
            with path.open(encoding="utf-8") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    host, _, process = file.read().partition(" ")
                    if host == socket.gethostname() and process.isdigit() and int(process) != os.getpid():
                        with suppress(ProcessLookupError):
                            os.kill(int(process), signal_number)


def _reason(error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error).replace("\n", " ")
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename or 'while writing a file'}"
    return f"{type(error).__name__}: {error}".removesuffix(": ").replace("\n", " ")
