"""What counts as a repetition, a copy and an under-translation."""

import pytest

from nmt.evaluation.rates import Rates, copies, rates, repeats


@pytest.mark.parametrize(
    "text", ["the the dog", "The the dog", "a man in a man in a hat", "x y z x y z", "no, no, no", "ja 1 ja 1"]
)
def test_words_twice_in_a_row_are_a_repetition(text: str) -> None:
    assert repeats(text)


@pytest.mark.parametrize(
    "text", ["", "dog", "the dog and the cat", "wait . . .", "!!!", "it costs 3 3", "a man a plan a canal"]
)
def test_words_that_come_again_later_and_punctuation_are_none(text: str) -> None:
    assert not repeats(text)


@pytest.mark.parametrize(
    ("source", "target", "copied"),
    [
        ("Der Hund schläft .", "Der Hund schläft .", True),
        ("Der Hund schläft .", "der HUND sleeps .", True),
        ("Der Hund schläft .", "The Hund sleeps .", False),
        ("Anna 12 , 13 .", "Eva 12 , 13 .", False),  # numbers and punctuation are the same in any language
        ("Anna schläft .", "Anna sleeps .", True),
        ("die Frau", "die die die Frau is x", False),  # one die of the source is one
        ("Der Hund", "", False),
        ("", "a dog", False),
    ],
)
def test_a_copy_takes_half_of_its_words_from_the_source(source: str, target: str, copied: bool) -> None:
    assert copies(source, target) is copied


def test_under_translation_is_by_the_length_that_the_source_lets_one_expect() -> None:
    sources = ["abcdefgh ij"] * 4 + [""]  # 10 characters each, 20 in the references: r = 2
    references = ["x" * 20] * 4 + [""]
    targets = ["y" * 9, "y" * 10, "", "y" * 99, ""]
    assert rates(sources, targets, references) == Rates(repetition=0, copy=0, under_translation=40)
    assert rates(sources, references, references).under_translation == 0


def test_rates_are_shares_of_sentences_in_per_cent() -> None:
    sources = ["ein Hund", "ein Kind", "eine Katze", "ein Haus"]
    targets = ["a dog a dog", "ein Kind", "a cat", "a house"]
    references = ["a dog", "a child", "a cat", "a house"]
    assert rates(sources, targets, references) == Rates(repetition=25, copy=25, under_translation=0)


def test_a_long_line_is_looked_through_quickly() -> None:
    different = " ".join(f"w{number}" for number in range(5_000))
    assert not repeats(different)
    assert repeats(f"{different} and so on and so on")
