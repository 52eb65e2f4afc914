"""Where messages go: stderr, and a run's train.log."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from rich.console import Console

from nmt.errors import naming
from nmt.files import open_inside

console = Console(stderr=True, highlight=False, soft_wrap=True)
log = logging.getLogger("nmt")


BESIDE_A_BAR = {"beside_a_bar": False}
"""For `log.info(…, extra=…)`: a line that the console needs only where it cannot show a progress bar."""


class Output(Console):
    """What a command prints; whoever reads it may have read enough, which is for the command line to see."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError

    def print(self, *objects: Any, **how: Any) -> None:
        """As rich's; an error of the system names standard output."""
        with naming(Path("standard output")):
            super().print(*objects, **how)


class _ToConsole(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "beside_a_bar", True) or not console.is_interactive:
            console.print(record.getMessage(), markup=False)


class _ToFile(logging.FileHandler):
    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        file: TextIOWrapper = open_inside(path.parent, path.name, mode="a")  # type: ignore[assignment]  # which is how it is made
        return file

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        with naming(Path(self.baseFilename)):
            raise  # what cannot be written, such as on a full disk, ends the command


def say_on_console(*, only: str | None = None) -> None:
    """Show what `log` says on stderr: everything, or beside warnings only what one of the loggers below it says."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # or torch's profiler adds lines of its own; read when torch is imported
    log.setLevel(logging.INFO)
    log.propagate = False
    if not any(isinstance(handler, _ToConsole) for handler in log.handlers):
        log.addHandler(_ToConsole())
    if only is not None:
        for handler in log.handlers:
            if isinstance(handler, _ToConsole):
                handler.filters = [lambda record: record.levelno >= logging.WARNING or record.name == only]


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """While it is open, what `log` says is also appended to a file, with the time."""
    handler = _ToFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        with naming(path):
            handler.close()
