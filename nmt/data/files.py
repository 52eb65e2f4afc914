"""Lines of text files, plain or compressed, and the hash of their content."""

import bz2
import gzip
import hashlib
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nmt.data.encodings import BYTE_ORDER_MARK, wide_encoding
from nmt.errors import UserError

BLOCK = 1 << 16
"""Bytes that are read, or decompressed, at a time."""


class Source:
    """A file that is read once. Its bytes are hashed as they are read: what was read is what was hashed.

    Args:
        path: of the file.
        hashed: whether `digest` is going to be asked for.
        ending: the one that says how the file is compressed; None for that of its own name.
        name: what errors call the file; None for its path.

    Attributes:
        lines: when all of them have been read: how many there are, counted by their ends.
    """

    def __init__(self, path: Path, *, hashed: bool = False, ending: str | None = None, name: str | None = None) -> None:
        self.path = path
        self.name = name or str(path)
        self.ending = compression(path) if ending is None else ending
        self.lines = 0
        self._hash = hashlib.sha256() if hashed else None
        self._stream: BinaryIO | None = None
        self._status: os.stat_result | None = None

    def open(self) -> "Source":
        """Begin to read."""
        self._stream = self.path.open("rb")
        return self

    def read(self, size: int = -1) -> bytes:
        """The next bytes as they lie on the disk; none at the end."""
        if self._stream is None or self._stream.closed:
            return b""
        data = self._stream.read(size)
        if self._hash is not None:
            self._hash.update(data)
        if not data:
            self._stream.close()
        return data

    def open_whole(self) -> BinaryIO:
        """Open the file for a reader that goes to and fro in it: it is hashed afterwards, and must not have been exchanged."""
        stream = self.path.open("rb")
        self._status = os.fstat(stream.fileno())
        return stream

    def close(self) -> None:
        """Let go of the file, unless its rest is still to be hashed."""
        if self._stream is not None and self._hash is None:
            self._stream.close()

    def digest(self) -> bytes:
        """What `hash_file` would have said of the file as it was read, with its rest; nothing if it was exchanged meanwhile."""
        if self._stream is None:
            return b"" if self._status is not None and _changed(self._status, self.path) else hash_file(self.path)
        assert self._hash is not None
        try:
            while self.read(BLOCK):
                pass
        except OSError as error:
            raise unreadable(self.path, error) from error
        digest = self._hash.copy()
        digest.update(compression(self.path).encode())
        return digest.digest()


def _changed(before: os.stat_result, path: Path) -> bool:
    try:
        now = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    return any(getattr(before, name) != getattr(now, name) for name in ("st_size", "st_mtime_ns", "st_ino", "st_dev"))


def _plain(source: Source) -> Iterator[bytes]:
    while block := source.read(BLOCK):
        yield block


def _gzip(source: Source) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=source) as stream:  # type: ignore[call-overload]  # which needs to be able to read, no more
        while block := stream.read(BLOCK):
            yield block


def _bzip2(source: Source) -> Iterator[bytes]:
    return _frames(source, bz2.BZ2Decompressor)


def _xz(source: Source) -> Iterator[bytes]:
    return _frames(source, lzma.LZMADecompressor, padding=True)


def _zstd(source: Source) -> Iterator[bytes]:
    import zstandard

    try:
        yield from _frames(source, zstandard.ZstdDecompressor().decompressobj)
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from error


def _frames(source: Source, new_frame: Callable[[], Any], *, padding: bool = False) -> Iterator[bytes]:
    """Frame after frame, because the ready readers take a file that was cut off, or whose second frame is damaged, for a
    shorter one.

    Args:
        source: of frames that follow each other.
        new_frame: makes the decompressor of one.
        padding: whether there may be zeros between two.
    """
    frame = None
    while compressed := source.read(BLOCK):
        while compressed:
            if frame is None and padding:
                compressed = compressed.lstrip(b"\0")
                if not compressed:
                    break
            frame = frame or new_frame()
            yield frame.decompress(compressed)
            compressed = frame.unused_data
            if frame.eof:
                frame = None
    if frame:
        raise EOFError("the last frame is not complete")


READERS: dict[str, Callable[[Source], Iterator[bytes]]] = {
    "": _plain,
    ".gz": _gzip,
    ".bz2": _bzip2,
    ".xz": _xz,
    ".zst": _zstd,
}


def compression(path: Path) -> str:
    """The ending that says how a file is compressed, empty for a plain one."""
    return path.suffix if path.suffix in READERS else ""


def read_lines(path: Path) -> Iterator[str]:
    r"""The lines of a UTF-8 file, plain or compressed as its ending says, one at a time.

    A line ends at `\n` and nowhere else: U+2028, U+0085, form feeds and lone carriage returns are text. The `\r` of a
    Windows line end and a byte order mark are not text and are dropped. The last line needs no line end.

    Raises:
        UserError: if the file cannot be read, is damaged, or a line is not UTF-8 (the file and the line are named).
    """
    return lines_of(Source(path))


def lines_of(source: Source) -> Iterator[str]:
    """The lines of a file as `read_lines` gives them, from a source that knows afterwards how many there were."""
    path, number = source.name, 0
    try:
        for line in _split(source):
            number += 1
            yield line.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: line {number} is not valid UTF-8 (byte 0x{error.object[error.start]:02x}); "
            "convert the file, for example with: iconv -f ISO-8859-1 -t UTF-8"
        ) from error
    except ImportError as error:
        raise UserError(f"{path}: .zst files need the zstandard package: pip install 'nmt[zstd]'") from error
    except EOFError as error:
        raise UserError(f"{path} is cut off: it ends in the middle of its compressed data; copy it again") from error
    except (OSError, zlib.error, lzma.LZMAError) as error:
        raise unreadable(path, error, ending=source.ending) from error
    finally:
        source.close()
    if number != source.lines:
        raise UserError(f"{path} was read as {number:,} lines, but {source.lines:,} were counted: report this")


def _split(source: Source) -> Iterator[bytes]:
    """The lines without their ends, however the blocks of a file fall."""
    begun: list[bytes] = []
    first = True
    for block in READERS[source.ending](source.open()):
        if not block:
            continue
        if first:
            first = False
            if encoding := wide_encoding(block):
                raise UserError(encoding.advice(source.name))
            block = block.removeprefix(BYTE_ORDER_MARK)
        source.lines += block.count(b"\n")
        head, *others = block.split(b"\n")
        begun.append(head)
        if others:
            yield b"".join(begun)
            yield from others[:-1]
            begun = [others[-1]]
    if last := b"".join(begun):
        source.lines += 1
        yield last


def unreadable(path: object, error: Exception, *, ending: str = "") -> UserError:
    """The error for a file that cannot be opened, or does not hold what its ending says."""
    if isinstance(error, OSError) and error.strerror:
        return UserError(f"{path} cannot be read: {error.strerror}")
    return UserError(f"{path} is damaged, or is no {ending or Path(str(path)).suffix} file: {error}")


def hash_file(path: Path) -> bytes:
    """SHA-256 of the bytes of a file as it lies on the disk, and of the ending that says how they are compressed."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
    except OSError as error:
        raise unreadable(path, error) from error
    digest.update(compression(path).encode())
    return digest.digest()
