"""Each kind of positions against loops over i and j written from the paper, their gradients, and what they promise."""

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.explain.record import record_attention
from nmt.models.feedforward import ReLU
from nmt.models.multihead import SelfAttention, View
from nmt.models.patterns import Full
from nmt.models.positions import Learned, Positions, Rotary, Sinusoidal, sinusoids
from nmt.models.relative import Shaw, TransformerXL
from nmt.models.seq2seq import Limit, Vocabulary
from nmt.models.transformer import Transformer

EXACT = {"rtol": 0.0, "atol": 1e-10}
D, H, d_k = 12, 3, 4
KINDS: dict[str, Callable[[int, int], Positions]] = {
    "sinusoidal": Sinusoidal,
    "learned": partial(Learned, length=9),
    "rotary": partial(Rotary, base=100.0),
    "shaw": partial(Shaw, max_distance=2),
    "transformer_xl": TransformerXL,
}
RELATIVE = ["rotary", "shaw", "transformer_xl"]
pytestmark = pytest.mark.usefixtures("float64")


def attention(kind: str, key_value_heads: int = H) -> Any:
    torch.manual_seed(1)
    made = KINDS[kind](D, H).self_attention(key_value_heads)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.6)
    return made


def x_and_views() -> tuple[Tensor, dict[str, View]]:
    """(2, 5, D), all of it seen, the past of it, and with the end of the second sentence hidden."""
    x = torch.randn(2, 5, D, generator=torch.Generator().manual_seed(2))
    i = torch.arange(5)
    mask = (i < torch.tensor([[5], [3]]))[:, None, None]
    return x, {"all": View(i, i, None), "past": View(i, i, None, causal=True), "real": View(i, i, mask)}


