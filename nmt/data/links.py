"""Word links in files: Pharaoh, TALP and NAACL, with sure and possible ones.

A link (i, j) joins word i of the source and word j of the target, both from 0 in here whatever the file counts from.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.data.files import Source, lines_of, read_lines
from nmt.errors import UserError

log = logging.getLogger("nmt")

Link = tuple[int, int]

FORMATS = {"pharaoh": 0, "talp": 1, "naacl": 1}
"""What each format counts words from."""

_LINK = re.compile(r"(\d+)([-sSpP?])(\d+)", re.ASCII)
_NAACL = re.compile(r"(\d+)\s+(\d+)\s+(\d+)(?:\s+([SP]))?(?:\s+[-+.\deE]+)?", re.ASCII)


@dataclass(frozen=True)
class Gold:
    """The links of a sentence pair that people have made: all of them are possible, some are sure.

    Attributes:
        sure: links.
        possible: links, the sure ones among them.
    """

    sure: frozenset[Link]
    possible: frozenset[Link]

    def swapped(self) -> "Gold":
        """Seen from the other language."""
        return Gold(*(frozenset((j, i) for i, j in links) for links in (self.sure, self.possible)))


def read_gold(
    path: Path, lengths: Sequence[tuple[int, int]], *, form: str = "auto", base: int | None = None, swapped: bool = False
) -> list[Gold]:
    """The gold links of sentence pairs.

    - `pharaoh`, a line a pair: `0-0 2-1 2?3`, where `?` or `p` marks a possible link;
    - `talp`, the same from 1, with `-` or `s` and `p`;
    - `naacl`, a line a link: sentence (from 1), source word, target word, and S or P; word 0 is nothing, where words are
      counted from 1.

    Args:
        path: of the file.
        lengths: words of source and target of each pair.
        form: one of `FORMATS`, or `auto`: by the file's ending or first line.
        base: what words are counted from, 0 or 1; None as usual in that format.
        swapped: the file has the target word first.

    Raises:
        UserError: if the file has links for more or less pairs, something else than links, or a link outside its pair.
    """
    lines = list(read_lines(path))
    form = _form(path, lines) if form == "auto" else form
    if form not in FORMATS:
        raise UserError(f"gold_format must be auto, {', '.join(FORMATS)}, but is {form!r}")
    base = FORMATS[form] if base is None else base
    if base not in (0, 1):
        raise UserError(f"gold_base, what words are counted from, must be 0 or 1, but is {base}")
    log.info(f"{path} is read as {form}, words from {base}")
    found = (_naacl if form == "naacl" else _one_line_a_pair)(path, lines, len(lengths))
    sure: list[set[Link]] = [set() for _ in lengths]
    possible: list[set[Link]] = [set() for _ in lengths]
    for number, sentence, text, (i, j), is_sure in found:
        if form == "naacl" and base == 1 and 0 in (i, j):
            continue  # a link to nothing
        link = (j - base, i - base) if swapped else (i - base, j - base)
        check_link(link, lengths[sentence], f"{path}: line {number}: the link {text}", base=base)
        possible[sentence].add(link)
        if is_sure:
            sure[sentence].add(link)
    if not any(possible):
        raise UserError(f"{path} has no link: there is nothing to compare with")
    return [Gold(frozenset(s), frozenset(p)) for s, p in zip(sure, possible, strict=True)]


def check_link(link: Link, lengths: tuple[int, int], what: str, *, base: int = 0) -> None:
    """Raise `UserError` unless a link lies within its sentence pair."""
    for place, length, side in zip(link, lengths, ("source", "target"), strict=True):
        if not 0 <= place < length:
            raise UserError(
                f"{what} is outside the sentence: the {side} has {length} words, counted from {base}; "
                "does the file belong to this text, in this order of languages?"
            )


def read_pharaoh(path: Path, source: Source | None = None) -> Iterator[list[Link]]:
    """The links of each line of a Pharaoh file, sure or possible, read as they are asked for; from `source`, if it is given."""
    for number, line in enumerate(lines_of(source or Source(path)), start=1):
        yield [link for _, link, _ in _of_line(path, number, line)]


def pharaoh(links: Iterable[Link]) -> str:
    """A line of a Pharaoh file."""
    return " ".join(f"{i}-{j}" for i, j in sorted(links))


Found = tuple[int, int, str, Link, bool]
"""Line (from 1), sentence (from 0), the link as written and as numbers, and whether it is sure."""


def _one_line_a_pair(path: Path, lines: Sequence[str], pairs: int) -> Iterator[Found]:
    if len(lines) != pairs:
        raise UserError(f"{path} has {len(lines):,} lines but there are {pairs:,} sentence pairs: it needs one for each")
    for number, line in enumerate(lines, start=1):
        for text, link, is_sure in _of_line(path, number, line):
            yield number, number - 1, text, link, is_sure


def _of_line(path: Path, number: int, line: str) -> Iterator[tuple[str, Link, bool]]:
    for text in line.split():
        match = _LINK.fullmatch(text)
        if match is None:
            raise UserError(f"{path}: line {number}: {text[:40]!r} is no link such as 0-0, 0p0 or 0?0")
        yield text, (int(match[1]), int(match[3])), match[2] in "-sS"


def _naacl(path: Path, lines: Sequence[str], pairs: int) -> Iterator[Found]:
    highest = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = _NAACL.fullmatch(line.strip())
        if match is None:
            raise UserError(f"{path}: line {number}: {line[:40]!r} is no link such as `1 3 4 S` (sentence, words, S or P)")
        sentence = int(match[1])
        highest = max(highest, sentence)
        if not 1 <= sentence <= pairs:
            raise UserError(f"{path}: line {number} is about sentence {sentence}, but there are {pairs:,} pairs, from 1")
        yield number, sentence - 1, line.strip(), (int(match[2]), int(match[3])), match[4] != "P"
    if highest < pairs:
        raise UserError(f"{path} ends with sentence {highest:,} but there are {pairs:,} sentence pairs: it needs links of each")


def _form(path: Path, lines: Sequence[str]) -> str:
    """By the ending of the file, else by its first line that holds something."""
    if path.suffix in (".talp", ".naacl", ".wa"):
        return {".wa": "naacl"}.get(path.suffix, path.suffix[1:])
    first = next((line.strip() for line in lines if line.strip()), "")
    return "naacl" if _NAACL.fullmatch(first) else "pharaoh"
