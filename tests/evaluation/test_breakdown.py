"""Breakdowns against figures worked out by hand."""

from collections import Counter

import pytest

from nmt.evaluation.breakdown import by_frequency, by_length, length_ranges, occurrences
from nmt.evaluation.metrics import score
from nmt.tokenisation import Tokenisation


def test_sentences_go_into_ranges_by_the_words_of_their_source() -> None:
    sources = ["", "a", "a b", "a b c", "  a  b\u2028c d ", "a b c d e"]
    assert length_ranges(sources, [2, 4]) == {"1–2": [0, 1, 2], "3–4": [3, 4], "> 4": [5]}
    assert length_ranges(["a b c"], [2, 4]) == {"3–4": [0]}


def test_a_range_is_scored_as_a_corpus_of_its_own_against_all_references() -> None:
    sources = ["w " * 5, "w " * 12, "w " * 10, "w " * 99]
    hypotheses = ["the old dog sleeps .", "the cat eats a bird .", "an old bird sings .", "no"]
    references = [["the old dog sings .", "a cat eats the bird .", "an old bird sings .", "no"], ["x", "x", "x", "no"]]
    found = by_length(sources, hypotheses, references)
    assert [(one.words, one.sentences) for one in found] == [("1–10", 2), ("11–20", 1), ("> 40", 1)]
    short = score([hypotheses[0], hypotheses[2]], [[several[0], several[2]] for several in references])
    assert (found[0].bleu, found[0].chrf) == (short["bleu"].score, short["chrf"].score)


def test_words_of_the_training_text_are_counted_without_their_punctuation() -> None:
    training = ["The dog, the dog.", "A dog\u2028barks"]
    assert occurrences(training, ["the dog ."]) == Counter({"dog": 3, "the": 1, ".": 1})


def test_a_word_is_right_as_often_as_its_reference_has_it() -> None:
    hypotheses = ["the the dog", "rare cat"]
    references = ["the dog barks", "rare dog"]
    training = Counter({"the": 2000, "dog": 7, "cat": 7, "rare": 1})
    ranges = {one.occurrences: one for one in by_frequency(hypotheses, references, training)}
    assert list(ranges) == ["0", "1", "2–4", "5–9", "10–99", "100–999", "≥ 1000"]
    counts = {name: (one.references, one.hypotheses, one.right) for name, one in ranges.items() if one.references}
    assert counts == {"0": (1, 0, 0), "1": (1, 1, 1), "5–9": (2, 2, 1), "≥ 1000": (1, 2, 1)}
    the = ranges["≥ 1000"]
    assert (the.precision, the.recall) == (50, 100)
    assert the.f1 == pytest.approx(2 * 50 * 100 / 150)
    assert (ranges["0"].precision, ranges["0"].recall, ranges["0"].f1) == (None, 0, 0)
    assert ranges["2–4"].f1 is None


def test_words_of_the_target_are_those_of_its_tokenizer() -> None:
    cut = Tokenisation(language="zh").cut
    training = occurrences(["我喜欢狗。", "我喜欢猫。"], ["我喜欢狗。"], cut)
    assert training == Counter({"我": 2, "喜": 2, "欢": 2, "。": 2, "狗": 1})
    ranges = {one.occurrences: one for one in by_frequency(["我喜欢狗。"], ["我喜欢狗。"], training, cut)}
    assert (ranges["1"].right, ranges["2–4"].right, ranges["0"].right) == (1, 4, 0)
