"""Gradient checkpointing changes memory, not results."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nmt.components import build_model
from nmt.errors import UserError
from nmt.models.seq2seq import Vocabulary
from nmt.training.recompute import recompute_blocks

MODELS = ["transformer_tiny", "transformer_shaw", "decoder_only_tiny", "hybrid_tiny"]


def gradients(compose_model: Callable[..., dict[str, Any]], name: str, *, again: bool) -> tuple[list[torch.Tensor], int]:
    torch.manual_seed(4)
    model = build_model(compose_model(f"model={name}", "model.dropout=0.2"), Vocabulary(31, 31, True))
    if again:
        recompute_blocks(model)
    src, tgt_in = torch.randint(4, 31, (3, 7)), torch.randint(4, 31, (3, 5))
    kept: list[int] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    torch.manual_seed(5)  # dropout draws the same masks, when layers are computed again, too
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        features = model(src, tgt_in, torch.ones(3, 7, dtype=torch.bool))
    forward = sum(kept)
    features.square().sum().backward()
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None], forward


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_the_same_bits_and_less_is_kept(compose_model: Callable[..., dict[str, Any]], name: str) -> None:
    plain, kept = gradients(compose_model, name, again=False)
    again, kept_less = gradients(compose_model, name, again=True)
    assert len(plain) == len(again) > 5
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))
    assert kept_less < kept


def test_a_model_without_layers_of_self_attention_is_refused(compose_model: Callable[..., dict[str, Any]]) -> None:
    model = build_model(compose_model("model=luong_tiny"), Vocabulary(31, 31, True))
    with pytest.raises(UserError, match=r"train\.gradient_checkpointing=true needs a model with self-attention"):
        recompute_blocks(model)
