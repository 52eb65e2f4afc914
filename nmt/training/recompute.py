"""Gradient checkpointing: layers are computed again in the backward pass, so that their insides need not be kept."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from nmt.errors import UserError
from nmt.models.seq2seq import Seq2Seq


def recompute_blocks(model: Seq2Seq) -> None:
    """Let every block of a model keep its inputs only (Chen et al. 2016); results stay the same, bit for bit.

    Raises:
        UserError: if the model has none.
    """
    blocks = model.blocks()
    if not blocks:
        raise UserError("train.gradient_checkpointing=true needs a model with self-attention, such as model=transformer")
    for module, verbs in blocks:
        for verb in verbs:
            setattr(module, verb, _recomputed(getattr(module, verb)))


def _recomputed(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def computed(*arguments: Any) -> Any:
        if not torch.is_grad_enabled():
            return function(*arguments)
        return checkpoint(function, *arguments, use_reentrant=False)

    return computed
