"""The encoder-decoders without attention against their papers' equations, one sentence and one position at a time."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.models.encdec import Cho, ChoCell, Sutskever
from nmt.models.encoder import RecurrentEncoder
from nmt.models.seq2seq import Vocabulary
from nmt.vocabulary import BOS, PAD

pytestmark = pytest.mark.usefixtures("float64", "dropout_that_multiplies")
EXACT = {"rtol": 0.0, "atol": 1e-9}
SOURCES = [[8, 4, 4, 5], [4, 9, 6, 10, 5, 7, 8]]
TARGETS = [[BOS, 7, 12, 4, 9], [BOS, 4, 11, 5, 6]]
VOCABULARY = Vocabulary(11, 13, joint=False)
KEYS: dict[str, Any] = {"embedding_dim": 6, "hidden_dim": 10, "dropout": 0.5}
DIRECTIONS = pytest.mark.parametrize("direction", ["forward", "backward", "both"])


def encoder(direction: str, **changes: Any) -> partial[RecurrentEncoder]:
    return partial(RecurrentEncoder, **({"direction": direction, "hidden_dim": None, "layers": None, "cell": None} | changes))


def batch() -> tuple[Tensor, Tensor, Tensor]:
    src = torch.tensor([SOURCES[0] + [PAD] * 3, SOURCES[1]])
    return src, torch.tensor(TARGETS), src != PAD


def sutskever(direction: str = "backward", **changes: Any) -> Sutskever:
    return Sutskever(VOCABULARY, encoder=encoder(direction), **(KEYS | {"cell": "lstm", "layers": 3} | changes))


@DIRECTIONS
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_sutskever_equals_section_2_written_out(written_out: SimpleNamespace, direction: str, cell: str) -> None:
    model, drop = written_out.random(sutskever(direction, cell=cell)), written_out.DROP
    expected = []
    for source, target in zip(SOURCES, TARGETS, strict=True):
        _, _, states = written_out.encode(model.encoder, direction, [drop * model.src_embedding.weight[x] for x in source])
        for y in target:
            x = drop * model.tgt_embedding.weight[y]
            for layer, cell in enumerate(model.stack.cells):
                states[layer] = written_out.step(cell, cell.W.weight @ x + cell.W.bias, states[layer])
                x = drop * states[layer][:10]
            expected.append(x)
    written_out.agree([model(*batch()).flatten(0, 1)], [torch.stack(expected)], list(model.parameters()))


@pytest.mark.parametrize(("width", "bound"), [(1000, 0.08), (40, 0.4)], ids=["the paper's width", "another width"])
def test_all_parameters_of_sutskever_begin_uniform_with_the_papers_bound_at_its_width(width: int, bound: float) -> None:
    model = sutskever(hidden_dim=width, layers=1)
    everything = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    assert 0.999 * bound < everything.abs().max() <= bound
    assert everything.std().item() == pytest.approx(2 * bound / 12**0.5, rel=0.02)
    assert all(parameter.detach().std() > 0.3 * bound for parameter in model.parameters())


def cho(direction: str, **changes: Any) -> Cho:
    return Cho(VOCABULARY, encoder=encoder(direction, **changes), maxout_dim=4, **KEYS)


def unit(cell: ChoCell, e: Tensor, h: Tensor, c: Tensor) -> Tensor:
    """Appendix A: r acts on [U h + C c]; what the paper calls z is 1 - σ(…) here."""
    W, b, U, C = cell.W.weight.chunk(3), cell.W.bias.chunk(3), cell.U.weight.chunk(3), cell.C.weight.chunk(3)
    z = 1 - torch.sigmoid(W[0] @ e + b[0] + U[0] @ h + C[0] @ c)
    r = torch.sigmoid(W[1] @ e + b[1] + U[1] @ h + C[1] @ c)
    return z * h + (1 - z) * torch.tanh(W[2] @ e + b[2] + r * (U[2] @ h + C[2] @ c))


@DIRECTIONS
@pytest.mark.parametrize("changes", [{}, {"hidden_dim": 8, "layers": 2, "cell": "lstm"}], ids=["paper", "other encoder"])
def test_cho_equals_appendix_a_written_out(written_out: SimpleNamespace, direction: str, changes: dict[str, Any]) -> None:
    model, drop = written_out.random(cho(direction, **changes)), written_out.DROP
    expected = []
    for source, target in zip(SOURCES, TARGETS, strict=True):
        _, summary, _ = written_out.encode(model.encoder, direction, [drop * model.src_embedding.weight[x] for x in source])
        c = torch.tanh(model.V.weight @ torch.cat(summary) + model.V.bias)
        h = torch.tanh(model.V_prime.weight @ c + model.V_prime.bias)
        for y in target:
            e, readout = drop * model.tgt_embedding.weight[y], model.readout
            h = unit(model.cell, e, h, c)
            s = readout.U_o.weight @ h + readout.V_o.weight @ e + readout.V_o.bias + readout.C_o.weight @ c
            expected.append(drop * torch.stack([torch.maximum(s[2 * i], s[2 * i + 1]) for i in range(4)]))
    written_out.agree([model(*batch()).flatten(0, 1)], [torch.stack(expected)], list(model.parameters()))


def test_a_step_of_chos_unit_equals_appendix_a_and_its_gradient_finite_differences(written_out: SimpleNamespace) -> None:
    cell = written_out.random(ChoCell(3, 2))
    e, h, c = (torch.randn(2, 4, width, requires_grad=True) for width in (3, 2, 2))

    def following(*_: Tensor) -> Tensor:
        return cell(cell.inputs(e, cell.C(c)), h)

    found = following()
    for b, k in torch.cartesian_prod(torch.arange(2), torch.arange(4)).tolist():
        torch.testing.assert_close(found[b, k], unit(cell, e[b, k], h[b, k], c[b, k]), **EXACT)
    assert torch.autograd.gradcheck(following, (e, h, c, *cell.parameters()))


def test_recurrent_weights_of_cho_begin_orthogonal_each_by_itself() -> None:
    for U in cho("forward").cell.U.weight.chunk(3):
        torch.testing.assert_close(U @ U.t(), torch.eye(10), **EXACT)


@pytest.mark.parametrize("make", [sutskever, cho])
def test_what_a_target_is_translated_from_is_one_summary_of_the_sentence(make: Any) -> None:
    src, _, mask = batch()
    memory = make("backward").encode(src, mask)
    assert not any(x.dim() > 1 and 7 in x.shape[1:] for name, x in memory.items() if name != "mask")


def test_an_encoder_of_other_layers_than_sutskevers_decoder_is_named() -> None:
    with pytest.raises(
        ValueError,
        match=r"3 layers of 10 lstm units, but has 2 .*: set model\.encoder\.layers, .* to null",
    ):
        Sutskever(VOCABULARY, encoder=encoder("backward", layers=2), cell="lstm", layers=3, **KEYS)


def test_an_unknown_unit_of_sutskever_is_named() -> None:
    with pytest.raises(ValueError, match=r"model\.cell must be one of gru, lstm, but is 'rnn'"):
        sutskever(cell="rnn")
