"""RNNsearch against appendix A of the paper written out, one sentence and one position at a time."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.models.attention import Additive, Attention, Dot, General, Score
from nmt.models.bahdanau import Bahdanau
from nmt.models.cells import GRUCell
from nmt.models.seq2seq import Vocabulary
from nmt.vocabulary import BOS, PAD

pytestmark = pytest.mark.usefixtures("float64")


def bahdanau(attention: Callable[[int, int], Score]) -> Bahdanau:
    torch.manual_seed(1)
    sizes: dict[str, Any] = {"embedding_dim": 6, "encoder_dim": 7, "hidden_dim": 14, "maxout_dim": 4, "dropout": 0.0}
    model = Bahdanau(Vocabulary(11, 13, joint=False), attention=attention, **sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model


def gated_unit(cell: GRUCell, x_z: Tensor, x_r: Tensor, x: Tensor, s: Tensor) -> Tensor:
    """Section A.1.1: the reset gate acts on the state before U."""
    U_z, U_r = cell.U_gates.chunk(2)
    z = torch.sigmoid(x_z + U_z @ s)
    r = torch.sigmoid(x_r + U_r @ s)
    candidate = torch.tanh(x + cell.U @ (r * s))
    return (1 - z) * s + z * candidate


def annotations(model: Bahdanau, src: list[int]) -> tuple[list[Tensor], Tensor]:
    """Section A.2.1: h_j = [→h_j; ←h_j] of one sentence, and ←h_1."""
    embedded = [model.src_embedding.weight[x] for x in src]
    W, b = model.encoder.W.weight.chunk(6), model.encoder.W.bias.chunk(6)
    ahead, state = [], torch.zeros(7)
    for x in embedded:
        state = gated_unit(model.encoder.forward_cell, *(W[n] @ x + b[n] for n in range(3)), state)
        ahead.append(state)
    back, state = [], torch.zeros(7)
    for x in reversed(embedded):
        state = gated_unit(model.encoder.backward_cell, *(W[n] @ x + b[n] for n in range(3, 6)), state)
        back.insert(0, state)
    return [torch.cat(pair) for pair in zip(ahead, back, strict=True)], back[0]


def energy(score: Score, s: Tensor, h: Tensor) -> Tensor:
    """a(s_{i-1}, h_j)."""
    match score:
        case Additive():
            return score.v_a @ torch.tanh(score.W_a.weight @ s + score.U_a.weight @ h)
        case General():
            return s @ score.W_a.weight @ h
        case Dot():
            return s @ h
    raise AssertionError(score)


def written_out(model: Bahdanau, src: list[int], tgt_in: list[int]) -> Tensor:
    """Section A.2.2: t_i for each position of one target."""
    h, first = annotations(model, src)
    s = torch.tanh(model.W_s.weight @ first + model.W_s.bias)
    W, b, C = model.W.weight.chunk(3), model.W.bias.chunk(3), model.C.weight.chunk(3)
    features = []
    for y in tgt_in:
        embedded = model.tgt_embedding.weight[y]
        e = [energy(model.attention.score, s, h_j) for h_j in h]
        total = sum(e_j.exp() for e_j in e)
        c = sum(e_j.exp() / total * h_j for e_j, h_j in zip(e, h, strict=True))
        t = model.U_o.weight @ s + model.V_o.weight @ embedded + model.V_o.bias + model.C_o.weight @ c
        features.append(torch.stack([torch.maximum(t[2 * j], t[2 * j + 1]) for j in range(4)]))
        s = gated_unit(model.cell, *(W[n] @ embedded + b[n] + C[n] @ c for n in range(3)), s)
    return torch.stack(features)


@pytest.mark.parametrize("attention", [lambda q, k: Additive(q, k, dim=5), General, Dot], ids=["additive", "general", "dot"])
def test_forward_equals_the_papers_equations_written_out(attention: Callable[[int, int], Score]) -> None:
    model = bahdanau(attention)
    sources, targets = [[4, 9, 6, 10, 5, 7, 8], [8, 4, 4, 5]], [[BOS, 7, 12, 4, 9], [BOS, 4, 11, 5, 6]]
    src = torch.tensor([sources[0], sources[1] + [PAD] * 3])
    features = model(src, torch.tensor(targets), src != PAD)
    expected = torch.stack([written_out(model, *pair) for pair in zip(sources, targets, strict=True)])
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-9)


def test_logits_are_linear_in_the_features() -> None:
    model = bahdanau(General)
    t = torch.randn(2, 5, 4)
    torch.testing.assert_close(model.project(t), torch.einsum("btl,vl->btv", t, model.output.weight), rtol=0, atol=1e-9)


def test_the_width_of_additive_attention_is_that_of_the_decoder_unless_it_is_given() -> None:
    assert Additive(10, 7, dim=None).v_a.shape == (10,)
    assert Additive(10, 7, dim=5).v_a.shape == (5,)


def test_the_gradient_of_additive_attention_equals_finite_differences() -> None:
    torch.manual_seed(1)
    attention = Attention(Additive(4, 3, dim=5))
    query, states = torch.randn(2, 3, 4, requires_grad=True), torch.randn(2, 5, 3, requires_grad=True)
    mask = torch.arange(5) < torch.tensor([[5], [3]])

    def contexts(query: Tensor, states: Tensor, *_: Tensor) -> Tensor:
        return attention(query, attention.memory(states, mask))

    assert torch.autograd.gradcheck(contexts, (query, states, *attention.parameters()))
