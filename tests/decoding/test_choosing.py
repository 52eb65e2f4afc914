"""The best candidates against sorting everything, and random ones against the distribution they are drawn from."""

import pytest
import torch
from torch import Tensor

from nmt.decoding.choosing import CHUNK, Sample, best, uniforms_of


def sorted_out(log_probs: Tensor, totals: Tensor, count: int) -> list[list[tuple[float, int, int]]]:
    """The best (total, parent, piece) of each sentence by comparing them all."""
    B, K, V = log_probs.shape
    everything = [
        sorted((-float(log_probs[b, k, v] + totals[b, k]), k, v) for k in range(K) for v in range(V)) for b in range(B)
    ]
    return [[(-score, k, v) for score, k, v in row[:count]] for row in everything]


@pytest.mark.parametrize("vocabulary", [3, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 200])
@pytest.mark.parametrize("values", [5, 10_000], ids=["many ties", "few ties"])
def test_the_best_candidates_are_those_that_sorting_finds(vocabulary: int, values: int) -> None:
    random = torch.Generator().manual_seed(vocabulary)
    log_probs = -torch.randint(values, (4, 3, vocabulary), generator=random).float()
    log_probs[1, :, 1:] = -torch.inf  # as where one piece is forced
    totals = -torch.randint(3, (4, 3), generator=random).float()
    found = best(log_probs, totals, 7)
    for row, expected in enumerate(sorted_out(log_probs, totals, 7)):
        got = list(zip(*(x[row].tolist() for x in found), strict=True))
        allowed = [candidate for candidate in expected if candidate[0] > -torch.inf]
        assert got[: len(allowed)] == allowed
        assert all(score == -torch.inf for score, _, _ in got[len(allowed) :])
        assert len(got) == min(7, 3 * vocabulary)


def drawn(log_probs: Tensor, samples: int, **options: float) -> Tensor:
    """Pieces drawn for one sentence with one hypothesis, given log p (V,)."""
    uniforms = uniforms_of([[5, 6]], seed=3, samples=samples, steps=1)
    chooser = Sample(uniforms, **options)  # type: ignore[arg-type]
    found = chooser.choose(log_probs.view(1, 1, -1), torch.zeros(1, 1), 1)
    assert torch.equal(found.totals, log_probs[found.ids])
    return found.ids[0]


P = torch.tensor([0.0, 0.4, 0.05, 0.25, 0.1, 0.2])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, P),
        ({"temperature": 0.5}, P**2 / (P**2).sum()),
        ({"temperature": 2.0}, P**0.5 / (P**0.5).sum()),
        ({"top_k": 2}, torch.tensor([0, 0.4, 0, 0.25, 0, 0]) / 0.65),
        ({"top_p": 0.6}, torch.tensor([0, 0.4, 0, 0.25, 0, 0]) / 0.65),
        ({"top_p": 0.7}, torch.tensor([0, 0.4, 0, 0.25, 0, 0.2]) / 0.85),
        ({"top_p": 0.7, "top_k": 1}, torch.tensor([0, 1.0, 0, 0, 0, 0])),
    ],
    ids=str,
)
def test_samples_have_the_frequencies_of_the_distribution(options: dict[str, float], expected: Tensor) -> None:
    count = 4000
    frequencies = drawn(P.log(), count, **options).bincount(minlength=6) / count
    deviations = (expected * (1 - expected) / count).sqrt()
    assert ((frequencies - expected).abs() <= 4 * deviations).all()


def test_random_numbers_depend_on_seed_sentence_sample_and_step_alone() -> None:
    few = uniforms_of([[5], [6, 7]], seed=1, samples=2, steps=4)
    many = uniforms_of([[6, 7], [8], [5]], seed=1, samples=3, steps=9)
    assert torch.equal(few[0], many[2, :2, :4])
    assert torch.equal(few[1], many[0, :2, :4])
    assert len(set(many.flatten().tolist())) == many.numel()
    assert not torch.equal(few, uniforms_of([[5], [6, 7]], seed=2, samples=2, steps=4))
    assert few.min() >= 0
    assert few.max() < 1
