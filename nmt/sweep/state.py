"""What the processes of a sweep tell each other, in the hidden folder `.sweep` of its directory."""

import fcntl
import os
import shutil
import signal
import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nmt.console import visible
from nmt.errors import UserError
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
    def alone(self) -> Iterator[None]:
        """While it is open, no other command works on this sweep. Failures of an earlier one are forgotten, and tried again.

        Raises:
            UserError: if another command does, or the folder cannot be made.
        """
        try:
            self._locks.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"sweep_dir={self.directory.parent} cannot be made: {error.strerror}") from error
        busy = f"another nmt train -m is at work in {self.directory.parent}: wait for its end, or choose another sweep_dir"
        with held(self.directory / "command", busy=busy):
            self._stop.unlink(missing_ok=True)
            shutil.rmtree(self._failed, ignore_errors=True)
            self._failed.mkdir()
            yield

    def ask_to_stop(self, signal_number: int) -> None:
        """No run that has not begun shall begin."""
        self._stop.write_text(str(int(signal_number)), encoding="utf-8")

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
        (self._failed / f"{slug}.txt").write_text(visible(f"{reason}\n\n{trace}"), encoding="utf-8")
        return reason

    def failures(self) -> dict[str, str]:
        """The reason of every run that failed."""
        files = sorted(self._failed.glob("*.txt"))
        texts = {file: read_small(file, most=MEBIBYTE).decode(errors="replace") for file in files}
        return {file.name.removesuffix(".txt"): text.partition("\n")[0] for file, text in texts.items()}

    @contextmanager
    def working_on(self, slug: str) -> Iterator[None]:
        """Work on a run alone: another process that has begun it, perhaps for an earlier command, is waited for."""
        with (self._locks / slug).open("a+", encoding="utf-8") as file:
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
