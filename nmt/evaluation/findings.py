"""What a comparison of systems found: its table, what that means in words, and its JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from nmt.evaluation.differences import Example
from nmt.evaluation.significance import TESTS, THRESHOLD, Comparison

CONTROLS = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "␡"}
"""Tabs, escapes and the like as pictures of themselves."""

Examples = dict[str, tuple[list[Example], list[Example]]]
"""By system, the sentences that it translates better than the baseline, and those it translates worse."""


@dataclass(frozen=True)
class Findings:
    """Several systems on one test set.

    Attributes:
        files: by system, the file of its translations; the first is the baseline.
        sentences: how many.
        comparisons: one of each metric.
        samples: by test, how many resamples or trials.
        examples: of every system but the baseline.
    """

    files: dict[str, str]
    sentences: int
    comparisons: list[Comparison]
    samples: dict[str, int]
    examples: Examples

    @property
    def baseline(self) -> str:
        """The name of the first system."""
        return next(iter(self.files))

    @property
    def title(self) -> str:
        """What is compared with what."""
        return f"{', '.join(list(self.files)[1:])} compared with {self.baseline}"

    def headings(self) -> list[str]:
        """Of the columns of `rows`."""
        intervals = ["mean ± 95 % CI"] if "bs" in self.samples else []
        return ["metric", "system", "score", *intervals, "difference", *(f"p, {_short(test)}" for test in self.samples)]

    def rows(self) -> list[list[str]]:
        """A row for every metric and system; the metric stands in the first of its rows."""
        rows = []
        for comparison in self.comparisons:
            label = f"{comparison.name} ↓" if comparison.lower_is_better else comparison.name
            first = next(iter(comparison.systems.values())).score
            for system, measured in comparison.systems.items():
                is_baseline = system == self.baseline
                interval = [] if measured.mean is None else [f"{measured.mean:.2f} ± {measured.ci:.2f}"]
                difference = "baseline" if is_baseline else f"{measured.score - first:+.2f}"
                ps = ["" if is_baseline else shown_p(measured.p[test]) for test in self.samples]
                rows.append([label if is_baseline else "", system, f"{measured.score:.2f}", *interval, difference, *ps])
        return rows

    def verdicts(self) -> list[str]:
        """A sentence for every metric and system but the baseline."""
        return [
            verdict(comparison, system, self.baseline) for system in list(self.files)[1:] for comparison in self.comparisons
        ]

    def notes(self) -> list[str]:
        """How to read the table."""
        notes = [
            f"p: how likely so large a difference from {self.baseline} is by chance alone",
            f"*: p ≤ {THRESHOLD}, which is called significant",
        ]
        if "bs" in self.samples:
            notes.append(f"±: half of the interval that holds 95 % of the scores of {self.samples['bs']:,} bootstrap resamples")
        if any(comparison.lower_is_better for comparison in self.comparisons):
            notes.append("↓: less is better")
        return notes

    def signatures(self) -> list[str]:
        """Each metric's signature under each test."""
        return [
            f"{comparison.name}, {TESTS[test]}: {signature}"
            for comparison in self.comparisons
            for test, signature in comparison.signatures.items()
        ]

    def as_json(self) -> dict[str, Any]:
        """What `compare.json` holds, figures unrounded."""
        return {
            "baseline": self.baseline,
            "sentences": self.sentences,
            "systems": self.files,
            "metrics": {comparison.metric: _metric(comparison) for comparison in self.comparisons},
            "verdicts": self.verdicts(),
            "examples": {
                system: {"won": [_example(one) for one in won], "lost": [_example(one) for one in lost]}
                for system, (won, lost) in self.examples.items()
            },
        }


def shown_p(p: float) -> str:
    """A p-value, marked where it is significant."""
    return f"{p:.4f} *" if p <= THRESHOLD else f"{p:.4f}"


def verdict(comparison: Comparison, system: str, baseline: str) -> str:
    """What the figures of a system say about it and the baseline, in words."""
    gain, p = comparison.gain(system), comparison.systems[system].p
    if gain == 0:
        return f"{comparison.name}: {system} and {baseline} score the same."
    said = f"{comparison.name}: {system} is {'better' if gain > 0 else 'worse'} than {baseline} by {abs(gain):.2f}"
    significant = [test for test, value in p.items() if value <= THRESHOLD]
    if len(significant) == len(p):
        return f"{said}: significant."
    if not significant:
        return f"{said}: not significant, it may well be chance."
    others = [test for test in p if test not in significant]
    return f"{said}: significant by {_short(significant[0])}, not by {_short(others[0])}, so undecided."


def _short(test: str) -> str:
    return TESTS[test].removeprefix("paired ").removeprefix("approximate ")


def _metric(comparison: Comparison) -> dict[str, Any]:
    return {
        "name": comparison.name,
        "lower_is_better": comparison.lower_is_better,
        "signatures": comparison.signatures,
        "systems": {system: asdict(measured) for system, measured in comparison.systems.items()},
    }


def _example(example: Example) -> dict[str, Any]:
    return asdict(example) | {"difference": example.difference}
