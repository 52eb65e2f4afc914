"""Loss and perplexity of references: what they are divided by."""

import math

import pytest

from nmt.decoding.search import Hypothesis
from nmt.decoding.translator import Scored
from nmt.evaluation.likelihood import likelihood


def scored_as(log_probs: list[float], *, cut: bool) -> Scored:
    return Scored(Hypothesis([], log_probs, math.fsum(log_probs), 0.0), cut)


def test_per_token_counts_pieces_and_ends_and_per_word_words_and_ends() -> None:
    scored = [scored_as([-1.0, -2.0, -3.0], cut=False), scored_as([-0.5], cut=False)]
    found = likelihood(scored, ["two words", ""])
    assert found is not None
    assert (found.tokens, found.words) == (4, 4)
    assert found.per_token == pytest.approx(6.5 / 4)
    assert found.as_json()["perplexity_per_word"] == pytest.approx(math.exp(6.5 / 4))
    assert likelihood(scored[:1], ["three words\u2028here"]).per_word == pytest.approx(6 / 4)


def test_a_pair_that_was_cut_is_left_out_and_counted() -> None:
    scored = [scored_as([-1.0, -2.0], cut=False), scored_as([-100.0], cut=True)]
    found = likelihood(scored, ["one", "long"])
    assert found is not None
    assert (found.nats, found.sentences, found.left_out) == (3.0, 1, 1)
    assert likelihood(scored[1:], ["long"]) is None


def test_a_perplexity_too_large_for_a_number_is_cut() -> None:
    found = likelihood([scored_as([-5000.0], cut=False)], [""])
    assert found is not None
    assert found.as_json()["perplexity_per_token"] == pytest.approx(math.exp(100))
    assert found.per_token == 5000
