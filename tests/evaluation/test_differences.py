"""The sentences in which systems differ most, and the words that are marked in them."""

import pytest
import sacrebleu

from nmt.evaluation.differences import KEPT, LONGEST_ALIGNED, RIGHT, WRONG, largest_differences, marked

REFERENCES = ["a dog runs .", "a cat sleeps .", "two birds sing .", "the end ."]
BASELINE = ["a dog runs .", "a cow eats .", "two birds sang .", "the end ."]
OTHER = ["no idea", "a cat sleeps .", "two birds sing .", "the end ."]
SOURCES = ["eins", "zwei", "drei", "vier"]


def test_sentences_come_by_the_size_of_the_difference_with_their_line_and_sacrebleus_score() -> None:
    won, lost = largest_differences(BASELINE, OTHER, [REFERENCES], SOURCES, 10)
    assert [(example.line, example.source) for example in won] == [(2, "zwei"), (3, "drei")]
    assert [example.line for example in lost] == [1]
    assert won[0].difference > won[1].difference > 0 > lost[0].difference
    assert won[1].baseline_score == sacrebleu.sentence_chrf(BASELINE[2], [REFERENCES[2]]).score
    assert won[1].other_score == 100
    assert won[1].baseline == BASELINE[2]
    assert won[1].other == OTHER[2]
    first, _ = largest_differences(BASELINE, OTHER, [REFERENCES], None, 1)
    assert [(example.line, example.source) for example in first] == [(2, None)]


def test_any_of_several_references_counts() -> None:
    again = ["x", "x", "two birds sang .", "x"]
    won, _ = largest_differences(BASELINE, OTHER, [REFERENCES, again], None, 10)
    assert [example.line for example in won] == [2]
    assert won[0].references == ["a cat sleeps .", "x"]
    assert marked("birds sang", "birds sing", ["birds fly", "birds sang"]) == [("birds ", KEPT), ("sang", RIGHT)]


def test_words_that_differ_are_right_where_the_reference_has_them() -> None:
    assert marked("A man on a scooter.", "A man is riding a scooter.", ["A man is riding a scooter."]) == [
        ("A man ", KEPT),
        ("on", WRONG),
        (" a scooter.", KEPT),
    ]
    assert marked("A man is riding it.", "A man on a scooter.", ["A man is riding a scooter."]) == [
        ("A man ", KEPT),
        ("is riding", RIGHT),
        (" ", KEPT),
        ("it", WRONG),
        (".", KEPT),
    ]


def test_a_word_is_right_only_as_often_as_the_reference_has_it() -> None:
    assert marked("dog dog dog", "cat", ["the dog"]) == [("dog", RIGHT), (" ", KEPT), ("dog dog", WRONG)]
    assert marked("dog dog", "dog", ["the dog"]) == [("dog ", KEPT), ("dog", WRONG)]


def test_in_very_long_translations_order_does_not_count() -> None:
    long = ["word"] * LONGEST_ALIGNED
    assert marked("here it is", "it is here", ["none"]) == [("here", WRONG), (" it is", KEPT)]
    (stretch,) = marked("here it is", " ".join(["it is here", *long]), ["none"])
    assert stretch == ("here it is", KEPT)
    assert marked(" ".join([*long, "end"]), "word", ["end"])[-1] == ("end", RIGHT)


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        " ",
        "  two  spaces ",
        "a\u2028b\u0085c",
        "tab\there",
        "漢字かな。",
        "हिन्दी में",
        "👩‍👩‍👧 ok",
        "don't—stop!",
        "שלום עולם",
        "\x00\x1b",
    ],
)
def test_joined_the_marked_parts_are_the_sentence(sentence: str) -> None:
    for other in ("", "a b", sentence[::-1], sentence):
        assert "".join(part for part, _ in marked(sentence, other, ["a"])) == sentence
        assert "".join(part for part, _ in marked(other, sentence, [sentence])) == other


def test_letters_keep_their_vowel_signs_and_chinese_is_cut_by_characters() -> None:
    assert marked("हिन्दी में", "में", ["हिन्दी"]) == [("हिन्दी", RIGHT), (" में", KEPT)]
    assert marked("漢字です", "漢字でした", ["漢字でした"]) == [("漢字で", KEPT), ("す", WRONG)]
