"""Luong's model against sections 3 to 3.3 of the paper written out, one sentence and one position at a time."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.models.attention import Global, LocalMonotonic, LocalPredictive, MultiHeadAttention
from nmt.models.encoder import DecoderShape, Encoded, Encoder, RecurrentEncoder
from nmt.models.luong import Luong
from nmt.models.scores import Concat, Dot, DotHeads, General, Location
from nmt.models.seq2seq import Limit, Vocabulary
from nmt.vocabulary import BOS, PAD

pytestmark = pytest.mark.usefixtures("float64")
HIDDEN = 10
ATTENTIONS: dict[str, Any] = {
    "dot": partial(Global, score=Dot),
    "general": partial(Global, score=General),
    "concat": partial(Global, score=partial(Concat, dim=5)),
    "location": partial(Global, score=partial(Location, length=9)),
    "local-m": partial(LocalMonotonic, score=General, D=1),
    "local-p": partial(LocalPredictive, score=General, D=2),
    "dot heads": partial(MultiHeadAttention, score=partial(DotHeads, dim=None), heads=2),
}
SOURCES = [[8, 4, 4], [4, 9, 6, 10, 5, 7, 8]]  # the shorter first: no order is assumed
TARGETS = [[BOS, 7, 12, 4, 9], [BOS, 4, 11, 5, 6]]


def luong(attention: str, *, direction: str = "forward", **changes: Any) -> Luong:
    keys: dict[str, Any] = {
        "encoder": partial(RecurrentEncoder, direction=direction, hidden_dim=None, layers=None, cell=None),
        "cell": "lstm",
        "embedding_dim": 6,
        "hidden_dim": HIDDEN,
        "layers": 2,
        "dropout": 0.5,
        "input_feeding": True,
    }
    return Luong(Vocabulary(11, 13, joint=False), attention=ATTENTIONS[attention], **(keys | changes))


def decoded(
    written_out: SimpleNamespace, model: Luong, h: list[Tensor], states: list[Tensor], tgt_in: list[int]
) -> list[Tensor]:
    """h̃_t for each position of one target, from the encoder's top states and the decoder's first ones."""
    drop, fed, features = written_out.DROP, torch.zeros(HIDDEN), []
    for t, y in enumerate(tgt_in, start=1):
        x, states = drop * model.tgt_embedding.weight[y], list(states)
        for layer, cell in enumerate(model.stack.cells):
            entering = cell.W.weight @ x + cell.W.bias
            if layer == 0 and model.W_f is not None:  # section 3.3
                entering = entering + model.W_f.weight @ fed
            states[layer] = written_out.step(cell, entering, states[layer])
            h_t = states[layer][:HIDDEN]
            x = drop * h_t
        _, c = written_out.attend(model.attention, h_t, h, t)
        fed = torch.tanh(model.W_c.weight @ torch.cat([c, h_t]))  # equation 5
        features.append(drop * fed)
    return features


def batch() -> tuple[Tensor, Tensor, Tensor]:
    src = torch.tensor([SOURCES[0] + [PAD] * 4, SOURCES[1]])
    return src, torch.tensor(TARGETS), src != PAD


@pytest.mark.usefixtures("dropout_that_multiplies")
@pytest.mark.parametrize("input_feeding", [True, False], ids=["fed", "not fed"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_forward_equals_the_papers_equations_written_out(
    written_out: SimpleNamespace, attention: str, direction: str, cell: str, input_feeding: bool
) -> None:
    model = written_out.random(luong(attention, direction=direction, cell=cell, input_feeding=input_feeding))
    expected = []
    for source, target in zip(SOURCES, TARGETS, strict=True):
        embedded = [written_out.DROP * model.src_embedding.weight[x] for x in source]
        h, _, last = written_out.encode(model.encoder, direction, embedded)
        expected += decoded(written_out, model, h, last, target)
    written_out.agree([model(*batch()).flatten(0, 1)], [torch.stack(expected)], list(model.parameters()))


class Bag(Encoder):
    """An encoder that is not recurrent: its states are the embeddings, its summary their sum."""

    def __init__(self, decoder: DecoderShape) -> None:
        super().__init__()
        self.dim = self.summary_dim = decoder.embedding_dim
        self.readings = 1
        self.scale = nn.Parameter(torch.full((self.dim,), 5.0))

    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        states = (self.scale * embedded).masked_fill(~mask.unsqueeze(-1), 0.0)
        return Encoded(states, states.sum(1, keepdim=True), None)


@pytest.mark.usefixtures("dropout_that_multiplies")
def test_after_an_encoder_that_is_not_recurrent_it_starts_from_a_map_of_the_summary(written_out: SimpleNamespace) -> None:
    model = written_out.random(luong("general", encoder=Bag, layers=3))
    expected = []
    for source, target in zip(SOURCES, TARGETS, strict=True):
        h = [model.encoder.scale * written_out.DROP * model.src_embedding.weight[x] for x in source]
        first = torch.tanh(model.initial.W_s.weight @ sum(h) + model.initial.W_s.bias)
        expected += decoded(written_out, model, h, list(first.split(2 * HIDDEN)), target)
    written_out.agree([model(*batch()).flatten(0, 1)], [torch.stack(expected)], list(model.parameters()))


@pytest.mark.parametrize("input_feeding", [True, False], ids=["fed", "not fed"])
def test_keys_are_computed_once_per_sentence(input_feeding: bool) -> None:
    model, calls = luong("general", input_feeding=input_feeding), []
    model.attention.score.W_a.register_forward_hook(lambda _, inputs, __: calls.append(inputs[0].shape))
    model(*batch())
    assert calls == [(2, 7, HIDDEN)]


@pytest.mark.parametrize(
    ("attention", "longest", "window"),
    [
        ("general", None, None),
        ("location", Limit("model.attention.score.length", 9), None),
        ("local-m", None, 3),
        ("local-p", None, 5),
    ],
)
def test_it_names_the_longest_source_that_it_reads_and_what_it_sees_of_it(
    attention: str, longest: Limit | None, window: int | None
) -> None:
    model = luong(attention)
    assert (model.longest_source(), model.longest_target(), model.source_window()) == (longest, None, window)


@pytest.mark.parametrize(("width", "bound"), [(1000, 0.1), (40, 0.5)], ids=["the paper's width", "another width"])
@pytest.mark.parametrize("attention", ["local-p", "location", "concat"])
def test_all_parameters_begin_uniform_with_the_papers_bound_at_its_width(attention: str, width: int, bound: float) -> None:
    model = luong(attention, hidden_dim=width, layers=1)
    everything = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    assert 0.999 * bound < everything.abs().max() <= bound
    assert everything.std().item() == pytest.approx(2 * bound / 12**0.5, rel=0.02)
    assert all(parameter.detach().std() > 0.3 * bound for parameter in model.parameters())


def test_an_encoder_that_is_not_recurrent_keeps_its_own_beginning() -> None:
    model = luong("general", encoder=Bag, hidden_dim=40)
    assert model.encoder.scale.tolist() == [5.0] * 6
    others = [parameter.detach() for name, parameter in model.named_parameters() if not name.startswith("encoder.")]
    assert 0.4995 < max(parameter.abs().max() for parameter in others) <= 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "rnn"}, r"model\.cell must be one of gru, lstm, but is 'rnn'"),
        ({"hidden_dim": 9, "direction": "both"}, r"hidden_dim \(9\) must be even with model\.encoder\.direction=both"),
        (
            {"encoder": partial(RecurrentEncoder, direction="both", hidden_dim=None, layers=3, cell=None)},
            r"2 layers of 10 lstm units, but has 3 layers of 10 lstm units: set model\.encoder\.layers, .* to null",
        ),
    ],
)
def test_what_the_model_cannot_be_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        luong("general", **changes)
