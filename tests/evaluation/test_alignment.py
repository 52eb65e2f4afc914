"""Alignment error rate, intervals, and what two directions make together."""

import itertools
import random

import pytest

from nmt.data.links import Gold, Link
from nmt.evaluation.alignment import (
    SYMMETRIZATIONS,
    error_rate,
    grow_diag,
    grow_diag_final,
    grow_diag_final_and,
    score_alignment,
)


def gold(sure: set[Link], possible: set[Link] = frozenset()) -> Gold:  # type: ignore[assignment]
    return Gold(frozenset(sure), frozenset(sure | possible))


def test_the_error_rate_of_an_example_worked_out_by_hand() -> None:
    # A = 4, S = 3, |A ∩ S| = 2, |A ∩ P| = 3
    found = score_alignment([{(0, 0), (1, 1), (2, 3), (4, 4)}], [gold({(0, 0), (1, 1), (2, 2)}, {(2, 3)})])
    assert found.error_rate == pytest.approx(1 - 5 / 7)
    assert found.precision == pytest.approx(3 / 4)
    assert found.recall == pytest.approx(2 / 3)


def test_with_sure_links_alone_it_is_one_minus_f() -> None:
    draw = random.Random(1)
    places = list(itertools.product(range(5), range(6)))
    found = [set(draw.sample(places, 7)) for _ in range(20)]
    golden = [gold(set(draw.sample(places, 5))) for _ in range(20)]
    score = score_alignment(found, golden)
    f = 2 * score.precision * score.recall / (score.precision + score.recall)
    assert score.error_rate == pytest.approx(1 - f)
    assert score.interval[0] < score.error_rate < score.interval[1]


def test_nothing_found_and_nothing_to_find() -> None:
    assert score_alignment([set()], [gold({(0, 0)})]).error_rate == 1.0
    assert score_alignment([set()], [gold(set())]).error_rate == 0.0
    assert error_rate([(1, 1, 1, 1)]) == 0.0


def test_the_intersection_grows_along_neighbours_only() -> None:
    forward, backward = {(0, 0), (1, 1), (5, 5)}, {(0, 0), (0, 1), (2, 2)}
    # (1, 1) and (0, 1) neighbour (0, 0); then (2, 2) neighbours (1, 1); (5, 5) is far from all
    assert grow_diag(forward, backward) == {(0, 0), (0, 1), (1, 1), (2, 2)}
    assert grow_diag_final(forward, backward) == {(0, 0), (0, 1), (1, 1), (2, 2), (5, 5)}


def test_final_takes_a_link_with_one_free_word_and_final_and_only_with_two() -> None:
    forward, backward = {(0, 0), (0, 4), (6, 6)}, {(0, 0)}
    assert grow_diag(forward, backward) == {(0, 0)}
    assert grow_diag_final(forward, backward) == {(0, 0), (0, 4), (6, 6)}
    assert grow_diag_final_and(forward, backward) == {(0, 0), (6, 6)}


def test_every_symmetrization_lies_between_intersection_and_union() -> None:
    draw = random.Random(2)
    places = list(itertools.product(range(4), range(5)))
    for _ in range(50):
        forward, backward = set(draw.sample(places, 5)), set(draw.sample(places, 5))
        joined = {name: method(forward, backward) for name, method in SYMMETRIZATIONS.items()}
        assert joined["intersection"] == forward & backward
        assert joined["union"] == forward | backward
        for name in ("grow-diag-final-and", "grow-diag-final"):
            assert joined["intersection"] <= joined["grow-diag"] <= joined[name] <= joined["union"]
        assert joined["grow-diag"] == grown_slowly(forward, backward)


def grown_slowly(forward: set[Link], backward: set[Link]) -> set[Link]:
    """Koehn's loops, over all places of a grid."""
    linked = forward & backward
    while True:
        before = set(linked)
        for i in range(4):
            for j in range(5):
                if (i, j) not in linked:
                    continue
                for di, dj in [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]:
                    new = (i + di, j + dj)
                    free = all(a != new[0] for a, _ in linked) or all(b != new[1] for _, b in linked)
                    if free and new in forward | backward:
                        linked.add(new)
        if linked == before:
            return linked
