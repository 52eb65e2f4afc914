"""The Transformer against torch's own, against the paper's formulas, and its fast attention against the plain one."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.components import build_model
from nmt.explain.record import record_attention
from nmt.models.attention import Listener, listening
from nmt.models.feedforward import GELU, ReLU, SwiGLU
from nmt.models.layers import DecoderLayer, EncoderLayer
from nmt.models.multihead import MultiHead
from nmt.models.patterns import Full
from nmt.models.positions import Sinusoidal
from nmt.models.seq2seq import Vocabulary
from nmt.models.transformer import Transformer
from nmt.vocabulary import BOS, PAD

EXACT = {"rtol": 0.0, "atol": 1e-10}
SIZES: dict[str, Any] = {
    "dim": 12,
    "heads": 3,
    "key_value_heads": None,
    "feedforward_dim": 10,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "dropout": 0.0,
    "norm": "pre",
    "normalization": "layer",
    "tied": "none",
    "positions": Sinusoidal,
    "pattern": Full,
    "feedforward": ReLU,
}
pytestmark = pytest.mark.usefixtures("float64")


def transformer(**changes: Any) -> Transformer:
    torch.manual_seed(1)
    model = Transformer(Vocabulary(src=11, tgt=13, joint=False), **(SIZES | changes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model


def batch() -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(2)
    src = torch.randint(4, 11, (2, 7), generator=random)
    mask = torch.arange(7) < torch.tensor([[7], [4]])
    tgt_in = torch.randint(4, 13, (2, 5), generator=random)
    tgt_in[:, 0] = BOS
    return src.masked_fill(~mask, PAD), tgt_in, mask


def position_code(position: int, column: int, dim: int) -> float:
    angle = position / 10000 ** (2 * (column // 2) / dim)
    return math.sin(angle) if column % 2 == 0 else math.cos(angle)


@torch.no_grad()
def copy_attention(ours: MultiHead, theirs: nn.MultiheadAttention) -> None:
    theirs.in_proj_weight.copy_(ours.W_qkv.weight)
    theirs.in_proj_bias.copy_(ours.W_qkv.bias)
    theirs.out_proj.load_state_dict(ours.W_o.state_dict())


def copy_encoder_layer(ours: EncoderLayer, theirs: nn.TransformerEncoderLayer) -> None:
    copy_attention(ours.self_attention, theirs.self_attn)
    theirs.linear1.load_state_dict(ours.feedforward.W_1.state_dict())
    theirs.linear2.load_state_dict(ours.feedforward.W_2.state_dict())
    theirs.norm1.load_state_dict(ours.around_self.norm.state_dict())
    theirs.norm2.load_state_dict(ours.around_feedforward.norm.state_dict())


def copy_decoder_layer(ours: DecoderLayer, theirs: nn.TransformerDecoderLayer) -> None:
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_attention(ours.cross_attention, theirs.multihead_attn)
    theirs.linear1.load_state_dict(ours.feedforward.W_1.state_dict())
    theirs.linear2.load_state_dict(ours.feedforward.W_2.state_dict())
    theirs.norm1.load_state_dict(ours.around_self.norm.state_dict())
    theirs.norm2.load_state_dict(ours.around_cross.norm.state_dict())
    theirs.norm3.load_state_dict(ours.around_feedforward.norm.state_dict())


def torchs(model: Transformer, norm: str) -> nn.Transformer:
    """`torch.nn.Transformer` with the same weights; post-norm has no norm after the stacks."""
    layer = {"dropout": 0.0, "batch_first": True, "norm_first": norm == "pre"}
    closing = [nn.LayerNorm(12) if norm == "pre" else None for _ in range(2)]
    reference = nn.Transformer(
        d_model=12,
        nhead=3,
        batch_first=True,
        custom_encoder=nn.TransformerEncoder(
            nn.TransformerEncoderLayer(12, 3, 10, **layer), 2, closing[0], enable_nested_tensor=False
        ),
        custom_decoder=nn.TransformerDecoder(nn.TransformerDecoderLayer(12, 3, 10, **layer), 3, closing[1]),
    )
    for ours, theirs in zip(model.encoder.layers, reference.encoder.layers, strict=True):
        copy_encoder_layer(ours, theirs)
    for ours, theirs in zip(model.decoder_layers, reference.decoder.layers, strict=True):
        copy_decoder_layer(ours, theirs)
    for ours, theirs in ((model.encoder.norm, closing[0]), (model.decoder_norm, closing[1])):
        if theirs is not None:
            theirs.load_state_dict(ours.state_dict())
    return reference


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_equals_torchs_transformer_with_the_same_weights(norm: str) -> None:
    model = transformer(norm=norm)
    src, tgt_in, mask = batch()
    codes = torch.tensor([[position_code(position, column, 12) for column in range(12)] for position in range(7)])
    expected = torchs(model, norm)(
        model.src_embedding.weight[src] * math.sqrt(12) + codes,
        model.tgt_embedding.weight[tgt_in] * math.sqrt(12) + codes[:5],
        tgt_mask=torch.ones(5, 5, dtype=torch.bool).triu(1),
        src_key_padding_mask=~mask,
        memory_key_padding_mask=~mask,
    )
    torch.testing.assert_close(model(src, tgt_in, mask), expected, **EXACT)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_only_pre_norm_closes_its_stacks_with_a_norm(norm: str) -> None:
    model = transformer(norm=norm)
    closing = [isinstance(module, nn.LayerNorm) for module in (model.encoder.norm, model.decoder_norm)]
    assert closing == [norm == "pre"] * 2


def test_multi_head_equals_torchs_multi_head_attention() -> None:
    torch.manual_seed(1)
    ours, theirs = MultiHead(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.normal_(std=0.4)
    copy_attention(ours, theirs)
    x, y = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
    mask = torch.arange(7) < torch.tensor([[7], [4]])
    expected, weights = theirs(x, y, y, key_padding_mask=~mask, average_attn_weights=False)
    heard: list[Tensor] = []
    with listening(Listener(lambda _, weights, __: heard.append(weights))):
        plain = ours(ours.queries(x), *ours.keys_values(y), mask[:, None, None])
    torch.testing.assert_close(ours(ours.queries(x), *ours.keys_values(y), mask[:, None, None]), expected, **EXACT)
    torch.testing.assert_close(plain, expected, **EXACT)
    torch.testing.assert_close(heard, [weights], **EXACT)


def grouped(heads: int, key_value_heads: int) -> MultiHead:
    torch.manual_seed(1)
    attention = MultiHead(12, heads, key_value_heads)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_(std=0.4)
    return attention


@pytest.mark.parametrize("key_value_heads", [1, 2, 3, 6])
def test_grouped_queries_equal_torchs_multi_head_attention_with_repeated_keys_and_values(key_value_heads: int) -> None:
    ours, theirs = grouped(6, key_value_heads), nn.MultiheadAttention(12, 6, batch_first=True)
    widths = [12, 2 * key_value_heads, 2 * key_value_heads]
    repeated = []
    for parameter in (ours.W_qkv.weight, ours.W_qkv.bias):
        query, *shared = parameter.split(widths)
        heads = [x.unflatten(0, (key_value_heads, 2)).repeat_interleave(6 // key_value_heads, 0).flatten(0, 1) for x in shared]
        repeated.append(torch.cat([query, *heads]))
    with torch.no_grad():
        theirs.in_proj_weight.copy_(repeated[0])
        theirs.in_proj_bias.copy_(repeated[1])
        theirs.out_proj.load_state_dict(ours.W_o.state_dict())
    x, y = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
    mask = torch.arange(7) < torch.tensor([[7], [4]])
    expected, weights = theirs(x, y, y, key_padding_mask=~mask, average_attn_weights=False)
    assert ours.keys_values(y)[0].shape == (2, key_value_heads, 7, 2)
    heard: list[Tensor] = []
    with listening(Listener(lambda _, weights, __: heard.append(weights))):
        plain = ours(ours.queries(x), *ours.keys_values(y), mask[:, None, None])
    torch.testing.assert_close(ours(ours.queries(x), *ours.keys_values(y), mask[:, None, None]), expected, **EXACT)
    torch.testing.assert_close(plain, expected, **EXACT)
    torch.testing.assert_close(heard, [weights], **EXACT)
    causal, _ = theirs(x, x, x, attn_mask=torch.ones(5, 5, dtype=torch.bool).triu(1))
    torch.testing.assert_close(ours.causal(*ours.queries_keys_values(x)), causal, **EXACT)


def test_grouped_queries_shrink_the_decoder_and_leave_the_encoder_alone() -> None:
    model = transformer(heads=6, key_value_heads=2)
    assert model.encoder.layers[0].self_attention.W_qkv.out_features == 36
    assert model.decoder_layers[0].self_attention.W_qkv.out_features == 12 + 2 * 4
    assert model.decoder_layers[0].cross_attention.W_qkv.out_features == 12 + 2 * 4


def test_one_product_gives_the_same_queries_keys_and_values_as_three() -> None:
    torch.manual_seed(1)
    attention = MultiHead(12, 3)
    nn.init.normal_(attention.W_qkv.bias)
    x = torch.randn(2, 5, 12)
    queries, keys, values = attention.queries_keys_values(x)
    assert queries.shape == (2, 3, 5, 4)
    torch.testing.assert_close([queries, keys, values], [attention.queries(x), *attention.keys_values(x)], **EXACT)


def test_without_a_mask_attention_is_causal() -> None:
    torch.manual_seed(1)
    attention = MultiHead(12, 3)
    parts = attention.queries_keys_values(torch.randn(2, 5, 12))
    causal = torch.tensor([[s <= t for s in range(5)] for t in range(5)])
    torch.testing.assert_close(attention.causal(*parts), attention(*parts, causal), **EXACT)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_fast_attention_equals_the_plain_one_that_listeners_hear(norm: str) -> None:
    model = transformer(norm=norm)
    src, tgt_in, mask = batch()

    def forward_and_steps() -> list[Tensor]:
        memory = model.encode(src, mask)
        state, features = model.start(memory), [model(src, tgt_in, mask)]
        for position in range(5):
            x, state = model.step(tgt_in[:, position : position + 1], state, memory)
            features.append(x)
        return features

    fast = forward_and_steps()
    with record_attention(model):
        plain = forward_and_steps()
    torch.testing.assert_close(plain, fast, **EXACT)


def test_recorded_weights_are_distributions_that_are_exactly_zero_where_masked() -> None:
    model = transformer()
    src, tgt_in, mask = batch()
    with record_attention(model) as maps:
        model(src, tgt_in, mask)
    encoder = [f"encoder.layers.{n}.self_attention" for n in range(2)]
    decoder = [f"decoder_layers.{n}.self_attention" for n in range(3)]
    cross = [f"decoder_layers.{n}.cross_attention" for n in range(3)]
    assert sorted(maps) == sorted(encoder + decoder + cross)
    padding, future = ~mask[:, None, None], torch.ones(5, 5, dtype=torch.bool).triu(1)
    for names, queries, keys, hidden in ((encoder, 7, 7, padding), (decoder, 5, 5, future), (cross, 5, 7, padding)):
        for name in names:
            (weights,) = maps[name]
            assert weights.shape == (2, 3, queries, keys)
            torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, queries), **EXACT)
            assert weights.masked_select(hidden).eq(0).all()
            assert weights.masked_select(~hidden).gt(0).all()


def test_cross_attention_names_the_target_to_source_modules_from_the_bottom() -> None:
    model = transformer()
    assert model.cross_attention() == [layer.cross_attention for layer in model.decoder_layers]


def test_gelu_and_swiglu_follow_their_formulas() -> None:
    torch.manual_seed(1)
    x = torch.randn(2, 5, 12)
    gelu, swiglu = GELU(12, 10), SwiGLU(12, 10)
    nn.init.normal_(gelu.W_1.bias)
    hidden = x @ gelu.W_1.weight.T + gelu.W_1.bias
    expected = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2 @ gelu.W_2.weight.T + gelu.W_2.bias
    torch.testing.assert_close(gelu(x), expected, **EXACT)
    W, V = x @ swiglu.W_V.weight[:10].T, x @ swiglu.W_V.weight[10:].T
    torch.testing.assert_close(swiglu(x), W / (1 + torch.exp(-W)) * V @ swiglu.W_2.weight.T, **EXACT)
    assert {name for name, _ in swiglu.named_parameters()} == {"W_V.weight", "W_2.weight"}


def test_swiglu_starts_each_of_its_matrices_like_a_matrix_of_its_own() -> None:
    torch.manual_seed(1)
    for weight in (*SwiGLU(60, 90).W_V.weight.chunk(2), SwiGLU(60, 90).W_2.weight):
        assert weight.std().item() == pytest.approx(math.sqrt(2 / 150), rel=0.03)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_root_mean_square_normalization_takes_the_place_of_every_layer_normalization(norm: str) -> None:
    model = transformer(norm=norm, normalization="rms")
    norms = [module for module in model.modules() if isinstance(module, nn.RMSNorm)]
    assert len(norms) == 2 * 2 + 3 * 3 + 2 * (norm == "pre")
    assert not any(isinstance(module, nn.LayerNorm) for module in model.modules())
    x = torch.randn(2, 5, 12)
    expected = x / (x.square().mean(-1, keepdim=True) + torch.finfo(x.dtype).eps).sqrt() * norms[0].weight
    torch.testing.assert_close(norms[0](x), expected, **EXACT)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_encoder_by_itself_equals_torchs(norm: str) -> None:
    model = transformer(norm=norm)
    src, _, mask = batch()
    x = model.src_embedding(src)
    codes = torch.tensor([[position_code(position, column, 12) for column in range(12)] for position in range(7)])
    expected = torchs(model, norm).encoder(x * math.sqrt(12) + codes, src_key_padding_mask=~mask)
    torch.testing.assert_close(model.encoder(x, mask), expected, **EXACT)


@pytest.mark.parametrize(("tied", "matrices"), [("all", 1), ("decoder", 2), ("none", 3)])
def test_tied_embeddings_share_their_storage(tied: str, matrices: int) -> None:
    model = Transformer(Vocabulary(src=13, tgt=13, joint=True), **(SIZES | {"tied": tied}))
    weights = [model.src_embedding.weight, model.tgt_embedding.weight, model.output.weight]
    assert len({weight.data_ptr() for weight in weights}) == matrices
    assert (model.output.weight is model.tgt_embedding.weight) == (tied != "none")
    assert len([p for p in model.parameters() if p.shape == (13, 12)]) == matrices


@pytest.mark.parametrize("tied", ["all", "decoder", "none"])
def test_embeddings_start_with_the_standard_deviation_that_their_scale_undoes(tied: str) -> None:
    torch.manual_seed(1)
    model = Transformer(Vocabulary(src=500, tgt=500, joint=True), **(SIZES | {"dim": 60, "tied": tied}))
    for weight in (model.src_embedding.weight, model.tgt_embedding.weight, model.output.weight):
        assert weight.std().item() == pytest.approx(60**-0.5, rel=0.03)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 5}, r"model\.heads \(5\) must divide model\.dim \(12\)"),
        ({"heads": 0}, r"model\.heads must be at least 1, but is 0"),
        ({"dim": 9}, r"model\.dim \(9\) must be even"),
        ({"heads": 6, "key_value_heads": 4}, r"model\.key_value_heads \(4\) must divide model\.heads \(6\)"),
        ({"key_value_heads": 0}, r"model\.key_value_heads must be at least 1, but is 0"),
        ({"normalization": "batch"}, r"model\.normalization must be layer or rms, but is 'batch'"),
        ({"pattern": "window"}, r"model\.pattern is a choice of its own, written with a slash: model/pattern=window"),
        ({"norm": "middle"}, r"model\.norm must be pre or post, but is 'middle'"),
        ({"tied": "both"}, r"model\.tied must be all, decoder or none, but is 'both'"),
        ({"tied": "all"}, r"model\.tied=all needs one vocabulary: set tokenizer\.joint=true"),
    ],
)
def test_impossible_settings_are_named_with_their_values(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        transformer(**changes)


@pytest.mark.parametrize(
    "name", ["transformer_modern", "transformer_deep_shallow", "transformer_shaw", "transformer_xl", "transformer_sparse"]
)
def test_variants_keep_the_size_of_the_transformer_within_a_tenth(compose_model: Callable[..., Any], name: str) -> None:
    sizes = []
    for model in ("transformer", name):
        with torch.device("meta"):
            made = build_model(compose_model(f"model={model}"), Vocabulary(8000, 8000, joint=True))
        sizes.append(sum(p.numel() for p in made.parameters()))
    assert abs(sizes[1] / sizes[0] - 1) < 0.1
