"""Attribution by gradients of the embeddings, as Captum computes it.

Both methods explain f_t = log p(y_t | y_<t, x) as a function of the embeddings of x and of y_<t.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from nmt.explain.attribution import Attribution
from nmt.explain.maps import Pair
from nmt.models.seq2seq import Seq2Seq

STEPS = 20
"""Points of the integral, by Gauss and Legendre."""

POSITIONS = 4096
"""Positions of both sides that a model reads at once."""

Attribute = Callable[["LogProbability", tuple[Tensor, Tensor]], tuple[Tensor, Tensor]]


def gradient_x_input(model: Seq2Seq, pair: Pair) -> Attribution:
    """Σ_d x_d ∂f_t/∂x_d over the width of every embedding x (Shrikumar et al. 2016, section 3)."""
    from captum.attr import InputXGradient

    return _attribute(model, pair, lambda f, inputs: InputXGradient(f).attribute(inputs, additional_forward_args=f.numbers))


def integrated_gradients(model: Seq2Seq, pair: Pair, *, steps: int = STEPS) -> Attribution:
    """Σ_d x_d ∫₀¹ ∂f_t(a x)/∂x_d da, along the straight line from zero embeddings (Sundararajan et al. 2017, equation 1).

    Complete (their proposition 1): the sum over source and prefix is f_t(x) - f_t(0), up to the error of the sum that stands
    for the integral.
    """
    from captum.attr import IntegratedGradients

    def attribute(f: LogProbability, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        size = max(len(inputs[0]), POSITIONS // (inputs[0].size(1) + inputs[1].size(1)))
        found: tuple[Tensor, Tensor] = IntegratedGradients(f).attribute(
            inputs, additional_forward_args=f.numbers, n_steps=steps, internal_batch_size=size
        )
        return found

    return _attribute(model, pair, attribute)


class LogProbability:
    """f_t of the embeddings of source (N, S, E) and prefix (N, T, E) for the positions `numbers` (N,) of a pair."""

    def __init__(self, model: Seq2Seq, pair: Pair, numbers: Tensor) -> None:
        self.model = model
        self.pair = pair
        self.numbers = numbers

    def __call__(self, source: Tensor, prefix: Tensor, numbers: Tensor) -> Tensor:
        """f_t (N,), t of `numbers` (N,)."""
        pair, count = self.pair, len(numbers)
        src, tgt_in, mask = (x.expand(count, -1) for x in (pair.src, pair.tgt_in, pair.src_mask))
        with embedded_as(self.model, (src, source), (tgt_in, prefix)):
            features = self.model(src, tgt_in, mask)  # (N, T, D)
        logits = self.model.project(features[torch.arange(count, device=numbers.device), numbers])  # (N, V)
        return logits.gather(1, pair.tgt_out[numbers].unsqueeze(1)).squeeze(1) - logits.logsumexp(-1)


@contextmanager
def embedded_as(model: Seq2Seq, *given: tuple[Tensor, Tensor]) -> Iterator[None]:
    """While it is open, the embeddings of these very tensors of ids are the ones given; others are looked up as ever."""

    def instead(_: nn.Module, arguments: tuple[Tensor, ...], found: Tensor) -> Tensor:
        return next((embedded for ids, embedded in given if arguments[0] is ids), found)

    modules = {model.src_embedding, model.tgt_embedding}  # which may be one
    handles = [module.register_forward_hook(instead) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _attribute(model: Seq2Seq, pair: Pair, attribute: Attribute) -> Attribution:
    """Every target position is an example of a batch; as many at once as `POSITIONS` allow."""
    sides = ((model.src_embedding, pair.src), (model.tgt_embedding, pair.tgt_in))
    embedded = [embedding(ids).detach() for embedding, ids in sides]
    numbers = torch.arange(len(pair.tgt_out), device=pair.src.device)
    parts: list[Any] = []
    for some in numbers.split(max(1, POSITIONS // (pair.src.numel() + pair.tgt_in.numel()))):
        inputs = [x.expand(len(some), -1, -1).clone().requires_grad_() for x in embedded]
        found = attribute(LogProbability(model, pair, some), (inputs[0], inputs[1]))
        parts.append([x.detach().sum(-1) for x in found])
    source, prefix = (torch.cat(side) for side in zip(*parts, strict=True))
    return Attribution(source, prefix)
