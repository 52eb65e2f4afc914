"""Recurrent units against their equations, and reading a sentence at once against reading it step by step."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from nmt.models.cells import Cell, GRUCell, LSTMCell, Stack, cell_named

EXACT = {"rtol": 0.0, "atol": 1e-9}
CELLS = pytest.mark.parametrize("kind", [GRUCell, LSTMCell])
LENGTHS = torch.tensor([4, 7, 1])  # of three sentences, in a batch of width 7
pytestmark = pytest.mark.usefixtures("float64")


def masks(padding: str) -> Tensor | None:
    right = torch.arange(7) < LENGTHS.unsqueeze(1)
    return {"none": None, "right": right, "left": right.flip(1)}[padding]


@CELLS
def test_a_step_equals_the_papers_equations(written_out: SimpleNamespace, kind: type[Cell]) -> None:
    cell = written_out.random(kind(3, 5))
    entering, state = torch.randn(2, 4, kind.gates * 5), torch.randn(2, 4, kind.parts * 5)
    following = cell(entering, state)
    assert following.shape == state.shape
    for index in torch.cartesian_prod(torch.arange(2), torch.arange(4)).tolist():
        expected = written_out.step(cell, entering[*index], state[*index])
        torch.testing.assert_close(following[*index], expected, **EXACT)
    assert torch.equal(cell.hidden(following), following[..., :5])


def test_the_lstm_equals_torchs(written_out: SimpleNamespace) -> None:
    cell, theirs = written_out.random(LSTMCell(3, 5)), nn.LSTMCell(3, 5)
    weights = {"weight_ih": cell.W.weight, "weight_hh": cell.U.weight, "bias_ih": cell.W.bias, "bias_hh": torch.zeros(20)}
    theirs.load_state_dict(weights)
    x, h, c = torch.randn(2, 3), torch.randn(2, 5), torch.randn(2, 5)
    torch.testing.assert_close(cell(cell.W(x), torch.cat([h, c], 1)), torch.cat(theirs(x, (h, c)), 1), **EXACT)


@CELLS
def test_the_gradient_of_a_step_equals_finite_differences(written_out: SimpleNamespace, kind: type[Cell]) -> None:
    cell = written_out.random(kind(3, 2))
    x, state = torch.randn(2, 3, requires_grad=True), torch.randn(2, kind.parts * 2, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, state, *_: cell(cell.W(x), state), (x, state, *cell.parameters()))


@CELLS
@pytest.mark.parametrize("padding", ["none", "right", "left"])
def test_the_gradient_of_a_reading_equals_finite_differences(
    written_out: SimpleNamespace, kind: type[Cell], padding: str
) -> None:
    cell, mask = written_out.random(kind(2, 2)), masks(padding)
    x, state, factors = torch.randn(3, 7, 2, requires_grad=True), torch.zeros(3, kind.parts * 2), torch.randn(3, 7, 2)

    def reading(x: Tensor, *_: Tensor) -> Tensor:
        h, last = cell.read(x, state, mask)
        return (h * factors)[... if mask is None else mask].sum() + last.square().sum()

    assert torch.autograd.gradcheck(reading, (x, *cell.parameters()))


@pytest.mark.parametrize(
    ("kind", "padding", "start"),
    [
        (kind, padding, start)
        for kind in (GRUCell, LSTMCell)
        for padding in ("none", "right", "left")
        for start in ("zero", "random")
        # where padding comes first, an LSTM's library call must begin at zero
        if (kind, padding, start) != (LSTMCell, "left", "random")
    ],
)
def test_reading_equals_each_sentence_on_its_own_step_by_step(
    written_out: SimpleNamespace, kind: type[Cell], padding: str, start: str
) -> None:
    cell, mask = written_out.random(kind(3, 5)), masks(padding)
    x = torch.randn(3, 7, 3, requires_grad=True)
    state = (torch.randn if start == "random" else torch.zeros)(3, kind.parts * 5, requires_grad=start == "random")
    hs, lasts = [], []
    for row in range(3):
        real = x[row] if mask is None else x[row, mask[row]]
        states = written_out.read(cell, list(real), state[row])
        hs += [one[:5] for one in states]
        lasts.append(states[-1])
    inputs = [x, *cell.parameters(), *([state] if state.requires_grad else [])]
    for h, last in (cell.read(x, state, mask), cell.recur(cell.W(x), state, mask)):
        assert h.shape == (3, 7, 5)
        real = h.flatten(0, 1) if mask is None else h[mask]
        written_out.agree([real, last], [torch.stack(hs), torch.stack(lasts)], inputs)


@CELLS
@pytest.mark.parametrize("padding", ["right", "left"])
def test_what_padding_holds_changes_nothing(written_out: SimpleNamespace, kind: type[Cell], padding: str) -> None:
    cell, mask, x = written_out.random(kind(3, 5)), masks(padding), torch.randn(3, 7, 3)
    zero = torch.zeros(3, kind.parts * 5)
    h, last = cell.read(x, zero, mask)
    other_h, other_last = cell.read(x.masked_fill(~mask.unsqueeze(-1), 50.0), zero, mask)
    torch.testing.assert_close((other_h[mask], other_last), (h[mask], last), rtol=0, atol=0)


@pytest.mark.parametrize("unit", ["gru", "lstm"])
def test_a_stack_read_at_once_equals_its_steps_with_dropout_between_its_layers_only(
    written_out: SimpleNamespace, dropout_that_multiplies: None, unit: str
) -> None:
    stack = written_out.random(Stack(unit, 3, 5, layers=3, dropout=written_out.DROP - 1))
    x, states = torch.randn(2, 4, 3), torch.randn(2, 3, stack.state_dim)
    expected = []
    for row in range(2):
        below = list(x[row])
        for layer, cell in enumerate(stack.cells):
            inputs = [written_out.DROP * h for h in below] if layer else below
            below = [state[:5] for state in written_out.read(cell, inputs, states[row, layer])]
        expected.append(torch.stack(below))
    expected, parameters = torch.stack(expected), list(stack.parameters())
    written_out.agree([stack.read(x, states)], [expected], parameters)
    steps, now = [], list(states.unsqueeze(1).unbind(2))
    for entering in stack.inputs(x).split(1, dim=1):
        now = stack(entering, now)
        steps.append(stack.hidden(now[-1]))
    written_out.agree([torch.cat(steps, 1)], [expected], parameters)


def test_recurrent_weights_of_a_gru_begin_orthogonal_each_by_itself() -> None:
    cell = GRUCell(3, 5)
    for U in (*cell.U_zr.weight.chunk(2), cell.U.weight):
        torch.testing.assert_close(U @ U.t(), torch.eye(5), **EXACT)


def test_an_unknown_unit_is_named_with_those_that_exist() -> None:
    assert cell_named("gru") is GRUCell
    assert cell_named("lstm") is LSTMCell
    with pytest.raises(ValueError, match=r"model\.cell must be one of gru, lstm, but is 'rnn'"):
        cell_named("rnn")
