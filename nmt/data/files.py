"""Lines of text files, plain or compressed, and the hash of their content."""

import bz2
import gzip
import hashlib
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nmt.errors import UserError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def _plain(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from stream


def _gzip(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as stream:
        yield from stream


def _bzip2(path: Path) -> Iterator[bytes]:
    with bz2.open(path) as stream:
        yield from stream


def _xz(path: Path) -> Iterator[bytes]:
    with lzma.open(path) as stream:
        yield from stream


def _zstd(path: Path) -> Iterator[bytes]:
    import zstandard

    begun = b""
    try:
        for chunk in _zstd_chunks(path, zstandard.ZstdDecompressor().decompressobj):
            *complete, begun = (begun + chunk).split(b"\n")
            yield from complete
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from error
    if begun:
        yield begun


def _zstd_chunks(path: Path, new_frame: Callable[[], Any]) -> Iterator[bytes]:
    """Frame after frame, because the readers of the zstandard package take a file that was cut off for a shorter one."""
    frame = None
    with path.open("rb") as stream:
        while compressed := stream.read(1 << 16):
            while compressed:
                frame = frame or new_frame()
                yield frame.decompress(compressed)
                compressed = frame.unused_data
                if frame.eof:
                    frame = None
    if frame:
        raise EOFError("the last frame is not complete")


READERS: dict[str, Callable[[Path], Iterator[bytes]]] = {
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
    number = 0
    try:
        for line in READERS[compression(path)](path):
            number += 1
            content = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            yield content.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
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
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> UserError:
    """The error for a file that cannot be opened, or does not hold what its ending says."""
    if isinstance(error, OSError) and error.strerror:
        return UserError(f"{path} cannot be read: {error.strerror}")
    return UserError(f"{path} is damaged, or is no {path.suffix} file: {error}")


def hash_file(path: Path) -> bytes:
    """SHA-256 of the bytes of a file as it lies on the disk, and of the ending that says how they are compressed."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
    except OSError as error:
        raise unreadable(path, error) from error
    digest.update(compression(path).encode())
    return digest.digest()
