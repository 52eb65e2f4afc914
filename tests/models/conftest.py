"""The papers' equations written out: one sentence, one position, one vector at a time; of modules only weights are read."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from nmt.models.attention import Attention, Global, LocalMonotonic, LocalPredictive, MultiHeadAttention
from nmt.models.cells import Cell, GRUCell, LSTMCell
from nmt.models.encoder import RecurrentEncoder
from nmt.models.scores import Additive, AdditiveHeads, Concat, Dot, DotHeads, General, HeadScore, Location, Score

DROP = 1.5
"""What dropout multiplies with in these tests, so that where it acts is compared too."""


@pytest.fixture
def dropout_that_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cells", "encoder", "recurrent"):
        monkeypatch.setattr(f"nmt.models.{module}.dropout", lambda x, p, training: x * (1 + p) if training else x)


def random(module: nn.Module) -> nn.Module:
    """Every parameter random, biases too: what starts at zero would hide its mistakes."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module


def step(cell: Cell, entering: Tensor, state: Tensor) -> Tensor:
    """The next state of a unit from W x + b (and what a model adds to it) and its state."""
    match cell:
        case GRUCell():  # Bahdanau et al. 2015, section A.1.1: the reset gate acts on the state before U
            x_z, x_r, x = entering.chunk(3)
            U_z, U_r = cell.U_zr.weight.chunk(2)
            z, r = torch.sigmoid(x_z + U_z @ state), torch.sigmoid(x_r + U_r @ state)
            return (1 - z) * state + z * torch.tanh(x + cell.U.weight @ (r * state))
        case LSTMCell():
            h, c = state.chunk(2)
            i, f, g, o = (entering + cell.U.weight @ h).chunk(4)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            return torch.cat([torch.sigmoid(o) * torch.tanh(c), c])
    raise AssertionError(cell)


def read(cell: Cell, xs: list[Tensor], state: Tensor) -> list[Tensor]:
    """The states after each of the inputs."""
    states = []
    for x in xs:
        state = step(cell, cell.W.weight @ x + cell.W.bias, state)
        states.append(state)
    return states


def encode(encoder: RecurrentEncoder, direction: str, xs: list[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """The top states h_j, the summary of each reading, and the last state of every layer."""
    lasts = []
    for layer, cells in enumerate(encoder.layers):
        below = [DROP * x for x in xs] if layer else xs
        readings = []
        for cell, way in zip(cells, {"forward": (1,), "backward": (-1,), "both": (1, -1)}[direction], strict=True):
            readings.append(read(cell, below[::way], torch.zeros(cell.parts * cell.dim))[::way])
        n = cells[0].dim
        ends = [states[0 if direction == "backward" or reading else -1] for reading, states in enumerate(readings)]
        xs = [torch.cat([state[:n] for state in states]) for states in zip(*readings, strict=True)]
        lasts.append(torch.cat([torch.cat([end[:n] for end in ends]), torch.cat([end[n:] for end in ends])]))
    return xs, [end[:n] for end in ends], lasts


def energy(score: Score, h: Tensor, states: list[Tensor], s: int) -> Tensor:
    """score(h, h̄_s), s from 0."""
    match score:
        case Additive():  # Bahdanau et al. 2015, section A.1.2
            return score.v_a @ torch.tanh(score.W_a.weight @ h + score.U_a.weight @ states[s])
        case Concat():  # Luong et al. 2015, section 3.1
            W_a = torch.cat([score.W_h.weight, score.W_s.weight], dim=1)
            return score.v_a @ torch.tanh(W_a @ torch.cat([h, states[s]]))
        case Dot():
            return h @ states[s]
        case General():
            return h @ score.W_a.weight @ states[s]
        case Location():  # equation 8
            return score.W_a.weight[s] @ h
    raise AssertionError(score)


def head_energy(score: HeadScore, head: int, h: Tensor, h_s: Tensor) -> Tensor:
    """score_i(h, h̄_s) of head i."""
    q, k = (W.weight.chunk(score.heads)[head] @ x for W, x in ((score.W_q, h), (score.W_k, h_s)))
    match score:
        case DotHeads():  # Vaswani et al. 2017, equation 1
            return q @ k / math.sqrt(len(k))
        case AdditiveHeads():
            return score.v[head].flatten() @ torch.tanh(q + k)
    raise AssertionError(score)


def softmax(energies: list[Tensor]) -> list[Tensor]:
    total = sum(e.exp() for e in energies)
    return [e.exp() / total for e in energies]


def weigh(attention: Attention, h: Tensor, states: list[Tensor], t: int) -> list[Tensor]:
    """a_t(s) of all s, for the target position t, from 1 (Luong et al. 2015, sections 3.1 and 3.2)."""
    S, deviation = len(states), math.inf
    match attention:
        case Global():
            p, D = torch.tensor(1.0), math.inf
        case LocalMonotonic():
            p, D = torch.tensor(float(min(t, S))), attention.D
        case LocalPredictive():
            p, D = S * torch.sigmoid(attention.v_p @ torch.tanh(attention.W_p.weight @ h)), attention.D
            deviation = D / 2
    window = [s for s in range(1, S + 1) if p - D <= s <= p + D]
    align = dict(zip(window, softmax([energy(attention.score, h, states, s - 1) for s in window]), strict=True))
    gaussian = {s: torch.exp(-((s - p) ** 2) / (2 * deviation**2)) for s in window}
    return [align[s] * gaussian[s] if s in window else torch.tensor(0.0) for s in range(1, S + 1)]


def attend(attention: Attention, h: Tensor, states: list[Tensor], t: int) -> tuple[Tensor, Tensor]:
    """The weights, (S,) or (H, S), and the context."""
    if not isinstance(attention, MultiHeadAttention):
        a = weigh(attention, h, states, t)
        return torch.stack(a), sum(a_s * h_s for a_s, h_s in zip(a, states, strict=True))
    weights, heads = [], []
    for head, W_v in enumerate(attention.W_v.weight.chunk(attention.heads)):
        a = softmax([head_energy(attention.score, head, h, h_s) for h_s in states])
        weights.append(torch.stack(a))
        heads.append(sum(a_s * (W_v @ h_s) for a_s, h_s in zip(a, states, strict=True)))
    return torch.stack(weights), attention.W_o.weight @ torch.cat(heads)


def agree(found: list[Tensor], expected: list[Tensor], inputs: list[Tensor]) -> None:
    """Equal values, and equal gradients of the inputs for a loss that weighs every value differently."""
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    random = torch.Generator().manual_seed(3)
    weights = [torch.randn(x.shape, generator=random) for x in found]
    gradients = [torch.autograd.grad(xs, inputs, weights, retain_graph=True, allow_unused=True) for xs in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)


@pytest.fixture(scope="session")
def written_out() -> SimpleNamespace:
    """The functions above, which other files of tests cannot import."""
    functions = (random, step, read, encode, energy, head_energy, weigh, attend, agree)
    return SimpleNamespace(DROP=DROP, **{function.__name__: function for function in functions})
