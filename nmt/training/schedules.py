"""Learning-rate schedules: pure functions from the number of an update, from 1, to a factor on `optimizer.lr`.

One that watches the dev loss takes as its second argument the losses of the scheduled validations so far: it has no state,
so a continued run needs nothing but the list.
"""

import math
from collections.abc import Sequence
from typing import Protocol


class Schedule(Protocol):
    """How training calls every schedule: update u, from 1, and the dev losses so far, to a factor."""

    def __call__(self, update: int, history: Sequence[float] = ()) -> float: ...


def constant(update: int, *, warmup: int) -> float:
    """min(u / warmup, 1): rises linearly over `warmup` updates, then stays."""
    _at_least("warmup", warmup, 0)
    return _risen(update, warmup)


def linear(update: int, *, warmup: int, total: int, final: float) -> float:
    """Rises linearly over `warmup` updates, then falls linearly to `final` at `total` (Devlin et al. 2019, appendix A.2).

    1 - (1 - final) (u - w) / (total - w).

    Args:
        update: u, from 1.
        warmup: w.
        total: the update at which the factor is `final`, where it stays.
        final: factor at the end, from 0 to 1.
    """
    return _risen(update, warmup) * (1 - (1 - final) * _fallen(update, warmup, total, final))


def inverse_sqrt(update: int, *, warmup: int) -> float:
    """min(u / w, √(w / u)) (Vaswani et al. 2017, equation 3, scaled so that its peak is 1).

    Args:
        update: u, from 1.
        warmup: w, the updates until the peak, at least 1.
    """
    _at_least("warmup", warmup, 1)
    return min(update / warmup, math.sqrt(warmup / update))


def cosine(update: int, *, warmup: int, total: int, final: float) -> float:
    """Rises linearly over `warmup` updates, then falls to `final` along half a cosine that ends at `total`.

    final + (1 - final) (1 + cos(π (u - w) / (total - w))) / 2 (Loshchilov and Hutter 2017, equation 5).

    Args:
        update: u, from 1.
        warmup: w.
        total: the update at which the factor is `final`, where it stays.
        final: factor at the end, from 0 to 1.
    """
    half_cosine = (1 + math.cos(math.pi * _fallen(update, warmup, total, final))) / 2
    return _risen(update, warmup) * (final + (1 - final) * half_cosine)


def halving(update: int, *, warmup: int, start: int, every: int) -> float:
    """1 up to update `start`, then halved at once and again after every `every` updates (Luong et al. 2015, section 4.1).

    Args:
        update: u, from 1.
        warmup: updates of a linear rise, which the papers do not have.
        start: updates before the first halving; the papers count epochs, so this is so many times the updates of one.
        every: updates between two halvings, at least 1.
    """
    _at_least("warmup", warmup, 0)
    _at_least("start", start, warmup)
    _at_least("every", every, 1)
    return _risen(update, warmup) if update <= start else 0.5 ** (1 + (update - start - 1) // every)


def plateau(
    update: int,
    history: Sequence[float],
    *,
    warmup: int,
    factor: float,
    patience: int,
    threshold: float,
    lowest: float,
) -> float:
    """Rises linearly over `warmup` updates; is multiplied by `factor` whenever the dev loss has stopped falling.

    The rule is that of `torch.optim.lr_scheduler.ReduceLROnPlateau`: a validation is better if its loss is below
    (1 - threshold) times the best one; after more than `patience` in a row that are not, the factor falls, and counting
    begins anew.

    Args:
        update: u, from 1.
        history: dev losses of the scheduled validations so far, oldest first.
        warmup: w.
        factor: between 0 and 1.
        patience: validations without a better dev loss that change nothing.
        threshold: the part of the best loss by which a better one must be lower.
        lowest: where the factor stops falling, from 0 to 1.
    """
    _at_least("warmup", warmup, 0)
    _at_least("patience", patience, 0)
    _within("factor", factor, 0 < factor < 1, "between 0 and 1")
    _within("threshold", threshold, 0 <= threshold < 1, "at least 0 and less than 1")
    _within("lowest", lowest, 0 <= lowest <= 1, "from 0 to 1")
    best, bad, reductions = math.inf, 0, 0
    for loss in history:
        best, bad = (loss, 0) if loss < best * (1 - threshold) else (best, bad + 1)
        if bad > patience:
            bad, reductions = 0, reductions + 1
    return _risen(update, warmup) * max(factor**reductions, lowest)


def _risen(update: int, warmup: int) -> float:
    """min(u / w, 1)."""
    return min(update / warmup, 1.0) if warmup else 1.0


def _fallen(update: int, warmup: int, total: int, final: float) -> float:
    """The part of the way from the end of the warm-up to `total`, from 0 to 1."""
    _at_least("warmup", warmup, 0)
    _at_least("total", total, warmup + 1)
    _within("final", final, 0 <= final <= 1, "from 0 to 1")
    return min(max(update - warmup, 0) / (total - warmup), 1.0)


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"schedule.{name} must be at least {least}, but is {value}")


def _within(name: str, value: float, holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(f"schedule.{name} must be {rule}, but is {value}")
