"""The translations that are compared: of runs that were evaluated, and of files from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.data.files import read_lines
from nmt.errors import UserError
from nmt.evaluation.report import SCORES
from nmt.saved import read_json, read_saved_lines

FILES = ("sources", "references", "hypotheses")
"""What an evaluation leaves, each with the ending .txt."""
MOST_REFERENCES = 100


@dataclass(frozen=True)
class Text:
    """Lines, and the file that they are from."""

    file: Path
    lines: list[str]

    @classmethod
    def read(cls, file: Path) -> "Text":
        """The lines of a file; raises `UserError` if it cannot be read or has none."""
        return cls._of(file, list(read_lines(file)))

    @classmethod
    def saved(cls, file: Path) -> "Text":
        """Those that an evaluation has left, which somebody else may have put there."""
        return cls._of(file, read_saved_lines(file))

    @classmethod
    def _of(cls, file: Path, lines: list[str]) -> "Text":
        if not lines:
            raise UserError(f"{file} is empty")
        return cls(file, lines)


@dataclass(frozen=True)
class System:
    """What is compared.

    Attributes:
        name: as it was typed.
        hypotheses: its translations.
        sources: what it translated; None of a file from elsewhere.
        references: one or several translations of each source; none of a file from elsewhere.
    """

    name: str
    hypotheses: Text
    sources: Text | None = None
    references: tuple[Text, ...] = ()

    @classmethod
    def of_file(cls, file: Path) -> "System":
        """Translations from elsewhere, a line each."""
        return cls(str(file), Text.read(file))

    @classmethod
    def of_run(cls, run: Path, split: str) -> "System":
        """What the evaluation of a run left."""
        folder = run / "evaluation" / split
        more = sorted(folder.glob("references-[0-9]*.txt"), key=lambda file: (len(file.stem), file.stem))  # -2, …, -9, -10
        if len(more) > MOST_REFERENCES:
            raise UserError(f"{folder} is not what nmt writes: it has more than {MOST_REFERENCES} references")
        references = tuple(map(Text.saved, (folder / "references.txt", *more)))
        return cls(str(run), Text.saved(folder / "hypotheses.txt"), Text.saved(folder / "sources.txt"), references)


def is_evaluated(run: Path, split: str) -> bool:
    """Whether a run has a finished evaluation: scores.json is what comes last."""
    folder = run / "evaluation" / split
    return (folder / SCORES).is_file() and all((folder / f"{name}.txt").is_file() for name in FILES)


def left_signature(run: Path, split: str) -> str | None:
    """The signature of the BLEU that an evaluation of a run has left; None where it has none."""
    bleu = read_json(run / "evaluation" / split / SCORES, dict[str, Any]).get("bleu")
    return str(bleu.get("signature", "")) if isinstance(bleu, dict) else None


@dataclass(frozen=True)
class SharedTexts:
    """What all systems translated.

    Attributes:
        sources: None where there are only files from elsewhere.
        references: one or more translations of each.
    """

    sources: list[str] | None
    references: list[list[str]]


def shared_texts(systems: Sequence[System], sources: Text | None, references: Sequence[Text]) -> SharedTexts:
    """What all systems translated.

    Args:
        systems: of which each may bring its own texts.
        sources: that were typed as well, if any.
        references: that were typed as well, if any.

    Raises:
        UserError: if the texts of two differ (both are named), or there are no references at all.
    """
    all_sources = [text for text in (sources, *(system.sources for system in systems)) if text is not None]
    all_references = [several for several in (tuple(references), *(system.references for system in systems)) if several]
    if not all_references:
        raise UserError("files of translations bring no references: set reference=FILE, and input=FILE to see the sources, too")
    first = all_references[0]
    for several in all_references[1:]:
        if len(several) != len(first):
            raise UserError(
                f"{first[0].file} is one of {len(first)} references, but {several[0].file} is one of {len(several)}"
            )
        for one, other in zip(first, several, strict=True):
            _check_same(one, other, "references")
    for other in all_sources[1:]:
        _check_same(all_sources[0], other, "sources")
    for text in (*all_sources[:1], *first[1:], *(system.hypotheses for system in systems)):
        if len(text.lines) != len(first[0].lines):
            raise UserError(f"{text.file} has {len(text.lines)} lines but {first[0].file} has {len(first[0].lines)}")
    return SharedTexts(all_sources[0].lines if all_sources else None, [text.lines for text in first])


def _check_same(one: Text, other: Text, what: str) -> None:
    if one.lines == other.lines:
        return
    rule = f"systems can be compared on one test set only, but their {what} differ: {one.file}"
    if len(one.lines) != len(other.lines):
        raise UserError(f"{rule} has {len(one.lines)} lines, {other.file} has {len(other.lines)}")
    line = next(place for place, pair in enumerate(zip(one.lines, other.lines, strict=True), start=1) if pair[0] != pair[1])
    raise UserError(f"{rule} and {other.file} (line {line} is the first that does)")
