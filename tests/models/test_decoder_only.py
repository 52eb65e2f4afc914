"""One stack over source and target against a plain stack over the sentences written one after the other."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.decoding.choosing import Beam
from nmt.decoding.limits import Limits
from nmt.decoding.scoring import Scoring
from nmt.decoding.search import search
from nmt.decoding.stopping import Exact
from nmt.explain.record import cross_attention_map, record_attention
from nmt.models.decoder_only import DecoderOnly
from nmt.models.feedforward import ReLU, SwiGLU
from nmt.models.multihead import View
from nmt.models.patterns import Fixed, Full, Strided, Window
from nmt.models.positions import Learned, Positions, Rotary, Sinusoidal
from nmt.models.relative import Shaw, TransformerXL
from nmt.models.seq2seq import Limit, Vocabulary
from nmt.vocabulary import BOS, PAD

EXACT = {"rtol": 0.0, "atol": 1e-10}
KINDS: dict[str, Callable[[int, int], Positions]] = {
    "sinusoidal": Sinusoidal,
    "learned": partial(Learned, length=16),
    "rotary": partial(Rotary, base=100.0),
    "shaw": partial(Shaw, max_distance=3),
    "transformer_xl": TransformerXL,
}
SIZES: dict[str, Any] = {
    "dim": 12,
    "heads": 3,
    "key_value_heads": None,
    "feedforward_dim": 10,
    "layers": 2,
    "dropout": 0.0,
    "norm": "pre",
    "normalization": "layer",
    "prefix": "bidirectional",
    "tied": "none",
    "positions": Sinusoidal,
    "pattern": Full,
    "feedforward": ReLU,
}
LENGTHS = [7, 4]
pytestmark = pytest.mark.usefixtures("float64")


def decoder_only(**changes: Any) -> DecoderOnly:
    torch.manual_seed(1)
    model = DecoderOnly(Vocabulary(src=11, tgt=13, joint=False), **(SIZES | changes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model


def batch() -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(2)
    src = torch.randint(4, 11, (2, 7), generator=random)
    mask = torch.arange(7) < torch.tensor(LENGTHS).unsqueeze(1)
    tgt_in = torch.randint(4, 13, (2, 5), generator=random)
    tgt_in[:, 0] = BOS
    return src.masked_fill(~mask, PAD), tgt_in, mask


def steps(model: DecoderOnly, src: Tensor, tgt_in: Tensor, mask: Tensor) -> Tensor:
    memory = model.encode(src, mask)
    state, features = model.start(memory), []
    for column in tgt_in.split(1, dim=1):
        x, state = model.step(column, state, memory)
        features.append(x)
    return torch.cat(features, 1)


def seen(prefix: str, S: int, T: int) -> Tensor:
    """Which of S + T pieces sees which: bool, row by row."""
    allowed = torch.zeros(S + T, S + T, dtype=torch.bool)
    for i in range(S + T):
        for j in range(S + T):
            allowed[i, j] = j <= i or (prefix == "bidirectional" and i < S and j < S)
    return allowed


def one_after_the_other(model: DecoderOnly, src: Tensor, tgt_in: Tensor, mask: Tensor) -> Tensor:
    """Features of the target, one sentence at a time: the layers as of an encoder, over [source ; target] unpadded."""
    features = []
    for source, target, real in zip(src, tgt_in, mask, strict=True):
        source = source[real]
        x = torch.cat([model.src_embedding(source), model.tgt_embedding(target)]).unsqueeze(0)  # (1, S + T, D)
        i = torch.arange(x.size(1))
        x = model.positions(x * math.sqrt(12), i)
        for layer in model.layers:
            x = layer(x, View(i, i, seen(model.prefix, len(source), len(target))))
        features.append(model.norm(x)[0, len(source) :])
    return torch.stack(features)


@pytest.mark.parametrize("prefix", ["bidirectional", "causal"])
@pytest.mark.parametrize("key_value_heads", [None, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_a_masked_stack_over_each_unpadded_pair_of_sentences(
    kind: str, key_value_heads: int | None, prefix: str
) -> None:
    model = decoder_only(positions=KINDS[kind], key_value_heads=key_value_heads, prefix=prefix)
    src, tgt_in, mask = batch()
    expected = one_after_the_other(model, src, tgt_in, mask)
    torch.testing.assert_close(model(src, tgt_in, mask), expected, **EXACT)
    torch.testing.assert_close(steps(model, src, tgt_in, mask), expected, **EXACT)


@pytest.mark.parametrize("prefix", ["bidirectional", "causal"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_equals_torchs_encoder_with_the_mask_of_the_prefix(norm: str, prefix: str) -> None:
    model = decoder_only(norm=norm, prefix=prefix)
    layer = nn.TransformerEncoderLayer(12, 3, 10, dropout=0.0, batch_first=True, norm_first=norm == "pre")
    closing = nn.LayerNorm(12) if norm == "pre" else None
    reference = nn.TransformerEncoder(layer, 2, closing, enable_nested_tensor=False)
    for ours, theirs in zip(model.layers, reference.layers, strict=True):
        weights = [*ours.self_attention.parameters(), *ours.feedforward.parameters()]
        weights += [*ours.around_self.norm.parameters(), *ours.around_feedforward.norm.parameters()]
        with torch.no_grad():
            for p, value in zip(theirs.parameters(), weights, strict=True):
                p.copy_(value)
    if closing is not None:
        closing.load_state_dict(model.norm.state_dict())
    src, tgt_in, mask = (x[:1] for x in batch())
    x = torch.cat([model.src_embedding(src), model.tgt_embedding(tgt_in)], dim=1)
    expected = reference(model.positions(x * math.sqrt(12), torch.arange(12)), mask=~seen(prefix, 7, 5))[:, 7:]
    torch.testing.assert_close(model(src, tgt_in, mask), expected, **EXACT)


@pytest.mark.parametrize("kind", KINDS)
def test_listening_changes_no_feature(kind: str) -> None:
    model = decoder_only(positions=KINDS[kind], key_value_heads=1)
    src, tgt_in, mask = batch()
    plain = [model(src, tgt_in, mask), steps(model, src, tgt_in, mask)]
    with record_attention(model):
        heard = [model(src, tgt_in, mask), steps(model, src, tgt_in, mask)]
    torch.testing.assert_close(heard, plain, **EXACT)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_heard_of_the_source_is_its_share_of_the_weights(kind: str) -> None:
    model = decoder_only(positions=KINDS[kind], key_value_heads=1)
    src, tgt_in, mask = batch()
    with record_attention(model) as maps:
        model(src, tgt_in, mask)
    with record_attention(model) as stepwise:
        steps(model, src, tgt_in, mask)
    for n in range(2):
        encoded, both = maps[f"layers.{n}.self_attention"]
        assert encoded.shape == (2, 3, 7, 7)
        assert both.shape == (2, 3, 5, 7 + 5)
        torch.testing.assert_close(both.sum(-1), torch.ones(2, 3, 5), **EXACT)
        to_source = both[..., :7] / both[..., :7].sum(-1, keepdim=True)
        torch.testing.assert_close(maps[f"layers.{n}.to_source"], [to_source], **EXACT)
        torch.testing.assert_close(torch.cat(stepwise[f"layers.{n}.to_source"], dim=-2), to_source, **EXACT)
        assert to_source.masked_select(~mask[:, None, None]).eq(0).all()
        after = [weights.squeeze(3).transpose(1, 2) for weights in stepwise[f"layers.{n}.self_attention"][1:]]
        for t, weights in enumerate(after):
            torch.testing.assert_close(weights[:, :, 0], both[:, :, t, : 7 + t + 1], **EXACT)


def test_the_picture_has_a_column_per_source_piece_and_its_rows_sum_to_one() -> None:
    model = decoder_only()
    weights = cross_attention_map(model, [4, 5, 6, 7], [8, 9])
    assert weights is not None
    assert weights.shape == (3, 5)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))


@pytest.mark.parametrize("pattern", [partial(Window, size=2), partial(Strided, stride=3), partial(Fixed, block=3, columns=1)])
def test_a_pattern_acts_within_source_and_target_and_not_between_them(pattern: Callable[[], Any]) -> None:
    model = decoder_only(pattern=pattern)
    src, tgt_in, mask = batch()
    with record_attention(model) as maps:
        features = model(src, tgt_in, mask)
    torch.testing.assert_close(steps(model, src, tgt_in, mask), features, **EXACT)
    encoded, both = maps["layers.0.self_attention"]
    within = pattern().around(torch.arange(7), mask).allowed().expand(2, 1, 7, 7)[:1]
    assert torch.equal(encoded[:1] > 0, within.expand(1, 3, 7, 7))
    assert torch.equal(both[:, :, :, :7] > 0, mask[:, None, None].expand(2, 3, 5, 7))
    assert torch.equal(both[:, :, :, 7:] > 0, pattern().past(torch.arange(5)).allowed().expand(2, 3, 5, 5))


def test_a_causal_prefix_reads_the_source_from_left_to_right_and_a_bidirectional_one_does_not() -> None:
    src, _, mask = batch()
    other = src.clone()
    other[0, 6] = 4 + (src[0, 6] - 3) % 7
    for prefix, same in (("causal", True), ("bidirectional", False)):
        model = decoder_only(prefix=prefix)
        before, after = (model.encode(x, mask)["keys.1"][0, :, :6] for x in (src, other))
        assert torch.allclose(before, after, **EXACT) == same


@pytest.mark.parametrize("tied", ["all", "decoder", "none"])
def test_tied_embeddings_share_their_storage(tied: str) -> None:
    model = DecoderOnly(Vocabulary(src=13, tgt=13, joint=True), **(SIZES | {"tied": tied}))
    weights = [model.src_embedding.weight, model.tgt_embedding.weight, model.output.weight]
    assert len({weight.data_ptr() for weight in weights}) == {"all": 1, "decoder": 2, "none": 3}[tied]


@pytest.mark.parametrize("kind", KINDS)
def test_searching_a_batch_finds_what_searching_each_sentence_finds(kind: str) -> None:
    model = decoder_only(positions=partial(Learned, length=30) if kind == "learned" else KINDS[kind], key_value_heads=1).eval()
    src, _, mask = batch()
    limits = torch.tensor([6, 4])
    options = {"chooser": Beam(3), "scoring": Scoring(), "stop": Exact(Scoring())}
    together = search(model, src, mask, limits=Limits.make(limits), **options)
    for n, length in enumerate(LENGTHS):
        row = slice(n, n + 1)
        (alone,) = search(model, src[row, :length], mask[row, :length], limits=Limits.make(limits[row]), **options)
        assert [h.ids for h in together[n]] == [h.ids for h in alone]


def test_gradients_are_those_of_finite_differences() -> None:
    model = decoder_only(positions=TransformerXL, feedforward=SwiGLU, normalization="rms", key_value_heads=1)
    src, tgt_in, mask = batch()
    names, values = zip(*model.named_parameters(), strict=True)

    def features(*values: Tensor) -> Any:
        return torch.func.functional_call(model, dict(zip(names, values, strict=True)), (src, tgt_in, mask))

    assert torch.autograd.gradcheck(features, values, fast_mode=True)


def test_learned_positions_are_shared_by_source_and_target() -> None:
    model = decoder_only(positions=partial(Learned, length=11))
    src, tgt_in, mask = batch()
    assert (model.longest_source(), model.longest_target()) == (Limit("model.positions.length", 5),) * 2
    with pytest.raises(ValueError, match=r"model\.positions\.length \(11\) is less than the 12 pieces of a sequence"):
        model(src, tgt_in, mask)
    model(src, tgt_in[:, :4], mask)
    with pytest.raises(ValueError, match=r"model\.positions\.length \(11\) is less than the 12 pieces"):
        steps(model, src, tgt_in, mask)
    assert (decoder_only().longest_source(), decoder_only().longest_target()) == (None, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, r"model\.layers must be at least 1, but is 0"),
        ({"heads": 5}, r"model\.heads \(5\) must divide model\.dim \(12\)"),
        ({"key_value_heads": 2}, r"model\.key_value_heads \(2\) must divide model\.heads \(3\)"),
        ({"prefix": "both"}, r"model\.prefix must be bidirectional or causal, but is 'both'"),
        ({"tied": "all"}, r"model\.tied=all needs one vocabulary: set tokenizer\.joint=true"),
        ({"positions": "rotary"}, r"model\.positions is a choice of its own, written with a slash: model/positions=rotary"),
    ],
)
def test_impossible_settings_are_named_with_their_values(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decoder_only(**changes)
