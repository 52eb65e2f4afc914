"""Learning-rate schedules: pure functions from the number of an update, from 1, to a factor on `optimizer.lr`."""

import math


def constant(update: int, *, warmup: int) -> float:
    """min(u / warmup, 1): rises linearly over `warmup` updates, then stays."""
    _at_least("warmup", warmup, 0)
    return min(update / warmup, 1.0) if warmup else 1.0


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
    _at_least("warmup", warmup, 0)
    _at_least("total", total, warmup + 1)
    if not 0 <= final <= 1:
        raise ValueError(f"schedule.final must be from 0 to 1, but is {final}")
    if update < warmup:
        return update / warmup
    progress = min((update - warmup) / (total - warmup), 1.0)
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2


def halving(update: int, *, start: int, every: int) -> float:
    """1 up to update `start`, then halved at once and again after every `every` updates (Luong et al. 2015, section 4.1).

    Args:
        update: u, from 1.
        start: updates at the full rate; the papers count epochs, so this is so many times the updates of one.
        every: updates between two halvings, at least 1.
    """
    _at_least("start", start, 0)
    _at_least("every", every, 1)
    return 1.0 if update <= start else 0.5 ** (1 + (update - start - 1) // every)


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"schedule.{name} must be at least {least}, but is {value}")
