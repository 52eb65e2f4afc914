"""Listening to attention."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nmt.models.attention import listening
from nmt.models.seq2seq import Seq2Seq
from nmt.vocabulary import BOS, EOS


@contextmanager
def record_attention(model: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """While it is open, collect the weights (…, K, S) of every attention of a model, by the name of its module."""
    names = {module: name for name, module in model.named_modules()}
    maps: dict[str, list[Tensor]] = {}
    with listening(lambda module, weights: maps.setdefault(names[module], []).append(weights)):
        yield maps


@torch.inference_mode()
def cross_attention_map(model: Seq2Seq, src: list[int], tgt: list[int]) -> Tensor | None:
    """What each target piece looked at in the source: (T + 1, S + 1), the ends of sentence last.

    The mean over the heads and layers of target-to-source attention under forced decoding; None for a model without.

    Args:
        model: in evaluation mode.
        src: source ids without EOS, S of them.
        tgt: target ids without EOS, T of them.
    """
    device = next(model.parameters()).device
    source = torch.tensor([[*src, EOS]], device=device)
    with record_attention(model) as maps:
        model(source, torch.tensor([[BOS, *tgt]], device=device), torch.ones_like(source, dtype=torch.bool))
    names = {module: name for name, module in model.named_modules()}
    layers = [torch.cat(maps[names[module]], dim=-2) for module in model.cross_attention()]  # (1, [H,] T + 1, S + 1)
    if not layers:
        return None
    return torch.stack([layer.flatten(0, -3).mean(0) for layer in layers]).mean(0)
