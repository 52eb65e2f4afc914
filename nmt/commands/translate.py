"""`nmt translate`: a line in, a line out, in order."""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from nmt.config import check_decode_settings
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.run import Config, Run
from nmt.training.validation import use_threads

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
    translator = run.translator(checkpoint=config["checkpoint"], device=config["device"], decode=config["decode"])
    with ExitStack() as files:
        output = sys.stdout.buffer
        if config["output"] is not None:
            output = files.enter_context(Path(config["output"]).open("wb"))
        if config["text"] is not None:
            lines: Iterable[str] = [" ".join(config["text"].split("\n"))]
            at_once = 1
        else:
            source = sys.stdin.buffer
            if config["input"] is not None:
                source = files.enter_context(_opened(Path(config["input"])))
            lines = _lines(source, config["input"] or "standard input")
            at_once = 1 if source.isatty() else LINES
        _translate(translator, lines, output, at_once)


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


def _opened(path: Path) -> BinaryIO:
    if not path.is_file():
        raise UserError(f"input={path} is not a file")
    return path.open("rb")


def _lines(source: BinaryIO, name: str) -> Iterator[str]:
    for number, line in enumerate(source, start=1):
        try:
            yield line.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise UserError(f"{name}, line {number}: not valid UTF-8 ({error.reason}); convert it to UTF-8") from error
