"""Schedules are pure functions of the number of an update: their formulas, peaks and ends."""

import itertools
import math
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from nmt.components import build_schedule
from nmt.errors import UserError
from nmt.training.schedules import constant, cosine, halving, inverse_sqrt, linear, plateau

WARMUP, TOTAL, FINAL = 40, 300, 0.1
SCHEDULES = [
    partial(constant, warmup=WARMUP),
    partial(inverse_sqrt, warmup=WARMUP),
    partial(cosine, warmup=WARMUP, total=TOTAL, final=FINAL),
    partial(linear, warmup=WARMUP, total=TOTAL, final=FINAL),
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
    factors = [halving(update, warmup=0, start=10, every=4) for update in range(1, 23)]
    assert factors == [1.0] * 10 + [0.5] * 4 + [0.25] * 4 + [0.125] * 4
    warmed = [halving(update, warmup=4, start=10, every=4) for update in range(1, 23)]
    assert warmed == [0.25, 0.5, 0.75, *factors[3:]]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"warmup": 0, "start": -1, "every": 4}, r"schedule\.start must be at least 0, but is -1"),
        ({"warmup": 5, "start": 4, "every": 4}, r"schedule\.start must be at least 5, but is 4"),
        ({"warmup": -1, "start": 4, "every": 4}, r"schedule\.warmup must be at least 0, but is -1"),
        ({"warmup": 0, "start": 1, "every": 0}, r"schedule\.every must be at least 1, but is 0"),
    ],
)
def test_impossible_halvings_are_named(keywords: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        halving(1, **keywords)


def rates(make: Callable[[torch.optim.Optimizer], Any], updates: int) -> Iterator[float]:
    """The factors that a scheduler of torch gives to the first updates."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    for _ in range(updates):
        yield optimizer.param_groups[0]["lr"]
        optimizer.step()
        scheduler.step()


def after_warmup(decay: Callable[[torch.optim.Optimizer], Any]) -> Callable[[torch.optim.Optimizer], Any]:
    """A linear rise from 1 / w at the first update to 1 at the last one of the warm-up, then a decay from there on."""

    def make(optimizer: torch.optim.Optimizer) -> Any:
        rise = lr_scheduler.LinearLR(optimizer, start_factor=1 / WARMUP, total_iters=WARMUP - 1)
        return lr_scheduler.SequentialLR(optimizer, [rise, decay(optimizer)], milestones=[WARMUP - 1])

    return make


LENGTH = TOTAL - WARMUP
TORCH = [
    (linear, lambda o: lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=FINAL, total_iters=LENGTH)),
    (cosine, lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=LENGTH, eta_min=FINAL)),
]


@pytest.mark.parametrize(("schedule", "decay"), TORCH, ids=["linear", "cosine"])
def test_it_equals_the_scheduler_of_torch(schedule: Callable[..., float], decay: Callable[..., Any]) -> None:
    ours = [schedule(update, warmup=WARMUP, total=TOTAL, final=FINAL) for update in range(1, TOTAL + 1)]
    assert ours == pytest.approx(list(rates(after_warmup(decay), TOTAL)), abs=1e-9)


def test_linear_ends_at_its_final_factor_and_stays() -> None:
    schedule = partial(linear, warmup=WARMUP, total=TOTAL, final=FINAL)
    assert schedule((WARMUP + TOTAL) // 2) == pytest.approx((1 + FINAL) / 2, abs=1e-12)
    assert [schedule(update) for update in (TOTAL, TOTAL + 1, 10**6)] == pytest.approx([FINAL] * 3, abs=1e-12)
    assert linear(TOTAL, warmup=0, total=TOTAL, final=0.0) == 0


@pytest.mark.parametrize("seed", range(40))
def test_plateau_equals_the_scheduler_of_torch_on_any_dev_losses(seed: int) -> None:
    source = random.Random(seed)
    settings = {
        "factor": source.choice([0.1, 0.5, 0.9]),
        "patience": source.randint(0, 4),
        "threshold": source.choice([0.0, 1e-4, 0.05]),
    }
    lowest = source.choice([0.0, 0.03, 0.3])
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, mode="min", threshold_mode="rel", min_lr=lowest, eps=0.0, **settings)
    level = 9.0
    history: list[float] = []
    for _ in range(60):
        level *= source.uniform(0.9, 1.07)
        history.append(source.choice([level, level, level, *history[-1:], math.inf, math.nan]))
        scheduler.step(history[-1])
        ours = plateau(10**6, history, warmup=WARMUP, lowest=lowest, **settings)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
    assert ours < 1


def test_plateau_warms_up_and_needs_no_validation() -> None:
    settings = {"warmup": WARMUP, "factor": 0.5, "patience": 1, "threshold": 0.0, "lowest": 0.0}
    assert [plateau(update, [], **settings) for update in (1, WARMUP // 2, WARMUP, 10**6)] == [1 / WARMUP, 0.5, 1, 1]
    assert plateau(WARMUP // 2, [1.0, 1.0, 1.0], **settings) == 0.25


PLATEAU = {"warmup": 0, "factor": 0.5, "patience": 1, "threshold": 0.0, "lowest": 0.0}


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("plateau", PLATEAU | {"factor": 1.0}, r"schedule\.factor must be between 0 and 1, but is 1\.0"),
        ("plateau", PLATEAU | {"patience": -1}, r"schedule\.patience must be at least 0, but is -1"),
        ("plateau", PLATEAU | {"threshold": 1.0}, r"schedule\.threshold must be at least 0 and less than 1, but is 1\.0"),
        ("plateau", PLATEAU | {"lowest": -0.1}, r"schedule\.lowest must be from 0 to 1, but is -0\.1"),
        ("plateau", PLATEAU | {"history": [1.0]}, r"schedule\.history is what training tells plateau, not a key"),
        ("constant", {"warmup": 1, "update": 3}, r"schedule\.update is what training tells constant, not a key"),
        ("constant", {"warmup": 1, "history": [1.0]}, r"schedule\.history is not a key of constant; its keys are: warmup"),
        ("linear", {"warmup": 9, "total": 9, "final": 0.0}, r"schedule\.total must be at least 10, but is 9"),
        ("linear", {"warmup": 0, "total": 9, "final": 2.0}, r"schedule\.final must be from 0 to 1, but is 2\.0"),
    ],
)
def test_impossible_schedules_are_refused_when_they_are_built(name: str, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_schedule({"_target_": f"nmt.training.schedules.{name}", **keywords})


def test_every_schedule_is_called_alike() -> None:
    watching = build_schedule({"_target_": "nmt.training.schedules.plateau", **PLATEAU})
    assert [watching(9, [2.0] * n) for n in range(5)] == [1.0, 1.0, 1.0, 0.5, 0.5]
    assert build_schedule({"_target_": "nmt.training.schedules.constant", "warmup": 0})(9, [2.0] * 5) == 1.0
