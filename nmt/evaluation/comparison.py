"""Several runs of each of several settings: means, standard deviations, and whether differences are more than chance."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU

from nmt.evaluation.significance import compare

TRIALS = 10_000
"""Shuffles of the paired test; no p-value is less than about one in so many."""


@dataclass(frozen=True)
class Figure:
    """What was measured in several runs.

    Attributes:
        values: one of each run.
    """

    values: list[float]

    @property
    def mean(self) -> float:
        """Their arithmetic mean."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation (divisor n - 1); None of one run."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Translations:
    """What a run made of the test split, and the signature of its BLEU."""

    hypotheses: list[str]
    references: list[str]
    signature: str = ""


@dataclass(frozen=True)
class Row:
    """A setting, and what its runs gave.

    Attributes:
        label: what tells it from the others.
        dev: 0 to 100, by the leading metric.
        test_bleu, test_chrf: 0 to 100; None if not every run has a test score.
        parameters: of the model.
        speed: target tokens a second in training, validation left out.
        seconds: of training, validation included.
        p: that chance alone makes a test score, by its leading metric, as far from the first row's; None if not tested.
        leading: the metric that chose the best checkpoints, `bleu` or `chrf`.
    """

    label: str
    dev: Figure
    test_bleu: Figure | None
    test_chrf: Figure | None
    parameters: int
    speed: Figure
    seconds: Figure
    p: float | None = None
    leading: str = "bleu"

    @property
    def runs(self) -> int:
        """How many there were."""
        return len(self.dev.values)


def significance(
    first: Mapping[int, Translations], other: Mapping[int, Translations], metric: Metric | None = None
) -> float | str:
    """The p-value of sacreBLEU's paired approximate randomization test (Riezler, Maxwell 2005), or why there is none.

    Runs are paired by their seed, and the translations of all common seeds are one after the other: every trial swaps the two
    translations of a sentence with probability 1/2, for each seed anew. It tells whether these very runs differ; what other
    seeds would have given it does not ask. The same texts always give the same p.

    Args:
        first, other: the translations of two settings, by seed.
        metric: of sacreBLEU's, which is tested; None is BLEU with 13a.
    """
    seeds = [seed for seed in first if seed in other]
    if not seeds:
        return "no seed in common with the first row"
    if any(first[seed].references != other[seed].references for seed in seeds):
        return "other test references than the first row"
    references = [line for seed in seeds for line in first[seed].references]
    stacked = [[line for seed in seeds for line in runs[seed].hypotheses] for runs in (first, other)]
    (compared,) = compare({"first": stacked[0], "other": stacked[1]}, [references], {"": metric or BLEU()}, {"ar": TRIALS})
    return compared.systems["other"].p["ar"]
