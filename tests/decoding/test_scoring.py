"""Length rules and coverage with numbers worked out by hand."""

import itertools
import math

import pytest
import torch

from nmt.decoding.scoring import LENGTH_RULES, Scoring
from nmt.decoding.stopping import Exact, Standing


@pytest.mark.parametrize(
    ("rule", "penalty", "expected"),
    [
        ("none", 2.0, 1.0),
        ("average", 1.0, 4.0),
        ("average", 0.5, 2.0),
        ("average", 0.0, 1.0),
        ("wu", 0.6, 1.5**0.6),
        ("wu", 0.0, 1.0),
    ],
)
def test_the_divisor_of_four_pieces_is_the_papers(rule: str, penalty: float, expected: float) -> None:
    assert Scoring(rule, penalty).lp(torch.tensor(4.0)) == pytest.approx(expected, rel=1e-6)


def test_coverage_adds_up_the_logarithms_of_what_was_not_looked_at_fully() -> None:
    attention = torch.tensor([[[0.5, 2.0, 0.25, 9.0, 9.0], [1.0, 1.0, 1.0, 0.0, 0.0]]])  # two hypotheses, five pieces
    mask = torch.tensor([[True, True, True, True, False]])  # three pieces, their end, padding
    penalty = Scoring(coverage_penalty=0.2).coverage(attention, mask)
    assert penalty.tolist() == [[pytest.approx(0.2 * (math.log(0.5) + math.log(0.25)), rel=1e-6), 0.0]]


def test_what_was_not_looked_at_at_all_costs_much_but_not_everything() -> None:
    penalty = Scoring(coverage_penalty=1.0).coverage(torch.zeros(1, 1, 2), torch.ones(1, 2, dtype=torch.bool))
    assert -100 < float(penalty) < -50


@pytest.mark.parametrize("rule", LENGTH_RULES)
@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
def test_the_exact_stop_waits_for_every_continuation_that_could_be_better(rule: str, penalty: float) -> None:
    scoring, longest = Scoring(rule, penalty), 9
    for total in (-0.5, -20.0):
        for length, further in itertools.product(range(1, longest + 2), (0.0, -1.0)):
            reachable = (total + further) / float(scoring.lp(torch.tensor(float(length))))
            for finished, done in ((reachable - 1e-4, False), (0.0, True)):
                scores, live = torch.tensor([[finished]]), torch.tensor([total])
                standing = Standing(scores, torch.tensor([0]), live, length, torch.tensor([longest]), wanted=1)
                assert bool(Exact(scoring).done(standing)) == done
