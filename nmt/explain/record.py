"""Listening to attention."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nmt.models.attention import listening
from nmt.models.seq2seq import Seq2Seq
from nmt.vocabulary import BOS, EOS, PAD


@contextmanager
def record_attention(model: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """While it is open, collect the weights (…, K, S) of every attention of a model, by the name of its module."""
    names = {module: name for name, module in model.named_modules()}
    maps: dict[str, list[Tensor]] = {}
    with listening(lambda module, weights: maps.setdefault(names[module], []).append(weights)):
        yield maps


def mean_attention(model: Seq2Seq, maps: Mapping[str, Sequence[Tensor]]) -> Tensor | None:
    """The mean over layers and heads of recorded attention to the source, (B, T, S); None for a model without.

    What was recorded several times, as by a recurrence, is in the order of the target.
    """
    names = {module: name for name, module in model.named_modules()}
    layers = [torch.cat(list(maps[names[module]]), dim=-2) for module in model.cross_attention()]  # (B, [H,] T, S)
    if not layers:
        return None
    return torch.stack([layer.flatten(1, -3).mean(1) if layer.dim() > 3 else layer for layer in layers]).mean(0)


@torch.inference_mode()
def source_attention(model: Seq2Seq, src: Tensor, src_mask: Tensor, targets: Sequence[Sequence[int]]) -> Tensor | None:
    """What each piece of given translations looked at, (B, T + 1, S), after T pieces EOS; None for a model without attention.

    The mean over the heads and layers of target-to-source attention under forced decoding. What is beyond the end of a
    translation or of a source means nothing.

    Args:
        model: in evaluation mode.
        src: ids with EOS and padding, (B, S).
        src_mask: (B, S).
        targets: the pieces of each, without EOS.
    """
    longest = max(map(len, targets))
    tgt_in = torch.tensor([[BOS, *ids, *[PAD] * (longest - len(ids))] for ids in targets], device=src.device)
    with record_attention(model) as maps:
        model(src, tgt_in, src_mask)
    return mean_attention(model, maps)


def cross_attention_map(model: Seq2Seq, src: list[int], tgt: list[int]) -> Tensor | None:
    """`source_attention` of one pair without EOS on either side: (T + 1, S + 1), the ends of sentence last."""
    source = torch.tensor([[*src, EOS]], device=next(model.parameters()).device)
    attention = source_attention(model, source, torch.ones_like(source, dtype=torch.bool), [tgt])
    return None if attention is None else attention.squeeze(0)
