"""Whether systems differ by more than chance on one test set: sacreBLEU's own paired tests, figure for figure."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sacrebleu.metrics.base import Metric
from sacrebleu.significance import PairedTest, Result

from nmt.errors import UserError

TESTS = {"bs": "paired bootstrap", "ar": "paired approximate randomisation"}
THRESHOLD = 0.05
"""A p of at most this much is marked as significant, as sacreBLEU marks it."""


@dataclass(frozen=True)
class Measured:
    """A system under a metric.

    Attributes:
        score: of the corpus, unrounded, as sacreBLEU prints it.
        mean: of the scores of the bootstrap's resamples; None where there was no bootstrap.
        ci: half the width of their 95 % interval; None where there was no bootstrap.
        p: by test, that chance alone makes a difference from the baseline of this size or more; empty for the baseline.
    """

    score: float
    mean: float | None
    ci: float | None
    p: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """Systems under one metric; the first is the baseline.

    Attributes:
        metric: our name of it, such as chrf++.
        name: as sacreBLEU calls it, such as chrF2++.
        signatures: by test, everything that decides its figures.
        systems: by name, in the order in which they were given.
    """

    metric: str
    name: str
    signatures: dict[str, str]
    systems: dict[str, Measured]

    @property
    def lower_is_better(self) -> bool:
        """Whether it counts errors."""
        return self.metric == "ter"

    def gain(self, system: str) -> float:
        """By how much the score of a system is better than the baseline's."""
        difference = self.systems[system].score - next(iter(self.systems.values())).score
        return -difference if self.lower_is_better else difference


def compare(
    systems: Mapping[str, Sequence[str]],
    references: Sequence[Sequence[str]],
    metrics: Mapping[str, Metric],
    samples: Mapping[str, int],
) -> list[Comparison]:
    """Test each system against the first one.

    Bootstrap (Koehn 2004): the test set is drawn anew, with replacement, `samples` times. Approximate randomisation (Riezler,
    Maxwell 2005): in each of `samples` trials the two translations of a sentence change places with probability 1/2. Both begin
    with sacreBLEU's seed, 12345 or the environment's SACREBLEU_SEED, so the same texts give the same figures.

    sacreBLEU counts the trials that differ more than the systems do. Where the systems score the same and no trial differs at
    all, it counts none and gives its least p; here that p is 1.

    Args:
        systems: hypotheses by name; white space at the end of a line counts for nothing, as in the sacrebleu program.
        references: one or several sequences, each with a translation of every sentence.
        metrics: sacreBLEU's, by our names of them.
        samples: by test, a key of `TESTS`, how many resamples or trials.
    """
    stripped = {name: [line.rstrip() for line in lines] for name, lines in systems.items()}
    against = [[line.rstrip() for line in one] for one in references]
    return [_compared(stripped, against, name, metric, samples) for name, metric in metrics.items()]


def _compared(
    systems: Mapping[str, Sequence[str]], references: list[list[str]], key: str, metric: Metric, samples: Mapping[str, int]
) -> Comparison:
    signatures: dict[str, str] = {}
    results: dict[str, list[Result]] = {}
    for test, count in samples.items():
        signed, found = PairedTest(list(systems.items()), {key: metric}, references, test_type=test, n_samples=count)()
        ((name, signature),) = signed.items()
        signatures[test] = signature.format()
        results[test] = [result for result in found[name] if isinstance(result, Result)]
        for result in results[test]:
            if result.score == results[test][0].score and result.p_value == 1 / (count + 1):
                result.p_value = 1.0
    of_systems = zip(*results.values(), strict=True)
    measured = [_measured(dict(zip(samples, of_system, strict=True))) for of_system in of_systems]
    return Comparison(key, name, signatures, dict(zip(systems, measured, strict=True)))


def _measured(results: Mapping[str, Result]) -> Measured:
    """What the tests found about one system."""
    score = next(iter(results.values())).score
    p = {test: result.p_value for test, result in results.items() if result.p_value is not None}
    drawn = results.get("bs")
    if drawn is None or drawn.mean is None or drawn.ci is None:
        return Measured(score, None, None, p)
    return Measured(score, float(drawn.mean), float(drawn.ci), p)


def check_seed() -> None:
    """Raise `UserError` unless the environment's SACREBLEU_SEED, where it is set, is one that sacreBLEU can take."""
    seed = os.environ.get("SACREBLEU_SEED", "12345")
    if not (seed.isdecimal() or seed.lower() == "none"):
        raise UserError(f"the environment's SACREBLEU_SEED must be a whole number, or none, but is {seed!r}")
