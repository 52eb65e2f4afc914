"""Scores against their equations, looped over queries and positions."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from nmt.models.scores import Additive, AdditiveHeads, Concat, Dot, DotHeads, General, HeadScore, Location, Score

EXACT = {"rtol": 0.0, "atol": 1e-9}
SCORES = {
    "additive": lambda: Additive(6, 4, dim=3),
    "concat": lambda: Concat(6, 4, dim=3),
    "dot": lambda: Dot(6, 6),
    "general": lambda: General(6, 4),
    "location": lambda: Location(6, 4, length=9),
    "dot heads": lambda: DotHeads(6, 4, 3, dim=12),
    "additive heads": lambda: AdditiveHeads(6, 4, 3, dim=12),
}
pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture(params=SCORES)
def score(request: pytest.FixtureRequest, written_out: SimpleNamespace) -> Score | HeadScore:
    return written_out.random(SCORES[request.param]())


def queries_and_states(score: Score | HeadScore) -> tuple[Tensor, Tensor]:
    width = 6 if isinstance(score, Dot) else 4
    return torch.randn(2, 5, 6, requires_grad=True), torch.randn(2, 7, width, requires_grad=True)


def test_every_score_equals_its_equation(written_out: SimpleNamespace, score: Score | HeadScore) -> None:
    query, states = queries_and_states(score)
    found = score(query, score.keys(states))
    expected = torch.empty_like(found)
    for b, i, j in torch.cartesian_prod(*map(torch.arange, (2, 5, 7))).tolist():
        if isinstance(score, HeadScore):
            for head in range(3):
                expected[b, head, i, j] = written_out.head_energy(score, head, query[b, i], states[b, j])
        else:
            expected[b, i, j] = written_out.energy(score, query[b, i], list(states[b]), j)
    assert found.shape == ((2, 3, 5, 7) if isinstance(score, HeadScore) else (2, 5, 7))
    torch.testing.assert_close(found, expected, **EXACT)


def test_the_gradient_of_every_score_equals_finite_differences(score: Score | HeadScore) -> None:
    query, states = (x[:, :3].detach().requires_grad_() for x in queries_and_states(score))
    inputs = (query, states, *score.parameters())
    if isinstance(score, Location):
        inputs = (query, *score.parameters())  # encoder states do not matter
    assert torch.autograd.gradcheck(lambda *_: score(query, score.keys(states)), inputs)


def test_the_location_score_looks_at_no_state(written_out: SimpleNamespace) -> None:
    score = written_out.random(Location(6, 4, length=9))
    query, states = queries_and_states(score)
    assert torch.equal(score(query, score.keys(states)), score(query, score.keys(-states)))
    torch.testing.assert_close(score(query, score.keys(states[:, :3])), score(query, score.keys(states))[..., :3], **EXACT)


def test_concat_and_additive_are_the_same_function(written_out: SimpleNamespace) -> None:
    concat, additive = written_out.random(Concat(6, 4, dim=3)), Additive(6, 4, dim=3)
    names = {"W_h.weight": "W_a.weight", "W_s.weight": "U_a.weight", "v_a": "v_a"}
    additive.load_state_dict({names[name]: x for name, x in concat.state_dict().items()})
    query, states = queries_and_states(concat)
    torch.testing.assert_close(concat(query, concat.keys(states)), additive(query, additive.keys(states)), **EXACT)


@pytest.mark.parametrize(
    "make", [Additive, Concat, lambda q, k, dim: DotHeads(q, k, 2, dim=dim), lambda q, k, dim: AdditiveHeads(q, k, 2, dim=dim)]
)
def test_the_width_of_the_comparison_is_that_of_the_decoder_unless_it_is_given(make: Callable[..., Score]) -> None:
    for dim, width in ((None, 10), (4, 4)):
        score = make(10, 7, dim=dim)
        keys = score.keys(torch.randn(1, 3, 7))
        assert keys.numel() == 3 * width


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(Additive, 6, 4, dim=0), r"model\.attention\.score\.dim must be at least 1, or null .*, but is 0"),
        (partial(Concat, 6, 4, dim=-1), r"model\.attention\.score\.dim must be at least 1, or null .*, but is -1"),
        (partial(DotHeads, 6, 4, 2, dim=0), r"model\.attention\.score\.dim must be at least 1, or null .*, but is 0"),
        (partial(DotHeads, 6, 4, 4, dim=None), r"model\.attention\.heads \(4\) must divide the width of the comparison \(6\)"),
        (partial(AdditiveHeads, 6, 4, 2, dim=5), r"model\.attention\.heads \(2\) must divide .* \(5\)"),
        (
            partial(Dot, 10, 7),
            r"encoder states \(7\) as wide as the decoder's \(10\): set model\.encoder\.hidden_dim=null, or take the general",
        ),
        (partial(Location, 6, 4, length=0), r"model\.attention\.score\.length must be at least 1, but is 0"),
        (
            lambda: Location(6, 4, length=5).keys(torch.randn(2, 7, 4)),
            r"a source has 7 pieces, but .* a table of model\.attention\.score\.length=5",
        ),
    ],
)
def test_what_a_score_cannot_be_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
