"""From attention to links."""

import math

import pytest
import torch

from nmt.errors import UserError
from nmt.explain.alignment import AlignmentRule, links_of, of_words
from nmt.explain.entropy import entropies, entropy
from nmt.explain.maps import Maps
from nmt.explain.units import merged


def test_a_word_looks_as_the_mean_of_its_pieces_and_is_looked_at_as_their_sum() -> None:
    weights = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.5, 0.1, 0.1, 0.3], [0.2, 0.2, 0.2, 0.4]])
    found = merged(weights, [0, 1, 1], [0, 0, 1, 2], (2, 3))
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.3, 0.4], [0.5, 0.15, 0.35]]))
    torch.testing.assert_close(found.sum(1), torch.ones(2))


def test_a_word_without_pieces_has_nothing() -> None:
    found = of_words(torch.tensor([[0.7, 0.1, 0.2]]), [0, 2], [1], (3, 2))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.7, 0.0, 0.1, 0.2]]))
    assert links_of(found) == [(0, 1)]


def test_no_link_where_most_goes_to_the_end_or_the_weight_is_small() -> None:
    weights = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6], [0.3, 0.4, 0.3], [0.0, 0.0, 0.0]])
    assert links_of(weights) == [(0, 0), (1, 2)]
    assert links_of(weights, threshold=0.5) == [(0, 0)]
    assert links_of(weights, end=False) == [(0, 0), (1, 1), (1, 2)]


def test_the_shift_takes_the_step_that_has_read_the_word() -> None:
    layers = [torch.arange(24.0).view(2, 4, 3), 100 + torch.arange(24.0).view(2, 4, 3)]
    rule = AlignmentRule(layer=2, head=1, shift=False, threshold=0.0)
    assert rule.weights(layers).equal(layers[1][0, :3])
    shifted = AlignmentRule(layer=None, head=None, shift=True, threshold=0.0)
    torch.testing.assert_close(shifted.weights(layers), torch.stack(layers).mean((0, 1))[1:])


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (AlignmentRule(3, None, False, 0.0), r"layer=3 is not there: this model has 2 layers, from 1"),
        (AlignmentRule(0, None, False, 0.0), r"layer=0 is not there"),
        (AlignmentRule(1, 5, False, 0.0), r"head=5 is not there: this layer has 4 heads, from 1"),
        (AlignmentRule(1, None, False, 1.5), r"threshold must be from 0 to 1, but is 1\.5"),
    ],
)
def test_a_layer_head_or_threshold_that_is_not_there_is_refused(rule: AlignmentRule, message: str) -> None:
    with pytest.raises(UserError, match=message):
        rule.check([torch.zeros(4, 3, 3), torch.zeros(4, 3, 3)])


def test_entropy_is_none_for_one_place_and_the_logarithm_for_all_alike() -> None:
    found = entropy(torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.25] * 4, [0.5, 0.5, 0.0, 0.0], [0.1, 0.1, 0.0, 0.0]]))
    torch.testing.assert_close(found, torch.tensor([0.0, math.log(4), math.log(2), math.log(2)]), rtol=0, atol=1e-6)


def test_entropies_are_means_over_the_rows_of_all_pairs() -> None:
    one, even = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.5, 0.5]] * 3]).view(1, 3, 2)
    found = entropies([Maps([], [], [torch.cat([one, one])], []), Maps([], [], [torch.cat([even, even])], [])])
    assert found == {f"attention_entropy/cross_layer_1_head_{h}": pytest.approx(0.75 * math.log(2), abs=1e-6) for h in (1, 2)}
