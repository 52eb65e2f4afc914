"""The sentences in which two systems differ most, and the words in which their translations do."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from sacrebleu.metrics.chrf import CHRF

KEPT, RIGHT, WRONG = "kept", "right", "wrong"
"""Words of a translation that the other one has, too; or not, and that a reference has, or not."""

LONGEST_ALIGNED = 400
"""Words of the longest translation whose order counts where it is marked: a repeated word makes aligning take cubic time."""

Marked = list[tuple[str, str]]
"""A sentence as stretches of text, each with what its words are; joined they are the sentence."""


@dataclass(frozen=True)
class Example:
    """A sentence that the baseline and another system translate differently.

    Attributes:
        line: its number in the files; the first line is 1.
        source: None where it is not known.
        references: its translations by others.
        baseline, other: what the systems made of it.
        baseline_score, other_score: chrF of the sentence (sacreBLEU's, as chrF of the corpus), 0 to 100.
    """

    line: int
    source: str | None
    references: list[str]
    baseline: str
    other: str
    baseline_score: float
    other_score: float

    @property
    def difference(self) -> float:
        """How much better the other system is, in chrF."""
        return self.other_score - self.baseline_score

    def marked(self) -> tuple[Marked, Marked]:
        """Both translations with the words marked in which they differ."""
        return marked(self.baseline, self.other, self.references), marked(self.other, self.baseline, self.references)


def sentence_scores(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """chrF (Popović 2015) of each sentence by itself.

    It is taken for sentences because it needs no smoothing: BLEU is 0 for most, or an artefact of how that is avoided.
    """
    metric: Any = CHRF()
    return [metric.sentence_score(line, list(of_line)).score for line, *of_line in zip(hypotheses, *references, strict=True)]


def largest_differences(
    baseline: Sequence[str],
    other: Sequence[str],
    references: Sequence[Sequence[str]],
    sources: Sequence[str] | None,
    count: int,
) -> tuple[list[Example], list[Example]]:
    """The sentences that the other system translates better than the baseline, and those it translates worse.

    Args:
        count: at most so many of each, the largest difference in chrF first; of equal ones the earlier line first.
    """
    scores = zip(sentence_scores(baseline, references), sentence_scores(other, references), strict=True)
    examples = [
        Example(
            place + 1,
            None if sources is None else sources[place],
            [lines[place] for lines in references],
            baseline[place],
            other[place],
            *pair,
        )
        for place, pair in enumerate(scores)
    ]
    won = sorted((example for example in examples if example.difference > 0), key=lambda example: -example.difference)
    lost = sorted((example for example in examples if example.difference < 0), key=lambda example: example.difference)
    return won[:count], lost[:count]


def marked(sentence: str, other: str, references: Sequence[str]) -> Marked:
    """A translation with the words marked that another one lacks, or has elsewhere.

    A marked word is right as often as a reference has it beyond the words that are not marked, from left to right.
    """
    words, others = _words(sentence), _words(other)
    kept = (_aligned if max(len(words), len(others)) <= LONGEST_ALIGNED else _in_both)(words, others)
    wanted: Counter[str] = Counter()
    for reference in references:
        wanted |= Counter(_words(reference))
    wanted -= Counter(words[place] for place in kept)
    marks = []
    for place, word in enumerate(words):
        if place in kept:
            marks.append(KEPT)
            continue
        marks.append(RIGHT if wanted[word] else WRONG)
        wanted[word] -= 1 if wanted[word] else 0
    return _stretches(_cut(sentence), iter(marks))


def _aligned(words: Sequence[str], others: Sequence[str]) -> set[int]:
    """The places of the words that stand in the same order in both."""
    blocks = SequenceMatcher(None, words, others, autojunk=False).get_matching_blocks()
    return {place for block in blocks for place in range(block.a, block.a + block.size)}


def _in_both(words: Sequence[str], others: Sequence[str]) -> set[int]:
    """The places of the words that both have, in whatever order, from left to right."""
    left = Counter(others)
    kept = set()
    for place, word in enumerate(words):
        if left[word]:
            left[word] -= 1
            kept.add(place)
    return kept


def _stretches(parts: Sequence[str], marks: Iterator[str]) -> Marked:
    """Parts of a sentence with their marks; white space has that of both its neighbours where they agree, else none."""
    of_parts = [KEPT if part.isspace() else next(marks) for part in parts]
    for place in range(1, len(parts) - 1):
        if parts[place].isspace() and of_parts[place - 1] == of_parts[place + 1]:
            of_parts[place] = of_parts[place - 1]
    joined: Marked = []
    for part, mark in zip(parts, of_parts, strict=True):
        if joined and joined[-1][1] == mark:
            joined[-1] = (joined[-1][0] + part, mark)
        else:
            joined.append((part, mark))
    return joined


def _words(sentence: str) -> list[str]:
    return [part for part in _cut(sentence) if not part.isspace()]


def _cut(sentence: str) -> list[str]:
    """Words, white space, and single punctuation marks, symbols, Chinese characters and kana; joined they are the sentence."""
    parts: list[str] = []
    before = ""
    for character in sentence:
        kind = _kind(character)
        if kind == before and kind != "single":
            parts[-1] += character
        else:
            parts.append(character)
        before = kind
    return parts


def _kind(character: str) -> str:
    if character.isspace():
        return "space"
    ideographic = "\u3040" <= character <= "\u30ff" or "\u3400" <= character <= "\u9fff" or character >= "\U00020000"
    # Marks, such as vowel signs, belong to the letters before them
    return "single" if ideographic or unicodedata.category(character)[0] in "PS" else "word"
