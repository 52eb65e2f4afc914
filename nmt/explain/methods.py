"""The methods of explanation by name."""

from collections.abc import Callable

import torch

from nmt.errors import UserError
from nmt.explain.attribution import Attribution
from nmt.explain.gradients import gradient_x_input, integrated_gradients
from nmt.explain.maps import Pair, read
from nmt.explain.norms import norms
from nmt.explain.relevance import relevance
from nmt.explain.rollout import rollout
from nmt.models.seq2seq import Seq2Seq

Method = Callable[[Seq2Seq, Pair], Attribution]


@torch.inference_mode()
def attention(model: Seq2Seq, pair: Pair) -> Attribution:
    """The mean over layers and heads of attention to the source, and of the decoder's attention to its prefix."""
    maps = read(model, pair).maps
    source = torch.stack([weights.mean(0) for weights in maps.cross]).mean(0)
    S = source.size(1)
    layers = maps.decoder or [target[..., S:] for _, target in maps.joint]
    return Attribution(source, torch.stack([weights.mean(0) for weights in layers]).mean(0) if layers else None)


METHODS: dict[str, Method] = {
    "attention": attention,
    "rollout": rollout,
    "norms": norms,
    "gradient_x_input": gradient_x_input,
    "integrated_gradients": integrated_gradients,
    "relevance": relevance,
}
THROUGH_SELF_ATTENTION = {"rollout", "relevance"}
"""Methods that follow attention through every layer, from the last to the embeddings."""


def methods_of(model: Seq2Seq) -> list[str]:
    """The methods that are defined for a model: without attention those by gradients, without self-attention no propagation."""
    stacks = bool(model.decoder_attention() or model.joint_attention())
    by_gradient = {"gradient_x_input", "integrated_gradients"}
    defined = set(METHODS) - (set() if stacks else THROUGH_SELF_ATTENTION)
    return [name for name in METHODS if name in defined and (name in by_gradient or model.cross_attention())]


def method_named(name: str, model: Seq2Seq) -> Method:
    """The method of that name; raises `UserError` if there is none, or none for this model."""
    if name not in METHODS:
        raise UserError(f"there is no method {name!r}; there are: {', '.join(METHODS)}")
    if name not in (defined := methods_of(model)):
        lacks = "self-attention in its decoder" if model.cross_attention() else "attention to the source"
        raise UserError(f"method={name} needs {lacks}, which this model has not; it has: {', '.join(defined)}")
    return METHODS[name]
