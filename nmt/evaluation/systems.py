"""The translations that are compared: of runs that were evaluated, and of files from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.data.files import read_lines
from nmt.errors import UserError

FILES = ("sources", "references", "hypotheses")
"""What an evaluation leaves, each with the ending .txt."""


@dataclass(frozen=True)
class Text:
    """Lines, and the file that they are from."""

    file: Path
    lines: list[str]

    @classmethod
    def read(cls, file: Path) -> "Text":
        """The lines of a file; raises `UserError` if it cannot be read or has none."""
        text = cls(file, list(read_lines(file)))
        if not text.lines:
            raise UserError(f"{file} is empty")
        return text


@dataclass(frozen=True)
class System:
    """What is compared.

    Attributes:
        name: as it was typed.
        hypotheses: its translations.
        sources: what it translated; None of a file from elsewhere.
        references: the translations that it is measured by; None of a file from elsewhere.
    """

    name: str
    hypotheses: Text
    sources: Text | None = None
    references: Text | None = None

    @classmethod
    def of_file(cls, file: Path) -> "System":
        """Translations from elsewhere, a line each."""
        return cls(str(file), Text.read(file))

    @classmethod
    def of_run(cls, run: Path, split: str) -> "System":
        """What the evaluation of a run left."""
        sources, references, hypotheses = (Text.read(run / "evaluation" / split / f"{name}.txt") for name in FILES)
        return cls(str(run), hypotheses, sources, references)


def is_evaluated(run: Path, split: str) -> bool:
    """Whether a run has the texts of an evaluation."""
    return all((run / "evaluation" / split / f"{name}.txt").is_file() for name in FILES)


@dataclass(frozen=True)
class Texts:
    """What all systems translated.

    Attributes:
        sources: None where there are only files from elsewhere.
        references: one or more translations of each.
    """

    sources: list[str] | None
    references: list[list[str]]


def common_test_set(systems: Sequence[System], sources: Text | None, references: Sequence[Text]) -> Texts:
    """The sentences that all systems are about.

    Args:
        systems: of which each may bring its own.
        sources: that were typed as well, if any.
        references: that were typed as well, if any; the first is compared with those of the runs.

    Raises:
        UserError: if the texts of two differ (both are named), or there are no references at all.
    """
    all_sources = [text for text in (sources, *(system.sources for system in systems)) if text is not None]
    all_references = [text for text in (*references[:1], *(system.references for system in systems)) if text is not None]
    if not all_references:
        raise UserError(
            "files of translations have no references of their own: set reference=FILE (and input=FILE, to see sources)"
        )
    for texts, what in ((all_references, "references"), (all_sources, "sources")):
        for other in texts[1:]:
            _check_same(texts[0], other, what)
    first = all_references[0]
    for text in (*all_sources[:1], *references[1:], *(system.hypotheses for system in systems)):
        if len(text.lines) != len(first.lines):
            raise UserError(f"{text.file} has {len(text.lines)} lines but {first.file} has {len(first.lines)}")
    return Texts(all_sources[0].lines if all_sources else None, [first.lines, *(text.lines for text in references[1:])])


def _check_same(one: Text, other: Text, what: str) -> None:
    if one.lines == other.lines:
        return
    rule = f"systems can be compared on one test set only, but their {what} differ: {one.file}"
    if len(one.lines) != len(other.lines):
        raise UserError(f"{rule} has {len(one.lines)} lines, {other.file} has {len(other.lines)}")
    line = next(place for place, pair in enumerate(zip(one.lines, other.lines, strict=True), start=1) if pair[0] != pair[1])
    raise UserError(f"{rule} and {other.file} (line {line} is the first that does)")
