"""Attention of recurrent decoders against the papers' formulas, looped over target and source positions."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.models.attention import (
    Attention,
    Global,
    Listener,
    LocalMonotonic,
    LocalPredictive,
    MultiHeadAttention,
    listening,
)
from nmt.models.scores import Additive, AdditiveHeads, Concat, Dot, DotHeads, General, Location

EXACT = {"rtol": 0.0, "atol": 1e-9}
LENGTHS = torch.tensor([7, 3, 1])  # the window of D = 2 has five positions
MASK = torch.arange(7) < LENGTHS.unsqueeze(1)
SCORES: dict[str, Any] = {
    "dot": Dot,
    "general": General,
    "additive": partial(Additive, dim=5),
    "concat": partial(Concat, dim=5),
    "location": partial(Location, length=8),
}
GLOBAL = {f"global {name}": partial(Global, score=score) for name, score in SCORES.items()}
LOCAL_M = {f"local-m {name}": partial(LocalMonotonic, score=score, D=2) for name, score in SCORES.items()}
LOCAL_P = {f"local-p {name}": partial(LocalPredictive, score=score, D=2) for name, score in SCORES.items()}
HEADS = {
    "dot heads": partial(MultiHeadAttention, score=partial(DotHeads, dim=9), heads=3),
    "additive heads": partial(MultiHeadAttention, score=partial(AdditiveHeads, dim=9), heads=3),
}
pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture(params=(GLOBAL | LOCAL_M | LOCAL_P | HEADS).items(), ids=lambda item: item[0])
def attention(request: pytest.FixtureRequest, written_out: SimpleNamespace) -> Attention:
    return written_out.random(request.param[1](6, 6))


def heard(attention: Attention, query: Tensor, states: Tensor, position: Tensor, mask: Tensor = MASK) -> tuple[Tensor, Tensor]:
    """The contexts (B, K, D), and the weights that a listener receives."""
    weights: list[tuple[nn.Module, Tensor]] = []
    with listening(Listener(lambda owner, found, _: weights.append((owner, found)))):
        contexts = attention(query, attention.memory(states, mask), position)
    assert [owner for owner, _ in weights] == [attention]
    return contexts, weights[0][1]


def test_weights_and_contexts_equal_the_papers_formulas(written_out: SimpleNamespace, attention: Attention) -> None:
    query, states = torch.randn(3, 9, 6, requires_grad=True), torch.randn(3, 7, 6, requires_grad=True)
    contexts, weights = heard(attention, query, states, torch.arange(1, 10))
    expected = []
    for b, length in enumerate(LENGTHS.tolist()):
        for k in range(9):  # targets longer than any source
            a, c = written_out.attend(attention, query[b, k], list(states[b, :length]), k + 1)
            torch.testing.assert_close(weights[b, ..., k, :length], a, **EXACT)
            assert not weights[b, ..., k, length:].any()
            expected.append(c)
    written_out.agree([contexts.flatten(0, 1)], [torch.stack(expected)], [query, states, *attention.parameters()])


def test_nobody_listening_changes_nothing(attention: Attention) -> None:
    query, states = torch.randn(3, 4, 6), torch.randn(3, 7, 6)
    contexts = attention(query, attention.memory(states, MASK), torch.arange(1, 5))
    assert torch.equal(contexts, heard(attention, query, states, torch.arange(1, 5))[0])


def test_hypotheses_may_be_at_different_positions(attention: Attention) -> None:
    query, states = torch.randn(3, 4, 6), torch.randn(3, 7, 6)
    memory = attention.memory(states, MASK)
    positions = torch.tensor([[1, 5, 3, 9], [2, 1, 4, 3], [8, 1, 7, 2]])  # (B, K)
    found = attention(query, memory, positions)
    for k in range(4):
        for b in range(3):
            one = attention(query[:, k : k + 1], memory, positions[b, k : k + 1])[b, 0]
            torch.testing.assert_close(found[b, k], one, **EXACT)


def test_gradients_equal_finite_differences(attention: Attention) -> None:
    query, states = torch.randn(2, 3, 6, requires_grad=True), torch.randn(2, 5, 6, requires_grad=True)
    mask, factors = torch.arange(5) < torch.tensor([[5], [2]]), torch.randn(2, 3, 6)

    def loss(*_: Tensor) -> Tensor:
        contexts: Tensor = attention(query, attention.memory(states, mask), torch.arange(1, 4))
        return (contexts * factors).sum()

    assert torch.autograd.gradcheck(loss, (query, states, *attention.parameters()))


@pytest.mark.parametrize("make", LOCAL_P.values(), ids=LOCAL_P)
def test_the_predicted_position_learns_through_the_gaussian(written_out: SimpleNamespace, make: Callable[..., Any]) -> None:
    attention = written_out.random(make(6, 6))
    query, states = torch.randn(1, 1, 6), torch.randn(1, 7, 6)
    mask = torch.ones(1, 7, dtype=torch.bool)
    attention(query, attention.memory(states, mask), torch.tensor([1])).sum().backward()
    assert attention.v_p.grad.abs().min() > 1e-6
    assert attention.W_p.weight.grad.abs().min() > 1e-6


def test_the_gaussian_stands_at_the_predicted_position_and_takes_weight_away() -> None:
    attention = LocalPredictive(6, 6, score=General, D=2)
    nn.init.zeros_(attention.v_p)  # p = S / 2
    nn.init.zeros_(attention.score.W_a.weight)  # every position as good as the other
    _, weights = heard(attention, torch.randn(3, 1, 6), torch.randn(3, 7, 6), torch.tensor([1]))
    gaussian = torch.tensor([-1.5, -0.5, 0.5, 1.5]).square().div(-2).exp()  # p = 3.5, σ = 1, window 1.5 … 5.5
    torch.testing.assert_close(weights[0, 0], torch.cat([torch.zeros(1), gaussian / 4, torch.zeros(2)]), **EXACT)
    assert weights[0, 0].sum() < 0.61


@pytest.mark.parametrize(("t", "window"), [(1, [1, 2, 3]), (4, [2, 3, 4, 5, 6]), (6, [4, 5, 6, 7]), (20, [5, 6, 7])])
def test_a_monotonic_window_moves_with_the_target_until_the_end_of_the_source(t: int, window: list[int]) -> None:
    attention = LocalMonotonic(6, 6, score=General, D=2)
    _, weights = heard(attention, torch.randn(3, 1, 6), torch.randn(3, 7, 6), torch.tensor([t]))
    assert (weights[0, 0].nonzero().flatten() + 1).tolist() == window
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 1), **EXACT)


@pytest.mark.parametrize(
    "make", [GLOBAL["global general"], LOCAL_M["local-m concat"], LOCAL_P["local-p additive"], *HEADS.values()]
)
def test_what_depends_on_the_source_alone_is_computed_once(make: Callable[..., Attention]) -> None:
    attention, called = make(6, 6), []
    for module in attention.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda module, *_: called.append(module))
    memory = attention.memory(torch.randn(3, 7, 6), MASK)
    of_source = list(called)
    for t in (1, 2, 3):
        attention(torch.randn(3, 1, 6), memory, torch.tensor([t]))
    assert of_source
    assert all(called.count(module) == 1 for module in of_source)


def test_local_attention_names_its_window() -> None:
    assert LocalMonotonic(6, 4, score=General, D=2).window == 5
    assert LocalPredictive(6, 4, score=General, D=3).window == 7
    assert Global(6, 4, score=General).window is None


def test_under_bf16_autocast_a_predicted_position_in_a_long_source_stays_close_to_float32(written_out: SimpleNamespace) -> None:
    torch.set_default_dtype(torch.float32)  # the fixture puts it back
    attention = written_out.random(LocalPredictive(6, 6, score=General, D=10))
    query, states, mask = torch.randn(8, 5, 6), torch.randn(8, 400, 6), torch.ones(8, 400, dtype=torch.bool)
    with torch.no_grad():
        expected, _ = heard(attention, query, states, torch.arange(1, 6), mask)
        with torch.autocast("cpu", torch.bfloat16):
            found, _ = heard(attention, query, states, torch.arange(1, 6), mask)
    assert (found.float() - expected).norm() < 0.05 * expected.norm()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(LocalMonotonic, score=General, D=0), r"model\.attention\.D, half the window, must be at least 1, but is 0"),
        (partial(LocalPredictive, score=General, D=-3), r"model\.attention\.D, half the window, must be at least 1, but is -3"),
        (partial(Global, score=partial(DotHeads, dim=8)), r"this attention has one head: .* model/attention=multihead_dot or"),
        (partial(LocalMonotonic, score=partial(DotHeads, dim=8), D=2), r"this attention has one head"),
        (
            partial(MultiHeadAttention, score=partial(Additive, dim=8), heads=3),
            r"multi-head attention needs model/attention/score=dot_heads or additive_heads",
        ),
        (partial(MultiHeadAttention, score=partial(DotHeads, dim=8), heads=4), r"attention\.heads \(4\) must divide .* \(6\)"),
        (partial(MultiHeadAttention, score=partial(DotHeads, dim=8), heads=0), r"attention\.heads \(0\) must divide .* \(6\)"),
    ],
)
def test_what_attention_cannot_be_is_named(make: Callable[..., Attention], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(10, 6)
