"""Deletion and insertion, against sources cut by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.explain.faithfulness import area, curves, interval
from nmt.explain.maps import Pair
from nmt.models.seq2seq import Seq2Seq

Build = Callable[[dict[str, Any]], Seq2Seq]
Spec = Callable[..., dict[str, Any]]
CPU = torch.device("cpu")


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ["bahdanau", "luong", "encdec", "transformer", "decoder_only"])
def test_a_step_is_the_probability_given_the_sentence_without_the_most_relevant_pieces(
    name: str, small_spec: Spec, built: Build
) -> None:
    model = built(small_spec(f"model={name}"))
    src, tgt = [4, 5, 6, 7, 8], [9, 10]
    relevance = torch.tensor([[0.1, 0.5, 0.2, 0.0, -0.3, 9.0], [0.0, 0.1, 0.9, 0.3, 0.2, 9.0], [1.0, 0.0, 0.0, 0.0, 0.5, 9.0]])
    found = curves(model, Pair.of(src, tgt, CPU), relevance, steps=5)
    orders = [[1, 2, 0, 3, 4], [2, 3, 4, 1, 0], [0, 4, 1, 2, 3]]
    for t, order in enumerate(orders):
        for k in range(6):
            without = [piece for n, piece in enumerate(src) if n not in order[:k]]
            alone = [piece for n, piece in enumerate(src) if n in order[:k]]
            torch.testing.assert_close(found.deletion[t, k], probability(model, without, tgt, t), rtol=0, atol=1e-9)
            torch.testing.assert_close(found.insertion[t, k], probability(model, alone, tgt, t), rtol=0, atol=1e-9)


def probability(model: Seq2Seq, src: list[int], tgt: list[int], t: int) -> Tensor:
    pair = Pair.of(src, tgt, CPU)
    with torch.no_grad():
        return model.project(model(pair.src, pair.tgt_in, pair.src_mask))[0, t].softmax(0)[pair.tgt_out[t]]


def test_fewer_steps_take_several_pieces_at_once(small_spec: Spec, built: Build) -> None:
    model, pair = built(small_spec("model=luong")), Pair.of([4, 5, 6, 7], [9], CPU)
    relevance = torch.rand(2, 5, generator=torch.Generator().manual_seed(1))
    every, second = (curves(model, pair, relevance, steps=steps) for steps in (4, 2))
    torch.testing.assert_close(second.deletion, every.deletion[:, ::2])
    torch.testing.assert_close(second.insertion, every.insertion[:, ::2])


def test_deletion_begins_where_insertion_ends(small_spec: Spec, built: Build) -> None:
    model, pair = built(small_spec("model=transformer")), Pair.of([4, 5, 6], [9, 10], CPU)
    found = curves(model, pair, torch.rand(3, 4), steps=3)
    torch.testing.assert_close(found.deletion[:, 0], found.insertion[:, -1])
    torch.testing.assert_close(found.deletion[:, -1], found.insertion[:, 0])


def test_the_area_is_that_of_the_trapezoids() -> None:
    assert area(torch.tensor([1.0, 0.5, 0.0])).item() == pytest.approx(0.5)
    assert area(torch.tensor([1.0, 0.0, 0.0])).item() == pytest.approx(0.25)
    assert area(torch.full((2, 7), 0.3)).tolist() == pytest.approx([0.3, 0.3])


def test_the_interval_holds_the_mean_and_is_narrow_where_all_agree() -> None:
    low, high = interval([0.1, 0.3, 0.2, 0.4], seed=1)
    assert low < 0.25 < high
    assert interval([0.2] * 9, seed=1) == (pytest.approx(0.2), pytest.approx(0.2))
