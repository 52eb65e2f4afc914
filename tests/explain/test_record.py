"""Recording attention, and the picture of it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nmt.components import build_model
from nmt.explain.plots import heat_map
from nmt.explain.record import cross_attention_map, record_attention
from nmt.models.multihead import MultiHead
from nmt.models.seq2seq import Seq2Seq, Vocabulary
from nmt.vocabulary import BOS, EOS

Compose = Callable[..., dict[str, Any]]
MODELS = [
    ("model=bahdanau_tiny",),
    ("model=bahdanau_tiny", "model/attention=multihead_dot"),
    ("model=luong_tiny",),
    ("model=luong_tiny", "model.input_feeding=false"),
    ("model=luong_tiny", "model/attention=local_m", "model.attention.D=1"),
    ("model=transformer_tiny",),
]


def built(compose_model: Compose, *overrides: str) -> Seq2Seq:
    torch.manual_seed(1)
    return build_model(compose_model(*overrides), Vocabulary(13, 13, joint=True)).eval()


@pytest.fixture(params=MODELS, ids=" ".join)
def model(request: pytest.FixtureRequest, compose_model: Compose) -> Seq2Seq:
    return built(compose_model, *request.param)


def test_the_map_has_a_row_per_target_piece_and_each_sums_to_one(model: Seq2Seq) -> None:
    weights = cross_attention_map(model, [4, 5, 6, 7], [8, 9])
    assert weights is not None
    assert weights.shape == (3, 5)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    assert weights.min() >= 0


def test_the_map_is_the_mean_of_what_was_recorded_and_recording_changes_no_feature(model: Seq2Seq) -> None:
    src, tgt_in = torch.tensor([[4, 5, 6, EOS]]), torch.tensor([[BOS, 8, 9]])
    mask = torch.ones_like(src, dtype=torch.bool)
    plain = model(src, tgt_in, mask)
    with record_attention(model) as maps:
        recorded = model(src, tgt_in, mask)
    torch.testing.assert_close(recorded, plain, rtol=1e-5, atol=1e-5)
    names = {name for name, module in model.named_modules() if module in model.cross_attention()}
    assert names <= set(maps)
    layers = [torch.cat(maps[name], dim=-2) for name in names]
    mean = sum(layer.reshape(-1, 3, 4).mean(0) for layer in layers) / len(layers)
    found = cross_attention_map(model, [4, 5, 6], [8, 9])
    torch.testing.assert_close(found, mean)
    heads = [module for module in model.modules() if isinstance(module, MultiHead)]
    assert len(maps) == (len(heads) or 1)


def test_the_map_of_local_attention_is_zero_outside_the_window(compose_model: Compose) -> None:
    monotonic = built(compose_model, "model=luong_tiny", "model/attention=local_m", "model.attention.D=1")
    weights = cross_attention_map(monotonic, [4, 5, 6, 7], [8, 9])
    assert weights is not None
    away = torch.arange(5) - torch.arange(3).unsqueeze(1)
    assert torch.equal(weights > 0, away.abs() <= 1)
    predictive = built(compose_model, "model=luong_tiny", "model/attention=local_p", "model.attention.D=2")
    weights = cross_attention_map(predictive, [4, 5, 6, 7], [8, 9])
    assert weights is not None
    assert 0 < weights.sum(1).min() <= weights.sum(1).max() < 0.9  # the Gaussian takes some away


@pytest.mark.parametrize("name", ["encdec", "cho"])
def test_a_model_without_attention_has_no_map(compose_model: Compose, name: str) -> None:
    model = built(compose_model, f"model={name}_tiny")
    assert cross_attention_map(model, [4, 5, 6], [8, 9]) is None
    with record_attention(model) as maps:
        cross_attention_map(model, [4, 5, 6], [8, 9])
    assert maps == {}


def test_nothing_is_recorded_once_it_is_closed(model: Seq2Seq) -> None:
    with record_attention(model) as maps:
        pass
    cross_attention_map(model, [4], [5])
    assert maps == {}


def test_the_picture_shows_the_weights_under_the_pieces() -> None:
    weights = torch.tensor([[0.25, 0.5, 0.25], [1.0, 0.0, 0.0]])
    (axes,) = heat_map(weights, ["▁a", "$b$", "</s>"], ["▁x", "</s>"]).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["▁a", r"\$b\$", "</s>"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["▁x", "</s>"]
    assert axes.images[0].get_array().tolist() == weights.tolist()


def test_weights_keep_their_gradients_where_asked(model: Seq2Seq) -> None:
    src, tgt_in = torch.tensor([[4, 5, 6, EOS]]), torch.tensor([[BOS, 8, 9]])
    mask = torch.ones_like(src, dtype=torch.bool)
    with record_attention(model) as maps:
        features = model(src, tgt_in, mask)
    recorded = [weights for heard in maps.values() for weights in heard]
    expected = torch.autograd.grad(features.square().sum(), recorded)
    with record_attention(model, gradients=True) as maps:
        features = model(src, tgt_in, mask)
    recorded = [weights for heard in maps.values() for weights in heard]
    features.square().sum().backward()
    for weights, gradient in zip(recorded, expected, strict=True):
        torch.testing.assert_close(weights.grad, gradient)
    assert any(bool(gradient.any()) for gradient in expected)


def test_gradients_need_autograd(model: Seq2Seq) -> None:
    with (
        torch.no_grad(),
        pytest.raises(ValueError, match="gradients=True needs autograd"),
        record_attention(model, gradients=True),
    ):
        model(torch.tensor([[4]]), torch.tensor([[BOS]]), torch.ones(1, 1, dtype=torch.bool))


def test_some_modules_alone_can_be_recorded(compose_model: Compose) -> None:
    model = built(compose_model, "model=transformer_tiny")
    src, tgt_in = torch.tensor([[4, 5, 6, EOS]]), torch.tensor([[BOS, 8, 9]])
    with record_attention(model, of=model.encoder_attention()[1:]) as maps:
        model(src, tgt_in, torch.ones_like(src, dtype=torch.bool))
    assert list(maps) == ["encoder.layers.1.self_attention"]
