"""Schedules are pure functions of the number of an update: their formulas, peaks and ends."""

import itertools
import math
from collections.abc import Callable
from functools import partial

import pytest

from nmt.training.schedules import constant, cosine, halving, inverse_sqrt

WARMUP, TOTAL, FINAL = 40, 300, 0.1
SCHEDULES = [
    partial(constant, warmup=WARMUP),
    partial(inverse_sqrt, warmup=WARMUP),
    partial(cosine, warmup=WARMUP, total=TOTAL, final=FINAL),
]
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.func.__name__)
Schedule = Callable[[int], float]


@each_schedule
def test_it_rises_linearly_to_its_peak_of_1_at_the_end_of_the_warm_up(schedule: Schedule) -> None:
    for update in range(1, WARMUP + 1):
        assert schedule(update) == pytest.approx(update / WARMUP, abs=1e-12)
    assert max(schedule(update) for update in range(1, 3 * TOTAL)) == pytest.approx(1, abs=1e-12)


@each_schedule
def test_it_never_jumps_and_never_rises_again(schedule: Schedule) -> None:
    factors = [schedule(update) for update in range(1, 3 * TOTAL)]
    steps = [after - before for before, after in itertools.pairwise(factors)]
    assert max(map(abs, steps)) < 1 / WARMUP + 1e-12
    assert all(step <= 1e-12 for step in steps[WARMUP - 1 :])


@each_schedule
@pytest.mark.parametrize("update", [1, WARMUP, TOTAL, 10**6])
def test_it_is_a_positive_factor_at_any_update(schedule: Schedule, update: int) -> None:
    assert 0 < schedule(update) <= 1


def test_constant_stays_at_1_and_needs_no_warm_up() -> None:
    assert [constant(update, warmup=WARMUP) for update in (WARMUP, WARMUP + 1, 10**6)] == [1, 1, 1]
    assert [constant(update, warmup=0) for update in (1, 2, 10**6)] == [1, 1, 1]


@pytest.mark.parametrize("dim", [64, 512])
def test_inverse_sqrt_is_equation_3_over_its_peak(dim: int) -> None:
    def equation(update: int) -> float:
        return dim**-0.5 * min(update**-0.5, update * WARMUP**-1.5)

    for update in (1, 7, WARMUP - 1, WARMUP, WARMUP + 1, 1000, 10**6):
        assert inverse_sqrt(update, warmup=WARMUP) == pytest.approx(equation(update) / equation(WARMUP), rel=1e-12)
    assert inverse_sqrt(4 * WARMUP, warmup=WARMUP) == pytest.approx(0.5, rel=1e-12)


def test_cosine_is_half_a_cosine_that_ends_at_its_final_factor_and_stays() -> None:
    schedule = partial(cosine, warmup=WARMUP, total=TOTAL, final=FINAL)
    for update in range(WARMUP, TOTAL + 1):
        angle = math.pi * (update - WARMUP) / (TOTAL - WARMUP)
        assert schedule(update) == pytest.approx(FINAL + (1 - FINAL) * 0.5 * (1 + math.cos(angle)), abs=1e-12)
    assert schedule((WARMUP + TOTAL) // 2) == pytest.approx((1 + FINAL) / 2, abs=1e-12)
    assert [schedule(update) for update in (TOTAL, TOTAL + 1, 10**6)] == pytest.approx([FINAL] * 3, abs=1e-12)
    assert schedule(TOTAL - 1) > FINAL


def test_cosine_may_end_at_nothing() -> None:
    assert cosine(TOTAL, warmup=WARMUP, total=TOTAL, final=0.0) == pytest.approx(0, abs=1e-12)


def test_halving_waits_and_then_halves_at_each_interval() -> None:
    factors = [halving(update, start=10, every=4) for update in range(1, 23)]
    assert factors == [1.0] * 10 + [0.5] * 4 + [0.25] * 4 + [0.125] * 4


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"start": -1, "every": 4}, r"schedule\.start must be at least 0, but is -1"),
        ({"start": 1, "every": 0}, r"schedule\.every must be at least 1, but is 0"),
    ],
)
def test_impossible_halvings_are_named(keywords: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        halving(1, **keywords)
