"""Text that is not UTF-8, told by its first bytes."""

from dataclasses import dataclass

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8, which is not part of the text."""

_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32LE",  # before that of UTF-16, which it begins with
    b"\x00\x00\xfe\xff": "UTF-32BE",
    b"\xff\xfe": "UTF-16LE",
    b"\xfe\xff": "UTF-16BE",
}

LOOKED_AT = 4096
"""Bytes at the beginning that are looked at where there is no mark."""


@dataclass(frozen=True)
class Wide:
    """An encoding with two or four bytes a character."""

    name: str

    def advice(self, what: str) -> str:
        """What to tell the user of text in it."""
        return f"{what} is {self.name[:6]}, but text must be UTF-8; convert it: iconv -f {self.name} -t UTF-8 FILE > NEW"


def wide_encoding(begin: bytes) -> Wide | None:
    """The encoding of text that begins so, if it is one of those with NUL bytes; None for UTF-8, stray NULs included."""
    for mark, name in _MARKS.items():
        if begin.startswith(mark):
            return Wide(name)
    begin = begin[:LOOKED_AT]
    if begin.count(0) < 2 or 5 * begin.count(0) < len(begin):
        return None
    zeros = [part.count(0) / max(len(part), 1) for part in (begin[start::4] for start in range(4))]
    odd, even = zeros[1] + zeros[3], zeros[0] + zeros[2]
    likely = {
        "UTF-32LE": zeros[0] < 0.5 and min(zeros[2:]) > 0.9,
        "UTF-32BE": zeros[3] < 0.5 and min(zeros[:2]) > 0.9,
        "UTF-16LE": even < odd / 9,
        "UTF-16BE": odd < even / 9,
    }
    found = next((name for name, fits in likely.items() if fits), None)
    return None if found is None or not _ends_lines(begin, found) else Wide(found)


def _ends_lines(begin: bytes, encoding: str) -> bool:
    """Whether most bytes that could be the end of a line are one in this encoding, too, as those of lines with NULs are not."""
    end = "\n".encode(encoding)
    return begin.count(b"\n", 0, max(len(begin) - len(end), 0)) <= 2 * begin.count(end)
