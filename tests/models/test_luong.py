"""Luong's model against equations 5 to 8 written out, its LSTMs too, one sentence and one position at a time."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.models.attention import Additive, Attention, Dot, General, Score
from nmt.models.encoder import StackedLSTM
from nmt.models.luong import Luong
from nmt.models.seq2seq import Vocabulary
from nmt.vocabulary import BOS, PAD

pytestmark = pytest.mark.usefixtures("float64")
HIDDEN = 10


def luong(attention: Callable[[int, int], Score], *, bidirectional: bool) -> Luong:
    torch.manual_seed(1)
    sizes: dict[str, Any] = {"embedding_dim": 6, "hidden_dim": HIDDEN, "layers": 3, "dropout": 0.0}
    model = Luong(Vocabulary(11, 13, joint=False), attention=attention, bidirectional=bidirectional, **sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model


def unit(sums: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """h' and c' from W x + U h + b."""
    i, f, g, o = sums.chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def read(lstm: nn.LSTM, direction: str, inputs: list[Tensor]) -> tuple[list[Tensor], Tensor]:
    """The states of one layer in one direction, in the order of the inputs, and its last c."""
    W, U, b, d = (getattr(lstm, f"{name}_l0{direction}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h = c = torch.zeros(lstm.hidden_size)
    states = []
    for x in inputs:
        h, c = unit(W @ x + b + U @ h + d, c)
        states.append(h)
    return states, c


def encoded(encoder: StackedLSTM, inputs: list[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """The top states h̄_s, and the last h and c of each layer."""
    hs, cs = [], []
    for lstm in encoder.layers:
        states, c = read(lstm, "", inputs)
        h = states[-1]
        if lstm.bidirectional:
            back, back_c = read(lstm, "_reverse", inputs[::-1])
            h, c = torch.cat([h, back[-1]]), torch.cat([c, back_c])
            states = [torch.cat(pair) for pair in zip(states, back[::-1], strict=True)]
        hs.append(h)
        cs.append(c)
        inputs = states
    return inputs, hs, cs


def score_of(score: Score, h: Tensor, h_s: Tensor) -> Tensor:
    """score(h_t, h̄_s), equation 8."""
    match score:
        case Dot():
            return h @ h_s
        case General():
            return h @ (score.W_a.weight @ h_s)
        case Additive():
            return score.v_a @ torch.tanh(score.W_a.weight @ h + score.U_a.weight @ h_s)
    raise AssertionError(score)


def written_out(model: Luong, src: list[int], tgt_in: list[int]) -> Tensor:
    """h̃_t for each position of one target, with input feeding (section 3.3)."""
    top, h, c = encoded(model.encoder, [model.src_embedding.weight[x] for x in src])
    fed, features = torch.zeros(HIDDEN), []
    for y in tgt_in:
        for layer, cell in enumerate(model.cells):
            W, U = cell.WU.split(HIDDEN, dim=1)
            sums = W @ (fed if layer == 0 else h[layer - 1]) + U @ h[layer] + cell.b
            if layer == 0:
                sums = sums + model.W_y.weight @ model.tgt_embedding.weight[y]
            h[layer], c[layer] = unit(sums, c[layer])
        scores = [score_of(model.attention.score, h[-1], h_s) for h_s in top]
        total = sum(score.exp() for score in scores)
        context = sum(score.exp() / total * h_s for score, h_s in zip(scores, top, strict=True))
        fed = torch.tanh(model.W_c.weight @ torch.cat([context, h[-1]]))
        features.append(fed)
    return torch.stack(features)


def padded() -> tuple[list[list[int]], Tensor]:
    sources = [[8, 4, 4, 5], [4, 9, 6, 10, 5, 7, 8]]  # the shorter first: no order is assumed
    return sources, torch.tensor([sources[0] + [PAD] * 3, sources[1]])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("attention", [General, Dot, lambda q, k: Additive(q, k, dim=5)], ids=["general", "dot", "additive"])
def test_forward_equals_the_papers_equations_written_out(attention: Callable[[int, int], Score], bidirectional: bool) -> None:
    model = luong(attention, bidirectional=bidirectional)
    sources, src = padded()
    targets = [[BOS, 7, 12, 4, 9], [BOS, 4, 11, 5, 6]]
    features = model(src, torch.tensor(targets), src != PAD)
    expected = torch.stack([written_out(model, *pair) for pair in zip(sources, targets, strict=True)])
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_encoder_equals_stacked_lstms_written_out(bidirectional: bool) -> None:
    model = luong(General, bidirectional=bidirectional)
    sources, src = padded()
    states, h, c = model.encoder(model.src_embedding(src), src != PAD)
    assert h.shape == c.shape == (2, 3, HIDDEN)
    for row, source in enumerate(sources):
        top, hs, cs = encoded(model.encoder, [model.src_embedding.weight[x] for x in source])
        torch.testing.assert_close(states[row, : len(source)], torch.stack(top), rtol=0, atol=1e-9)
        torch.testing.assert_close([h[row], c[row]], [torch.stack(hs), torch.stack(cs)], rtol=0, atol=1e-9)


def test_all_parameters_begin_as_in_the_paper() -> None:
    sizes = {"embedding_dim": 6, "hidden_dim": 60, "layers": 2, "dropout": 0.0, "bidirectional": False}
    model = Luong(Vocabulary(11, 13, joint=False), attention=General, **sizes)
    everything = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    assert 0.0999 < everything.abs().max() <= 0.1
    assert everything.std() == pytest.approx(0.2 / 12**0.5, rel=0.02)


def test_two_directions_need_an_even_width() -> None:
    with pytest.raises(ValueError, match=r"model\.hidden_dim \(9\) must be even with model\.bidirectional=true"):
        Luong(
            Vocabulary(11, 13, joint=False),
            attention=General,
            embedding_dim=6,
            hidden_dim=9,
            layers=2,
            dropout=0.0,
            bidirectional=True,
        )


@pytest.mark.parametrize(("score", "width"), [(Dot, 3), (General, 4)])
def test_the_gradient_of_multiplicative_attention_equals_finite_differences(score: type[Score], width: int) -> None:
    torch.manual_seed(1)
    attention = Attention(score(width, 3))
    query, states = torch.randn(2, 3, width, requires_grad=True), torch.randn(2, 5, 3, requires_grad=True)
    mask = torch.arange(5) < torch.tensor([[5], [3]])

    def contexts(query: Tensor, states: Tensor, *_: Tensor) -> Tensor:
        return attention(query, attention.memory(states, mask))

    assert torch.autograd.gradcheck(contexts, (query, states, *attention.parameters()))


def test_dot_needs_states_of_one_width() -> None:
    with pytest.raises(ValueError, match=r"encoder states \(7\) as wide as the decoder's \(10\): take model/attention=general"):
        Dot(10, 7)
