"""Lines in, lines out: of files, pipes and terminals."""

import io
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from nmt.console import visible
from nmt.data.encodings import BYTE_ORDER_MARK, wide_encoding
from nmt.data.files import read_lines
from nmt.errors import UserError, naming
from nmt.files import resolved, written_whole

LINES = 2048
"""Most lines that are in memory, and sorted by length, together."""


def chunks_of(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lines, so many at a time."""
    iterator = iter(lines)
    while chunk := list(islice(iterator, LINES)):
        yield chunk


def chunks_in(path: str | None) -> Iterator[list[str]]:
    """The lines of a file, or of standard input: there as many at a time as have arrived.

    So a terminal gets its answer after every line, a program that asks through a pipe after every question, and a file is
    read in large pieces.
    """
    if path is not None:
        yield from chunks_of(read_lines(Path(path)))
        return
    if sys.stdin is None:
        raise UserError("standard input is closed: give a file with input=FILE, or pipe text in")
    number = 0
    for arrived in _arriving(sys.stdin.buffer):
        for start in range(0, len(arrived), LINES):
            chunk = []
            for line in arrived[start : start + LINES]:
                number += 1
                line = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
                try:
                    chunk.append(line.removesuffix(b"\r").decode())
                except UnicodeDecodeError as error:
                    raise UserError(f"standard input: line {number} is not valid UTF-8; convert it first") from error
            yield chunk


def _arriving(stream: BinaryIO) -> Iterator[list[bytes]]:
    """The lines of a stream without their ends, as they come."""
    begun: list[bytes] = []
    is_new = True
    while data := _read(stream):
        if is_new and (encoding := wide_encoding(data)):
            raise UserError(encoding.advice("standard input"))
        is_new = False
        first, *others = data.split(b"\n")
        begun.append(first)
        if others:
            yield [b"".join(begun), *others[:-1]]
            begun = [others[-1]]
    if last := b"".join(begun):
        yield [last]


def _read(stream: BinaryIO) -> bytes:
    """What has arrived, up to a mebibyte; nothing at the end."""
    with naming(Path("standard input")):
        data: bytes = stream.read1(1 << 20)  # type: ignore[attr-defined]  # which standard input has, and BinaryIO does not know
    return data


@contextmanager
def output_to(path: str | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file, which appears whole, when all of it is written.

    Until then, what had its name (the input, even) stays.
    """
    if path is None:
        if sys.stdout is None:
            raise UserError("standard output is closed: give a file with output=FILE")
        with naming(Path("standard output")):
            yield cast(BinaryIO, _Shown(sys.stdout.buffer)) if sys.stdout.isatty() else sys.stdout.buffer
        return
    file = Path(path)
    if file.exists() and not file.is_file():  # a pipe or a device is written as it comes
        with naming(Path(path)), file.open("wb") as output:
            yield output
        return
    file = resolved(file)  # a link stays one
    if not file.parent.is_dir():
        raise UserError(f"output={path}: there is no folder {file.parent}; make it first")
    with written_whole(file, mode="wb") as output:
        yield output


class _Shown(io.RawIOBase):
    """A terminal, which obeys nothing in what it is given."""

    def __init__(self, terminal: BinaryIO) -> None:
        self._terminal = terminal

    def write(self, lines: Any) -> int:
        return self._terminal.write(visible(bytes(lines).decode()).encode())

    def flush(self) -> None:
        self._terminal.flush()


def json_line(record: object) -> str:
    """JSON without any character that some reader takes for the end of a line."""
    text = json.dumps(record, ensure_ascii=False)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\u0085", "\\u0085")


def write_lines(output: IO[bytes], lines: Iterable[str]) -> None:
    """Write lines, and let whoever reads see them."""
    output.write("".join(f"{line}\n" for line in lines).encode())
    output.flush()
