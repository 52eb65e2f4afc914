"""Dropout against its definition: how many elements fall, what the others become, and what decides which."""

import pytest
import torch

from nmt.models.dropout import LEVELS, Dropout, dropout


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.75])
def test_a_share_falls_and_the_others_keep_the_mean(probability: float) -> None:
    torch.manual_seed(1)
    y = dropout(torch.ones(1001, 999), probability, True)
    assert (y == 0).float().mean().item() == pytest.approx(probability, abs=3e-3)
    assert y.mean().item() == pytest.approx(1, abs=5e-3)
    assert y.unique().numel() == 2
    assert y.max().item() == pytest.approx(1 / (1 - round(probability * LEVELS) / LEVELS), rel=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 13])
def test_any_number_of_elements_has_bits(size: int) -> None:
    torch.manual_seed(1)
    values = torch.stack([dropout(torch.ones(size), 0.5, True) for _ in range(400)])
    assert values.shape == (400, size)
    shares = (values == 0).float().mean(0)
    assert ((shares - 0.5).abs() < 0.12).all()


def test_neighbours_that_share_a_draw_fall_independently() -> None:
    torch.manual_seed(1)
    fallen = (dropout(torch.ones(100_000, 4), 0.5, True) == 0).float()
    correlations = torch.corrcoef(fallen.t()) - torch.eye(4)
    assert correlations.abs().max() < 0.02


def test_the_gradient_falls_with_its_element() -> None:
    torch.manual_seed(1)
    x = torch.randn(7, 12, requires_grad=True)
    y = dropout(x, 0.4, True)
    y.sum().backward()
    torch.testing.assert_close(x.grad * x, y)


def test_nothing_falls_in_evaluation_or_at_probability_0() -> None:
    x = torch.randn(3, 5)
    state = torch.get_rng_state()
    assert dropout(x, 0.5, False) is x
    assert dropout(x, 0.0, True) is x
    assert Dropout(0.5).eval()(x) is x
    assert torch.equal(torch.get_rng_state(), state)


def test_the_seed_decides() -> None:
    x, results = torch.ones(50), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(Dropout(0.5)(x))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_the_kind_of_number_stays() -> None:
    assert dropout(torch.ones(5, dtype=torch.bfloat16), 0.5, True).dtype == torch.bfloat16
    assert dropout(torch.ones(5, dtype=torch.float64), 0.5, True).dtype == torch.float64
