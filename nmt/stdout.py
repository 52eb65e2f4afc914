"""Standard output of the command line: nothing is lost by its encoding, and what goes wrong with it says so."""

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmt.errors import naming

NAME = Path("standard output")


class _Named(io.TextIOWrapper):
    error: OSError | None = None

    def write(self, text: str, /) -> int:
        with self._noted():
            return super().write(text)

    def flush(self) -> None:
        with self._noted():
            super().flush()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            with naming(NAME):
                yield
        except OSError as error:
            self.error = error
            raise


def open_streams() -> None:
    """Let no file that is opened later take the place of a standard stream that is closed; errors go nowhere then."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as the process lives


@contextmanager
def named_stdout() -> Iterator[None]:
    """While it is open, a character that the encoding of standard output lacks is written as its code, as in `\\u2192`.

    An error of the system names the stream. At the end, everything is written.
    """
    before = sys.stdout
    if not isinstance(before, io.TextIOWrapper):
        yield
        return
    before.flush()
    named = _Named(before.buffer, before.encoding, errors="backslashreplace", line_buffering=before.line_buffering)
    named.reconfigure(write_through=before.write_through)
    sys.stdout = named
    # Hydra prints by logging, which keeps errors to itself
    logs_errors, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
        named.flush()
        if named.error is not None:
            raise named.error
    finally:
        sys.stdout = before
        logging.raiseExceptions = logs_errors
        try:
            named.detach()
        except OSError:  # what could not be written goes nowhere, or the end of the process would try it again
            number = os.open(os.devnull, os.O_WRONLY)
            os.dup2(number, named.fileno())
            os.close(number)
            named.detach()
