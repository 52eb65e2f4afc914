"""Listening to attention."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.models.attention import Listener, listening
from nmt.models.seq2seq import Seq2Seq
from nmt.vocabulary import BOS, EOS, PAD


class Attended(NamedTuple):
    """What a module did once: its weights (…, K, S), and the values (…, S, D) that they averaged."""

    weights: Tensor
    values: Tensor


@contextmanager
def record_attention(
    model: nn.Module, *, of: Collection[nn.Module] | None = None, gradients: bool = False
) -> Iterator[dict[str, list[Tensor]]]:
    """While it is open, collect the weights (…, K, S) of every attention of a model, by the name of its module.

    Args:
        model: trained, or in training.
        of: only of these modules; the others keep their fast kernels.
        gradients: let weights keep their gradient, so that after `backward` each has its `.grad`.

    Raises:
        ValueError: if gradients are wanted where autograd is switched off.
    """
    if gradients and (not torch.is_grad_enabled() or torch.is_inference_mode_enabled()):
        raise ValueError("gradients=True needs autograd: leave torch.no_grad and torch.inference_mode out")
    names = {module: name for name, module in model.named_modules()}
    maps: dict[str, list[Tensor]] = {}

    def hear(module: nn.Module, weights: Tensor, _: Tensor) -> None:
        if gradients:
            weights.retain_grad()
        maps.setdefault(names[module], []).append(weights)

    with listening(Listener(hear, of)):
        yield maps


@contextmanager
def record_values(of: Collection[nn.Module]) -> Iterator[dict[nn.Module, list[Attended]]]:
    """While it is open, collect of some modules the weights and what they average, in the order of time."""
    heard: dict[nn.Module, list[Attended]] = {module: [] for module in of}
    with listening(Listener(lambda module, *attended: heard[module].append(Attended(*attended)), of)):
        yield heard


def mean_attention(model: Seq2Seq, maps: Mapping[str, Sequence[Tensor]]) -> Tensor | None:
    """The mean over layers and heads of recorded attention to the source, (B, T, S); None for a model without."""
    layers = layers_of(model, maps)
    return torch.stack([layer.mean(1) for layer in layers]).mean(0) if layers else None


def layers_of(model: Seq2Seq, maps: Mapping[str, Sequence[Tensor]]) -> list[Tensor]:
    """Recorded attention to the source, (B, H, T, S) for each layer.

    What was recorded several times, as by a recurrence, is in the order of the target. The members of an ensemble, whose
    layers may have different heads, stand one after the other.
    """
    names = {module: name for name, module in model.named_modules()}
    return [in_order(maps[names[module]]) for module in model.cross_attention()]


def in_order(recorded: Sequence[Tensor]) -> Tensor:
    """Weights (B, [H,] K, S) of a target, recorded at once or step by step, as (B, H, T, S)."""
    weights = torch.cat(list(recorded), dim=-2)
    return weights.flatten(1, -3) if weights.dim() > 3 else weights.unsqueeze(1)


def source_layers(model: Seq2Seq, src: Tensor, src_mask: Tensor, targets: Sequence[Sequence[int]]) -> list[Tensor]:
    """What each piece of given translations looked at under forced decoding: (B, H, T + 1, S) for each layer.

    Row t is that of the step which predicts piece t, from 0; the last one predicts EOS. What is beyond the end of a
    translation or of a source means nothing.

    Args:
        model: in evaluation mode.
        src: ids with EOS and padding, (B, S).
        src_mask: (B, S).
        targets: the pieces of each, without EOS.
    """
    longest = max(map(len, targets))
    tgt_in = torch.tensor([[BOS, *ids, *[PAD] * (longest - len(ids))] for ids in targets], device=src.device)
    with torch.inference_mode(), record_attention(model, of=model.cross_attention()) as maps:
        model(src, tgt_in, src_mask)
    return layers_of(model, maps)


def source_attention(model: Seq2Seq, src: Tensor, src_mask: Tensor, targets: Sequence[Sequence[int]]) -> Tensor | None:
    """The mean of `source_layers` over heads and layers, (B, T + 1, S); None for a model without attention."""
    layers = source_layers(model, src, src_mask, targets)
    return torch.stack([layer.mean(1) for layer in layers]).mean(0) if layers else None


def cross_attention_map(model: Seq2Seq, src: list[int], tgt: list[int]) -> Tensor | None:
    """`source_attention` of one pair without EOS on either side: (T + 1, S + 1), the ends of sentence last."""
    source = torch.tensor([[*src, EOS]], device=next(model.parameters()).device)
    attention = source_attention(model, source, torch.ones_like(source, dtype=torch.bool), [tgt])
    return None if attention is None else attention.squeeze(0)