def code(position: int, dim: int) -> Tensor:
    """PE(position) of Vaswani et al., section 3.5, one number after the other."""
    angles = [position / 10000 ** (2 * (column // 2) / dim) for column in range(dim)]
    return torch.tensor([math.sin(a) if column % 2 == 0 else math.cos(a) for column, a in enumerate(angles)])


def turned(x: Tensor, position: int) -> Tensor:
    """R_position x of Su et al., equation 15, as a matrix."""
    R = torch.zeros(d_k, d_k)
    for m in range(d_k // 2):
        angle = position * 100.0 ** (-2 * m / d_k)
        R[2 * m, 2 * m] = R[2 * m + 1, 2 * m + 1] = math.cos(angle)
        R[2 * m, 2 * m + 1], R[2 * m + 1, 2 * m] = -math.sin(angle), math.sin(angle)
    return R @ x


def score(kind: str, made: Any, q: Tensor, k: Tensor, i: int, j: int, head: int) -> Tensor:
    match kind:
        case "rotary":
            return turned(q, i) @ turned(k, j)
        case "shaw":
            return q @ (k + made.w_K[max(-2, min(2, j - i)) + 2])
        case "transformer_xl":
            W_kR = made.W_kR.weight[head * d_k : (head + 1) * d_k]
            return (q + made.u[head, 0]) @ k + (q + made.v[head, 0]) @ (W_kR @ code(i - j, D))
        case _:
            return q @ k


def written_out(kind: str, made: Any, x: Tensor, allowed: Tensor) -> Tensor:
    """One sentence (T, D) by two loops, over the queries and over the keys that `allowed` (T, T) lets them see."""
    W = made.W_qkv.weight @ x.T + made.W_qkv.bias[:, None]  # (D + 2 · G · d_k, T)
    G = made.key_value_heads
    contexts = []
    for i in range(len(x)):
        heads = []
        for head in range(H):
            group = head * G // H
            q = W[head * d_k : (head + 1) * d_k, i]
            k = W[D + group * d_k : D + (group + 1) * d_k]
            v = W[D + (G + group) * d_k : D + (G + group + 1) * d_k]
            seen = [j for j in range(len(x)) if allowed[i, j]]
            e = torch.stack([score(kind, made, q, k[:, j], i, j, head) / math.sqrt(d_k) for j in seen])
            alpha = e.exp() / e.exp().sum()
            z = torch.zeros(d_k)
            for n, j in enumerate(seen):
                a_V = made.w_V[max(-2, min(2, j - i)) + 2] if kind == "shaw" else 0
                z = z + alpha[n] * (v[:, j] + a_V)
            heads.append(z)
        contexts.append(made.W_o.weight @ torch.cat(heads) + made.W_o.bias)
    return torch.stack(contexts)


@pytest.mark.parametrize("seen", ["all", "past", "real"])
@pytest.mark.parametrize("key_value_heads", [H, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_self_attention_equals_a_loop_over_i_and_j(kind: str, key_value_heads: int, seen: str) -> None:
    made = attention(kind, key_value_heads)
    x, views = x_and_views()
    allowed = views[seen].allowed().expand(2, 1, 5, 5)[:, 0]
    expected = torch.stack([written_out(kind, made, sentence, mask) for sentence, mask in zip(x, allowed, strict=True)])
    parts = made.at(x, views[seen].i)
    torch.testing.assert_close(made.look(*parts, views[seen]), expected, **EXACT)
    with record_attention(made) as maps:
        torch.testing.assert_close(made.look(*parts, views[seen]), expected, **EXACT)
    torch.testing.assert_close(maps[""][0].sum(-1), torch.ones(2, H, 5), **EXACT)


@pytest.mark.parametrize("kind", KINDS)
def test_one_query_at_a_time_equals_all_at_once(kind: str) -> None:
    made = attention(kind, 1)
    x, views = x_and_views()
    q, k, v = made.at(x, views["past"].i)
    rows = []
    for t in range(5):
        j = torch.arange(t + 1)
        now, key, value = made.at(x[:, t : t + 1], j[-1:])
        torch.testing.assert_close([key, value], [k[:, :, t : t + 1], v[:, :, t : t + 1]], **EXACT)
        rows.append(made.look(now, k[:, :, : t + 1], v[:, :, : t + 1], View(j[-1:], j, None)))
    torch.testing.assert_close(torch.cat(rows, 1), made.look(q, k, v, views["past"]), **EXACT)


@pytest.mark.parametrize("seen", ["past", "real"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind: str, seen: str) -> None:
    made = attention(kind, 1)
    x, views = x_and_views()
    names, values = zip(*made.named_parameters(), strict=True)

    whole = _Whole(made, views[seen])

    def look(x: Tensor, *values: Tensor) -> Any:
        return torch.func.functional_call(whole, {f"made.{n}": v for n, v in zip(names, values, strict=True)}, x)

    assert torch.autograd.gradcheck(look, (x.requires_grad_(), *values), fast_mode=True)


class _Whole(nn.Module):
    def __init__(self, made: SelfAttention, view: View) -> None:
        super().__init__()
        self.made, self.view = made, view

    def forward(self, x: Tensor) -> Tensor:
        return self.made.look(*self.made.at(x, self.view.i), self.view)


@pytest.mark.parametrize("kind", KINDS)
def test_only_absolute_positions_change_when_all_pieces_move_by_the_same_distance(kind: str) -> None:
    torch.manual_seed(3)
    positions = KINDS[kind](D, H)
    made = attention(kind)
    x, _ = x_and_views()
    found = []
    for start in (0, 3):
        i = torch.arange(start, start + 5)
        found.append(made.look(*made.at(positions(x, i), i), View(i, i, None)))
    assert torch.allclose(*found, **EXACT) == (kind in RELATIVE)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_knows_the_order_of_what_came_before(kind: str) -> None:
    positions, made = KINDS[kind](D, H), attention(kind)
    x, views = x_and_views()
    swapped = x[:, [0, 1, 3, 2, 4]]
    last = [made.look(*made.at(positions(y, views["all"].i), views["all"].i), views["all"])[:, -1] for y in (x, swapped)]
    assert (last[0] - last[1]).abs().max() > 1e-3


def test_sinusoids_follow_the_formula() -> None:
    codes = sinusoids(torch.tensor([[0, 1], [5, 300]]), 14)
    assert codes.shape == (2, 2, 14)
    for (row, column), position in zip(itertools.product(range(2), range(2)), [0, 1, 5, 300], strict=True):
        torch.testing.assert_close(codes[row, column], code(position, 14), **EXACT)


def test_absolute_positions_are_added_to_the_embeddings_and_relative_ones_are_not() -> None:
    x = torch.randn(2, 5, D)
    i = torch.tensor([[0, 1, 2, 3, 4], [4, 3, 8, 1, 0]])
    learned = Learned(D, H, length=9)
    torch.testing.assert_close(learned(x, i), torch.stack([x[b] + learned.P.weight[i[b]] for b in range(2)]), **EXACT)
    torch.testing.assert_close(Sinusoidal(D, H)(x, i)[1, 2], x[1, 2] + code(8, D), **EXACT)
    for kind in RELATIVE:
        assert KINDS[kind](D, H)(x, i) is x


@pytest.mark.parametrize("kind", ["shaw", "transformer_xl"])
def test_layers_of_relative_positions_have_parameters_of_their_own(kind: str) -> None:
    positions = KINDS[kind](D, H)
    first, second = positions.self_attention(None), positions.self_attention(None)
    assert list(positions.parameters()) == []
    assert not {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}


def transformer(positions: Callable[[int, int], Positions]) -> Transformer:
    kinds = {"positions": positions, "pattern": Full, "feedforward": ReLU, "normalization": "layer", "key_value_heads": None}
    sizes = {"dim": D, "heads": H, "feedforward_dim": 10, "encoder_layers": 1, "decoder_layers": 1, "dropout": 0.0}
    return Transformer(Vocabulary(13, 13, joint=True), norm="pre", tied="all", **sizes, **kinds)


def test_source_and_target_have_learned_positions_of_their_own() -> None:
    model = transformer(KINDS["learned"])
    assert model.encoder.positions.P.weight is not model.positions.P.weight
    assert (model.longest_source(), model.longest_target()) == (Limit("model.positions.length", 9),) * 2
    other = transformer(KINDS["rotary"])
    assert (other.longest_source(), other.longest_target()) == (None, None)


def test_a_sequence_longer_than_the_learned_positions_is_an_error_that_says_what_to_set() -> None:
    model = transformer(KINDS["learned"])
    long, short = torch.full((1, 10), 5), torch.full((1, 9), 5)
    real = torch.ones(1, 10, dtype=torch.bool)
    message = r"model\.positions\.length \(9\) is less than the 10 pieces of a sequence: set a larger model\.positions\.length"
    model(short, short, real[:, :9])
    with pytest.raises(ValueError, match=message):
        model.encode(long, real)
    with pytest.raises(ValueError, match=message):
        model(short, long, real[:, :9])
    memory = model.encode(short, real[:, :9])
    state = model.start(memory)
    for _ in range(9):
        _, state = model.step(torch.tensor([[5]]), state, memory)
    with pytest.raises(ValueError, match=message):
        model.step(torch.tensor([[5]]), state, memory)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sinusoidal(9, 3), r"model\.dim \(9\) must be even"),
        (lambda: TransformerXL(9, 3), r"model\.dim \(9\) must be even"),
        (lambda: Learned(D, H, length=0), r"model\.positions\.length must be at least 1, but is 0"),
        (lambda: Shaw(D, H, max_distance=0), r"model\.positions\.max_distance must be at least 1, but is 0"),
        (lambda: Rotary(D, 4, base=100.0), r"model\.dim / model\.heads \(12 / 4 = 3\) must be even"),
        (lambda: Rotary(D, H, base=1.0), r"model\.positions\.base must be more than 1, but is 1"),
    ],
)
def test_impossible_positions_are_named_with_their_values(make: Callable[[], Positions], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
