"""What every optimizer of `torch.optim` is given, and whether one can train at all."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

UNSHARDED = ("Adafactor", "Rprop")
"""Optimizers that do what torch cannot do with parameters of which each process has a part."""

Groups = list[Tensor] | list[dict[str, Any]]


def parameter_groups(model: nn.Module, *, weight_decay: float) -> Groups:
    """The parameters of a model as an optimizer takes them: only matrices decay.

    Vectors — the weights of norms, biases and score vectors, those too that are stacked by head — have no scale that the
    next layer could make up for. Without weight decay there is one group, in the order of the model.
    """
    parameters: list[Tensor] = list(model.parameters())
    if not weight_decay:
        return parameters
    matrices = [parameter for parameter in parameters if parameter.ndim == 2]
    others = [parameter for parameter in parameters if parameter.ndim != 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def check_step(build: Callable[[nn.Module], torch.optim.Optimizer], device: torch.device) -> None:
    """Take one step on two small parameters, with the gradients that training gives: dense ones, and no closure.

    Raises:
        ValueError: if the optimizer cannot do that, or its settings make numbers that are none.
    """
    probe = nn.Linear(3, 2, device=device)
    optimizer = build(probe)
    name = type(optimizer).__name__
    for parameter in probe.parameters():
        parameter.grad = torch.full_like(parameter, 0.1)
    try:
        optimizer.step()
    except TypeError as error:
        if "closure" not in str(error):
            raise
        raise ValueError(
            f"optimizer ({name}) evaluates the loss several times in one step, through a closure, which training does not "
            "offer: choose another one"
        ) from error
    except (RuntimeError, AssertionError) as error:  # how torch refuses gradients, devices and combinations of settings
        raise ValueError(f"optimizer ({name}) cannot take a step: {str(error).splitlines()[0]}") from error
    if not all(parameter.isfinite().all() for parameter in probe.parameters()):
        raise ValueError(f"optimizer ({name}): one step with these settings makes parameters that are no numbers: lower its lr")


def check_sharding(optimizer: torch.optim.Optimizer) -> None:
    """Raise `ValueError` if an optimizer cannot work where each process has a part of every parameter."""
    name = type(optimizer).__name__
    if name in UNSHARDED:
        raise ValueError(f"optimizer ({name}) cannot work on sharded parameters: choose another one, or train.parallel=ddp")
    if name == "SGD" and optimizer.defaults["fused"]:
        raise ValueError(f"optimizer ({name}) cannot be fused on sharded parameters: set optimizer.fused=false")
