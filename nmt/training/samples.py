"""Sample translations, for the eye."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics.chrf import CHRF

SHOWN = 5
"""Samples of a validation."""

LONGEST = 600
"""Characters of a sentence that the table shows."""

PLAIN = set(" .,;:?!'\"()-/%+=@")
"""What means nothing to Markdown or HTML inside a cell of a table."""


@dataclass(frozen=True)
class Sample:
    """A sentence of a split with its reference, its translation, and that translation's sentence chrF (0 to 100)."""

    source: str
    reference: str
    translation: str
    chrf: float


def samples(sources: Sequence[str], references: Sequence[str], translations: Sequence[str]) -> list[Sample]:
    """The first sentences of a split."""
    metric = CHRF()
    rows = zip(sources[:SHOWN], references[:SHOWN], translations[:SHOWN], strict=True)
    return [Sample(*row, metric.sentence_score(row[2], [row[1]]).score) for row in rows]


def table(shown: Sequence[Sample]) -> str:
    """Samples as a Markdown table, whatever their text holds."""
    lines = ["| source | reference | translation | sentence chrF |", "|---|---|---|---:|"]
    for sample in shown:
        cells = [*map(_cell, (sample.source, sample.reference, sample.translation)), f"{sample.chrf:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A text on one line, every character of which shows as itself."""
    cut = text[:LONGEST]
    rest = f" … and {len(text) - LONGEST:,} characters" if len(text) > LONGEST else ""
    return "".join(map(_shown, cut)) + rest


def _shown(character: str) -> str:
    if character.isalnum() or character in PLAIN:
        return character
    if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):  # controls, halves of pairs, ends of lines
        return " "
    return f"&#{ord(character)};" if character.isascii() else character
