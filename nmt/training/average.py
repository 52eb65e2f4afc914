"""Checkpoint averaging: the mean of the parameters of several checkpoints of one run (Vaswani et al. 2017, section 6.1)."""

from collections.abc import Sequence

import torch
from torch import nn

from nmt.errors import UserError
from nmt.training.checkpoint import AVERAGED, Checkpoint
from nmt.training.checkpoints import Checkpoints


def choose(checkpoints: Checkpoints, *, last: int | None, names: object) -> list[Checkpoint]:
    """The checkpoints to average, all of them whole, oldest first.

    Args:
        checkpoints: of the run.
        last: how many of the newest; None is all.
        names: a list of numbers of updates, `best` or `last`, instead; None is none.

    Raises:
        UserError: if they are not there, fewer than two, named twice, damaged or of a newer format.
    """
    if last is not None and names is not None:
        raise UserError("last=N and checkpoints=[…] are two choices of checkpoints: give one")
    chosen = _newest(checkpoints, last) if names is None else _named(checkpoints, names)
    for checkpoint in chosen:
        if problem := checkpoint.damage():
            raise UserError(f"{problem}: choose others with checkpoints=[…]; there are {_updates(checkpoints.all())}")
    return chosen


def _newest(checkpoints: Checkpoints, count: int | None) -> list[Checkpoint]:
    there = checkpoints.all()
    wanted = len(there) if count is None else count
    if count is not None and count < 2:
        raise UserError(f"last must be at least 2, for an average needs two checkpoints, but is {count}")
    if len(there) < max(wanted, 2):
        raise UserError(
            f"an average of {max(wanted, 2)} checkpoints needs as many, but {checkpoints.directory} has {len(there)} "
            f"({_updates(there)}): train.keep says how many of the newest a run keeps beside the best, "
            "train.checkpoint_every how often one is written"
        )
    return there[-wanted:]


def _named(checkpoints: Checkpoints, names: object) -> list[Checkpoint]:
    if not isinstance(names, list):
        raise UserError(f"checkpoints must be a list, such as [{_updates(checkpoints.all()[-2:])}], but is {names!r}")
    if AVERAGED in names:
        raise UserError(f"checkpoints: {AVERAGED} is an average itself; name numbers of updates, best or last")
    chosen = sorted((checkpoints.find(str(name)) for name in names), key=lambda checkpoint: checkpoint.updates)
    if len(chosen) < 2:
        raise UserError(f"checkpoints must name at least two, but names {len(chosen)}: {names}")
    if len(set(chosen)) < len(chosen):
        raise UserError(f"checkpoints={names} names a checkpoint twice: they are those of updates {_updates(chosen)}")
    return chosen


def _updates(checkpoints: Sequence[Checkpoint]) -> str:
    return ", ".join(str(checkpoint.updates) for checkpoint in checkpoints) or "none"


def fill_with_mean(model: nn.Module, checkpoints: Sequence[Checkpoint]) -> None:
    """Let the parameters of a model be the mean of those of its checkpoints, summed in float64.

    Raises:
        UserError: if a checkpoint belongs to another model.
    """
    parameters = list(model.parameters())
    sums = [torch.zeros_like(parameter, dtype=torch.float64) for parameter in parameters]
    with torch.no_grad():
        for checkpoint in checkpoints:
            checkpoint.load_model(model)
            for total, parameter in zip(sums, parameters, strict=True):
                total += parameter
        for total, parameter in zip(sums, parameters, strict=True):
            parameter.copy_(total / len(checkpoints))
