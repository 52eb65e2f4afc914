"""Where messages go: stderr, and a run's train.log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

console = Console(stderr=True, highlight=False, soft_wrap=True)
log = logging.getLogger("nmt")


class _ToConsole(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        console.print(record.getMessage(), markup=False)


def say_on_console(*, only: str | None = None) -> None:
    """Show what `log` says on stderr: everything, or beside warnings only what one of the loggers below it says."""
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
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
