"""Where a score comes from: by the length of the source, and by how often training has seen a word of the target."""

import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nmt.evaluation.metrics import References, reference_sets, score
from nmt.evaluation.rates import words as words_by_13a
from nmt.tokenisation import Tokenisation

LENGTHS = (10, 20, 30, 40)
"""Most words of the source in each range but the last."""

FREQUENCIES = (0, 1, 2, 5, 10, 100, 1000)
"""Fewest occurrences of a word in the training text in each range."""

FEW = 30
"""Fewer sentences than this give a score that chance decides."""


@dataclass(frozen=True)
class LengthRange:
    """The sentences with a source of some lengths, scored as a corpus of their own.

    Attributes:
        words: of the source, between spaces, such as `11–20`.
        sentences: how many there are.
        bleu, chrf: their scores.
    """

    words: str
    sentences: int
    bleu: float
    chrf: float


@dataclass(frozen=True)
class FrequencyRange:
    """The target words that the training text holds so often.

    A word of a translation is right where its reference has it too, as often at most as the reference has it.

    Attributes:
        occurrences: in the training text, such as `2–4`.
        references, hypotheses: words of this range in either.
        right: words of the hypotheses that are right.
    """

    occurrences: str
    references: int
    hypotheses: int
    right: int

    @property
    def precision(self) -> float | None:
        """Per cent of the words of the hypotheses that are right; None of no words."""
        return 100 * self.right / self.hypotheses if self.hypotheses else None

    @property
    def recall(self) -> float | None:
        """Per cent of the words of the references that were found; None of no words."""
        return 100 * self.right / self.references if self.references else None

    @property
    def f1(self) -> float | None:
        """Their harmonic mean, 2 right / (hypotheses + references); None of no words."""
        both = self.hypotheses + self.references
        return 200 * self.right / both if both else None


def by_length(
    sources: Sequence[str], hypotheses: Sequence[str], references: References, tokenisation: Tokenisation | None = None
) -> list[LengthRange]:
    """Scores of each range of `LENGTHS` that has a sentence."""
    found = []
    for name, numbers in length_ranges(sources, LENGTHS).items():
        against = [[one[n] for n in numbers] for one in reference_sets(references)]
        scores = score([hypotheses[n] for n in numbers], against, tokenisation=tokenisation)
        found.append(LengthRange(name, len(numbers), scores["bleu"].score, scores["chrf"].score))
    return found


def length_ranges(sources: Sequence[str], edges: Sequence[int]) -> dict[str, list[int]]:
    """The numbers of the sentences in each range of lengths that has one; an empty line is in the first.

    Args:
        sources: their words between spaces are counted.
        edges: most words of each range but the last, rising.
    """
    names = [f"{low + 1}–{high}" for low, high in pairwise([0, *edges])] + [f"> {edges[-1]}"]
    ranges: dict[str, list[int]] = {name: [] for name in names}
    for number, source in enumerate(sources):
        ranges[names[bisect.bisect_left(edges, len(source.split()))]].append(number)
    return {name: numbers for name, numbers in ranges.items() if numbers}


Words = Callable[[str], list[str]]
"""Cuts a text."""


def occurrences(training: Iterable[str], texts: Iterable[str], words: Words = words_by_13a) -> Counter[str]:
    """How often the training text has each word of some texts."""
    wanted = {word for text in texts for word in words(text)}
    found: Counter[str] = Counter()
    for line in training:
        found.update(word for word in words(line) if word in wanted)
    return found


def by_frequency(
    hypotheses: Sequence[str], references: Sequence[str], training: Counter[str], words: Words = words_by_13a
) -> list[FrequencyRange]:
    """How well words are translated that the training text has never, seldom or often (Neubig et al. 2019, compare-mt).

    Args:
        hypotheses: translations.
        references: one for each.
        training: `occurrences` of the words of both.
        words: cuts both and has cut the training text; case is left as it is.
    """
    totals = [Counter[str](), Counter[str](), Counter[str]()]
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        ours, theirs = Counter(words(hypothesis)), Counter(words(reference))
        for total, counted in zip(totals, (theirs, ours, ours & theirs), strict=True):
            total.update(counted)
    sums = [[0] * len(FREQUENCIES) for _ in totals]
    for total, place in zip(totals, sums, strict=True):
        for word, count in total.items():
            place[bisect.bisect_right(FREQUENCIES, training[word]) - 1] += count
    ends = [
        *(str(low) if high == low + 1 else f"{low}–{high - 1}" for low, high in pairwise(FREQUENCIES)),
        f"≥ {FREQUENCIES[-1]}",
    ]
    return [FrequencyRange(name, *counts) for name, *counts in zip(ends, *sums, strict=True)]
