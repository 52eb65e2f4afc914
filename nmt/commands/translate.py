"""`nmt translate`: a line in, a line out, in order."""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from nmt.config import check_decode_settings
from nmt.data.files import read_lines
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.machine import use_threads
from nmt.run import Config, Run

log = logging.getLogger("nmt")
LINES = 2048
"""Lines of a file that are sorted by length together."""


def main(config: Config) -> None:
    """Translate `text`, a file or standard input."""
    check_decode_settings(config["decode"])
    use_threads(config["threads"])
    if config["text"] is not None and config["input"] is not None:
        raise UserError("text=… and input=FILE are two sources: give one")
    run = Run.open(Path(config["run"]))
    translator = run.translator(
        checkpoint=config["checkpoint"], device=config["device"], weights=config["weights"], decode=config["decode"]
    )
    if config["text"] is not None:
        lines: Iterable[str] = [" ".join(config["text"].split("\n"))]
    else:
        lines = _typed() if config["input"] is None else read_lines(Path(config["input"]))
    at_once = 1 if config["input"] is None and sys.stdin.isatty() else LINES
    if config["output"] is None:
        _translate(translator, lines, sys.stdout.buffer, at_once)
    else:
        with _written(Path(config["output"])) as output:
            _translate(translator, lines, output, at_once)


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """A file that appears whole, when all of it is written: until then, what had its name (the input, even) stays."""
    if path.exists() and not path.is_file():  # a pipe or a device is written as it comes
        with path.open("wb") as output:
            yield output
        return
    scratch = path.with_name(f".{path.name}.part")
    try:
        with scratch.open("wb") as output:
            yield output
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _translate(translator: Translator, lines: Iterable[str], output: BinaryIO, at_once: int) -> None:
    cut = 0
    iterator = iter(lines)
    while chunk := list(islice(iterator, at_once)):
        translations = translator.search(chunk)
        cut += sum(translation.cut for translation in translations)
        output.write("".join(translation.text + "\n" for translation in translations).encode())
        output.flush()
    if cut:
        limit = translator.settings.max_source_length
        log.warning(f"{cut:,} lines were longer than decode.max_source_length ({limit} pieces) and were cut")


def _typed() -> Iterator[str]:
    """The lines of standard input, read as those of a file are."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line.removesuffix(b"\n").removesuffix(b"\r").decode()
        except UnicodeDecodeError as error:
            raise UserError(f"standard input: line {number} is not valid UTF-8; convert it first") from error
