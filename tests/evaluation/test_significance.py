"""Paired tests against the sacrebleu program, and what it gets wrong where nothing differs."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmt.evaluation.findings import Findings, shown_p, verdict
from nmt.evaluation.significance import Comparison, Measured, compare

REFERENCES = [
    f"the {a} {b} {c} in the {d} ."
    for a in ("old", "new")
    for b in ("dog", "cat", "bird")
    for c in ("sleeps", "eats", "sings")
    for d in ("house", "garden")
]


def worse(share: float, seed: int) -> list[str]:
    """Translations of which a share has two words exchanged, and white space at the end."""
    draw = random.Random(seed)
    words = [line.split() for line in REFERENCES]
    return [" ".join([w[0], w[2], w[1], *w[3:], "\t"] if draw.random() < share else w) for w in words]


SYSTEMS = {"base": worse(0.5, 1), "near": worse(0.5, 7), "far": worse(0.05, 3)}


@pytest.mark.parametrize(("test", "samples", "word_order"), [("bs", 200, 2), ("ar", 300, 0)])
def test_figures_markers_and_signatures_are_those_of_the_program(
    tmp_path: Path, test: str, samples: int, word_order: int
) -> None:
    for name, lines in {**SYSTEMS, "reference": REFERENCES}.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", "reference", "-i", *SYSTEMS, "-m", "bleu", "chrf", "ter", "-f", "latex"]
    command += ["-w", "4", "--chrf-word-order", str(word_order), f"--paired-{test}", f"--paired-{test}-n", str(samples), "-nc"]
    environment = {name: value for name, value in os.environ.items() if name != "SACREBLEU_FORMAT"}
    program = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    rows = {line.split(" &")[0].strip().removeprefix("Baseline: "): line for line in program.splitlines() if " & " in line}
    metrics = {"bleu": BLEU(), "chrf": CHRF(word_order=word_order), "ter": TER()}
    compared = compare(SYSTEMS, [REFERENCES], metrics, {test: samples})
    assert [comparison.metric for comparison in compared] == list(metrics)
    for system in SYSTEMS:
        cells = rows[system].rstrip("\\ ").split(" & ")[1:]
        assert len(cells) == len(metrics)
        for comparison, cell in zip(compared, cells, strict=True):
            found = comparison.systems[system]
            expected = f"{found.score:.4f}"
            if test == "bs":
                expected += f" ({found.mean:.4f} ± {found.ci:.4f})"
            if system != "base":
                expected += f" (p = {found.p[test]:.4f})" + "*" * ("*" in shown_p(found.p[test]))
            assert cell.strip() == expected
    for comparison in compared:
        assert f"{comparison.name:<10} {comparison.signatures[test]}\n" in program
    assert {system: "*" in row for system, row in rows.items() if system in SYSTEMS} == {
        "base": False,
        "near": False,
        "far": True,
    }


def test_where_nothing_differs_nothing_is_significant() -> None:
    systems = {"one": SYSTEMS["base"], "same": SYSTEMS["base"], "other": SYSTEMS["far"]}
    (comparison,) = compare(systems, [REFERENCES], {"bleu": BLEU()}, {"bs": 50, "ar": 50})
    assert comparison.systems["same"].p == {"bs": 1.0, "ar": 1.0}
    assert comparison.systems["other"].p == {"bs": 1 / 51, "ar": 1 / 51}
    assert verdict(comparison, "same", "one") == "BLEU: same and one score the same."


def test_the_seed_of_the_environment_is_kept_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SACREBLEU_SEED", raising=False)
    p = {}
    for seed in ("12345", "7"):
        (comparison,) = compare(SYSTEMS, [REFERENCES], {"bleu": BLEU()}, {"ar": 300})
        assert f"|seed:{seed}|" in comparison.signatures["ar"]
        p[seed] = comparison.systems["near"].p["ar"]
        monkeypatch.setenv("SACREBLEU_SEED", "7")
    assert p["12345"] != p["7"]


def made(metric: str, score: float, p: dict[str, float]) -> Comparison:
    measured = {"a": Measured(30.0, 30.0, 1.0, {}), "b": Measured(score, 30.0, 1.0, p)}
    return Comparison(metric, metric.upper(), dict.fromkeys(p, "signed"), measured)


@pytest.mark.parametrize(
    ("metric", "score", "p", "said"),
    [
        ("bleu", 32.5, {"bs": 0.001, "ar": 0.05}, "BLEU: b is better than a by 2.50: significant."),
        ("bleu", 27.5, {"bs": 0.001}, "BLEU: b is worse than a by 2.50: significant."),
        ("ter", 27.5, {"ar": 0.001}, "TER: b is better than a by 2.50: significant."),
        ("bleu", 30.1, {"bs": 0.3, "ar": 0.4}, "BLEU: b is better than a by 0.10: not significant, it may well be chance."),
        (
            "ter",
            30.1,
            {"bs": 0.01, "ar": 0.06},
            "TER: b is worse than a by 0.10: significant by bootstrap, not by randomisation, so undecided.",
        ),
    ],
)
def test_the_verdict_says_what_the_figures_say(metric: str, score: float, p: dict[str, float], said: str) -> None:
    assert verdict(made(metric, score, p), "b", "a") == said


def test_rows_have_a_cell_under_every_heading() -> None:
    for samples in ({"bs": 5, "ar": 5}, {"ar": 5}):
        compared = compare(SYSTEMS, [REFERENCES], {"ter": TER(), "bleu": BLEU()}, samples)
        findings = Findings({name: name for name in SYSTEMS}, len(REFERENCES), compared, samples, {})
        assert {len(row) for row in findings.rows()} == {len(findings.headings())}
        assert len(findings.rows()) == 6
        assert findings.rows()[0][0] == "TER ↓"
        assert any("less is better" in note for note in findings.notes())
