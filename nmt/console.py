"""Where messages go: stderr, and a run's train.log; and the one filter that everything shown passes.

A file, its name or a setting may come from a stranger, and hold what a terminal obeys instead of showing it.
"""

import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from nmt.errors import naming
from nmt.files import open_inside

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST_MESSAGE = 4000
"""Characters of an error, which may quote what it is about."""


def visible(text: str) -> str:
    r"""Text in which a terminal finds nothing to obey: ESC is \x1b, an override of the direction of text \u202e.

    All C0 but line feed and tab, DEL, C1, breaks of lines and paragraphs, and controls of direction are shown so; lone
    surrogates, too, which a file name that is not UTF-8 has.
    """
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


def put(text: str, *, error: bool = False) -> None:
    """Print text, on stderr where it is about an error."""
    print(visible(text), file=sys.stderr if error else sys.stdout, flush=True)


def put_error(message: str) -> None:
    """Print a message on stderr as one line."""
    line = re.sub(r"\s*\n\s*", " ", message)
    put(line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]}…", error=True)


def plain(text: str) -> Text:
    """Text for a table, whose columns are then as wide as what is shown."""
    return Text(visible(text))


class _Filtered(Console):
    """A console that shows text and obeys nothing in it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)


console = _Filtered(stderr=True, highlight=False, soft_wrap=True)
log = logging.getLogger("nmt")


BESIDE_A_BAR = {"beside_a_bar": False}
"""For `log.info(…, extra=…)`: a line that the console needs only where it cannot show a progress bar."""


class Output(_Filtered):
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


class _Visible(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


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
    warnings.formatwarning = _warning
    sys.excepthook = _traceback
    if logging.lastResort is not None:  # what other packages say
        logging.lastResort.setFormatter(_Visible())
    if not any(isinstance(handler, _ToConsole) for handler in log.handlers):
        log.addHandler(_ToConsole())
    if only is not None:
        for handler in log.handlers:
            if isinstance(handler, _ToConsole):
                handler.filters = [lambda record: record.levelno >= logging.WARNING or record.name == only]


def _warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    return visible(f"{filename}:{lineno}: {category.__name__}: {message}\n")


def _traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    put("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"), error=True)


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """While it is open, what `log` says is also appended to a file, with the time."""
    handler = _ToFile(path, encoding="utf-8")
    handler.setFormatter(_Visible("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        with naming(path):
            handler.close()
