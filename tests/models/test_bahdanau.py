"""RNNsearch against appendix A of the paper written out, one sentence and one position at a time."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.models.attention import Attention, Global, LocalMonotonic, LocalPredictive, MultiHeadAttention
from nmt.models.bahdanau import Bahdanau
from nmt.models.cells import GRUCell
from nmt.models.encoder import RecurrentEncoder
from nmt.models.scores import Additive, AdditiveHeads, Dot, DotHeads, General, Location
from nmt.models.seq2seq import Vocabulary
from nmt.vocabulary import BOS, PAD

pytestmark = pytest.mark.usefixtures("float64")
ADDITIVE: partial[Any] = partial(Global, score=partial(Additive, dim=5))
SOURCES = [[4, 9, 6, 10, 5, 7, 8], [8, 4, 4, 5]]
TARGETS = [[BOS, 7, 12, 4, 9], [BOS, 4, 11, 5, 6]]


def bahdanau(attention: Callable[..., Attention], encoder: dict[str, Any], *, cell: str = "gru") -> Bahdanau:
    """The paper's, but for the given keys of the encoder; that is 10 wide, the decoder 14."""
    keys: dict[str, Any] = {"direction": "both", "hidden_dim": 10, "layers": None, "cell": None}
    sizes: dict[str, Any] = {"embedding_dim": 6, "hidden_dim": 14, "maxout_dim": 4, "dropout": 0.5}
    make = partial(RecurrentEncoder, **(keys | encoder))
    return Bahdanau(Vocabulary(11, 13, joint=False), encoder=make, attention=attention, cell=cell, **sizes)


def translated(
    written_out: SimpleNamespace, model: Bahdanau, direction: str, src: list[int], tgt_in: list[int]
) -> list[Tensor]:
    """Section A.2: t_i for each position of one target."""
    embedded = [written_out.DROP * model.src_embedding.weight[x] for x in src]
    h, summary, _ = written_out.encode(model.encoder, direction, embedded)
    state = torch.tanh(model.W_s.weight @ summary[-1] + model.W_s.bias)  # ←h_1, where the encoder reads backward
    W, b, C, readout = model.cell.W.weight, model.cell.W.bias, model.C.weight, model.readout
    features = []
    for i, y in enumerate(tgt_in, start=1):
        s, embedded = state[:14], written_out.DROP * model.tgt_embedding.weight[y]
        _, c = written_out.attend(model.attention, s, h, i)
        t = readout.U_o.weight @ s + readout.V_o.weight @ embedded + readout.V_o.bias + readout.C_o.weight @ c
        features.append(written_out.DROP * torch.stack([torch.maximum(t[2 * j], t[2 * j + 1]) for j in range(4)]))
        state = written_out.step(model.cell, W @ embedded + b + C @ c, state)
    return features


def compare(written_out: SimpleNamespace, model: Bahdanau, direction: str) -> None:
    written_out.random(model)
    src = torch.tensor([SOURCES[0], SOURCES[1] + [PAD] * 3])
    features = model(src, torch.tensor(TARGETS), src != PAD)
    pairs = zip(SOURCES, TARGETS, strict=True)
    expected = torch.stack([torch.stack(translated(written_out, model, direction, *pair)) for pair in pairs])
    written_out.agree([features], [expected], list(model.parameters()))


@pytest.mark.usefixtures("dropout_that_multiplies")
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_forward_equals_the_papers_equations_written_out(written_out: SimpleNamespace, direction: str, cell: str) -> None:
    compare(written_out, bahdanau(ADDITIVE, {"direction": direction}, cell=cell), direction)


@pytest.mark.usefixtures("dropout_that_multiplies")
@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_the_encoder_may_have_other_layers_and_another_unit(written_out: SimpleNamespace, direction: str) -> None:
    model = bahdanau(ADDITIVE, {"direction": direction, "layers": 2, "cell": "lstm"})
    compare(written_out, model, direction)


@pytest.mark.usefixtures("dropout_that_multiplies")
@pytest.mark.parametrize(
    ("attention", "dim"),
    [
        (partial(Global, score=Dot), 14),
        (partial(Global, score=General), 10),
        (partial(Global, score=partial(Location, length=9)), 10),
        (partial(LocalMonotonic, score=General, D=1), 10),
        (partial(LocalPredictive, score=partial(Additive, dim=None), D=2), 10),
        (partial(MultiHeadAttention, score=partial(DotHeads, dim=None), heads=2), 10),
        (partial(MultiHeadAttention, score=partial(AdditiveHeads, dim=6), heads=2), 10),
    ],
    ids=["dot", "general", "location", "local-m", "local-p", "dot heads", "additive heads"],
)
def test_with_another_attention_too(written_out: SimpleNamespace, attention: Callable[..., Attention], dim: int) -> None:
    compare(written_out, bahdanau(attention, {"hidden_dim": dim}), "both")


def test_logits_are_linear_in_the_features() -> None:
    model = bahdanau(ADDITIVE, {})
    t = torch.randn(2, 5, 4)
    torch.testing.assert_close(model.project(t), torch.einsum("btl,vl->btv", t, model.output.weight), rtol=0, atol=1e-9)


def test_recurrent_weights_begin_orthogonal_and_embeddings_small() -> None:
    model = bahdanau(ADDITIVE, {})
    cells = [module for module in model.modules() if isinstance(module, GRUCell)]
    assert len(cells) == 3
    for cell in cells:
        for U in (*cell.U_zr.weight.chunk(2), cell.U.weight):
            torch.testing.assert_close(U @ U.t(), torch.eye(cell.dim), rtol=0, atol=1e-9)
    embeddings = torch.cat([model.src_embedding.weight, model.tgt_embedding.weight])
    assert embeddings.std().item() == pytest.approx(0.1, rel=0.2)
