"""Recurrent encoders against loops over single sentences without padding, and what decoders start from."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.models.cells import Stack
from nmt.models.encoder import DecoderShape, Encoded, Encoder, RecurrentEncoder
from nmt.models.recurrent import InitialStates

EXACT = {"rtol": 0.0, "atol": 1e-9}
SHAPE = DecoderShape(embedding_dim=3, hidden_dim=10, layers=2, cell="gru", dropout=0.5)
MASK = torch.arange(7) < torch.tensor([[4], [7], [1]])
pytestmark = pytest.mark.usefixtures("float64")


def encoder(**changes: Any) -> RecurrentEncoder:
    keys: dict[str, Any] = {"direction": "forward", "hidden_dim": None, "layers": None, "cell": None}
    return RecurrentEncoder(SHAPE, **(keys | changes))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_states_summary_and_last_states_equal_those_of_each_sentence_on_its_own(
    written_out: SimpleNamespace, dropout_that_multiplies: None, direction: str, layers: int, cell: str
) -> None:
    made = written_out.random(encoder(direction=direction, layers=layers, cell=cell, hidden_dim=8))
    embedded = torch.randn(3, 7, 3, requires_grad=True)
    found = made(embedded, MASK)
    states, summaries, lasts = [], [], []
    for row in range(3):
        top, summary, last = written_out.encode(made, direction, list(embedded[row, MASK[row]]))
        states += top
        summaries.append(torch.stack(summary))
        lasts.append(torch.stack(last))
    expected = [torch.stack(x) for x in (states, summaries, lasts)]
    written_out.agree([found.states[MASK], found.summary, found.last], expected, [embedded, *made.parameters()])
    readings = 2 if direction == "both" else 1
    assert (made.dim, made.readings, made.summary_dim) == (8, readings, 8 // readings)
    assert found.summary.shape == (3, readings, 8 // readings)
    assert found.last.shape == (3, layers, 8 if cell == "gru" else 16)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_backward_equals_forward_on_the_reversed_sentence(written_out: SimpleNamespace, cell: str) -> None:
    ahead, back = (written_out.random(encoder(direction=direction, cell=cell)).eval() for direction in ("forward", "backward"))
    embedded = torch.randn(3, 7, 3)
    found = back(embedded, MASK)
    for row, length in enumerate(MASK.sum(1).tolist()):
        real = torch.ones(1, length, dtype=torch.bool)
        expected = ahead(embedded[row : row + 1, :length].flip(1), real)
        torch.testing.assert_close(found.states[row, :length], expected.states[0].flip(0), **EXACT)
        torch.testing.assert_close((found.summary[row], found.last[row]), (expected.summary[0], expected.last[0]), **EXACT)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_summary_is_the_state_at_the_end_of_the_reading(written_out: SimpleNamespace, direction: str) -> None:
    made = written_out.random(encoder(direction=direction)).eval()
    found = made(torch.randn(3, 7, 3), MASK)
    ends = [3, 6, 0] if direction == "forward" else [0, 0, 0]
    torch.testing.assert_close(found.summary[:, 0], found.states[range(3), ends], **EXACT)


def test_what_is_null_is_the_decoders() -> None:
    made = encoder(direction="both")
    assert (made.dim, len(made.layers)) == (10, 2)
    assert {type(cell).__name__ for cells in made.layers for cell in cells} == {"GRUCell"}
    own = encoder(hidden_dim=7, layers=3, cell="lstm")
    assert (own.dim, len(own.layers)) == (7, 3)
    assert {type(cell).__name__ for cells in own.layers for cell in cells} == {"LSTMCell"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"direction": "up"}, r"model\.encoder\.direction must be one of forward, backward, both, but is 'up'"),
        ({"hidden_dim": 0}, r"model\.encoder\.hidden_dim must be at least 1, or null for the decoder's, but is 0"),
        ({"layers": 0}, r"model\.encoder\.layers must be at least 1, or null for the decoder's, but is 0"),
        ({"cell": "rnn"}, r"cell must be one of gru, lstm, but is 'rnn'"),
        ({"direction": "both", "hidden_dim": 9}, r"hidden_dim \(9\) must be even with model\.encoder\.direction=both"),
    ],
)
def test_what_an_encoder_cannot_be_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder(**changes)


class Means(Encoder):
    """An encoder that is not recurrent."""

    dim, summary_dim, readings = 3, 3, 2

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((3,), 5.0))

    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        real = (embedded * self.scale).masked_fill(~mask.unsqueeze(-1), 0.0)
        mean = real.sum(1) / mask.sum(1, keepdim=True)
        return Encoded(real, torch.stack([mean, -2 * mean], 1), None)


def test_a_decoder_starts_from_the_last_states_of_a_recurrent_encoder_layer_by_layer(written_out: SimpleNamespace) -> None:
    made = written_out.random(encoder(direction="both", cell="lstm")).eval()
    found = made(torch.randn(3, 7, 3), MASK)
    initial = InitialStates(made, Stack("lstm", 3, 10, layers=2, dropout=0.0))
    assert list(initial.parameters()) == []
    assert initial(found) is found.last


def test_a_decoder_starts_from_a_map_of_the_summary_of_another_encoder(written_out: SimpleNamespace) -> None:
    initial = written_out.random(InitialStates(Means(), Stack("lstm", 3, 10, layers=2, dropout=0.0)))
    found = Means()(torch.randn(3, 7, 3), MASK)
    states = initial(found)
    assert states.shape == (3, 2, 20)
    for row in range(3):
        sums = initial.W_s.weight @ torch.cat(list(found.summary[row])) + initial.W_s.bias
        torch.testing.assert_close(torch.cat(list(states[row])), torch.tanh(sums), **EXACT)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"layers": 3}, "3 layers of 10 lstm units"),
        ({"hidden_dim": 20}, "2 layers of 20 lstm units"),
        ({"hidden_dim": 20, "cell": "gru"}, "2 layers of 20 gru units"),  # as many numbers in a state
        ({"cell": "gru"}, "2 layers of 10 gru units"),
    ],
)
def test_an_encoder_whose_last_states_do_not_fit_the_decoder_is_named(changes: dict[str, Any], found: str) -> None:
    made = encoder(**({"cell": "lstm"} | changes))
    remedy = r"set model\.encoder\.layers, model\.encoder\.hidden_dim and model\.encoder\.cell to null"
    message = f"needs an encoder of 2 layers of 10 lstm units, but has {found}: {remedy}"
    with pytest.raises(ValueError, match=message):
        InitialStates(made, Stack("lstm", 3, 10, layers=2, dropout=0.0))
