"""Words and their pieces, whatever the text holds."""

import pytest

from nmt.data.grammar.corpus import GrammarCorpus
from nmt.data.tokenizer import Side, Tokenizer
from nmt.data.words import Words


def of_words(words: Words, tokenizer: Tokenizer, side: Side = "src") -> list[list[str]]:
    """The pieces of each word."""
    ids, numbers = words.of_pieces(tokenizer, side)
    pieces = tokenizer.pieces(ids, side)
    return [[piece for piece, word in zip(pieces, numbers, strict=True) if word == n] for n in range(len(words))]


def test_every_piece_belongs_to_a_word_and_the_words_say_the_text(tokenizer: Tokenizer) -> None:
    text = "the young doctor sees an apple pie today ."
    words = Words.between_spaces(text)
    assert len(words) == 9
    spelled = ["".join(pieces).replace("▁", "") for pieces in of_words(words, tokenizer)]
    assert spelled == text.split()


@pytest.mark.parametrize("text", ["  the   dog  ", "the\u00a0dog", "the\tdog", "\u3000the dog\u2003"])
def test_any_white_space_separates(text: str, tokenizer: Tokenizer) -> None:
    spelled = ["".join(pieces).replace("▁", "") for pieces in of_words(Words.between_spaces(text), tokenizer)]
    assert spelled == ["the", "dog"]


def test_a_word_of_what_cannot_be_seen_has_no_piece_and_shifts_nobody(tokenizer: Tokenizer) -> None:
    found = of_words(Words.between_spaces("the \u200b dog"), tokenizer)
    assert ["".join(pieces).replace("▁", "") for pieces in found] == ["the", "", "dog"]


@pytest.mark.parametrize("space", ["\u00a0", "\t", "\u3000", " \u200b "])
def test_white_space_that_is_not_normalised_away_goes_to_the_word_after_it(space: str, tokenizer: Tokenizer) -> None:
    found = [pieces for pieces in of_words(Words.between_spaces(f"the{space}dog"), tokenizer, "tgt") if pieces]
    assert "".join(found[0]) == "▁the"
    assert "".join(found[-1]).endswith("dog")


@pytest.mark.parametrize("side", ["src", "tgt"])
@pytest.mark.parametrize("text", ["the dog sees " * 2000, "thedog" * 3000, "a" + "\u200b" * 9000 + " the dog " * 900])
def test_the_beginning_of_a_long_text_has_the_pieces_and_words_of_the_whole(
    text: str, side: Side, tokenizer: Tokenizer
) -> None:
    words = Words.between_spaces(text)
    whole, beginning = words.of_pieces(tokenizer, side), words.of_pieces(tokenizer, side, 50)
    assert [part[:50] for part in beginning] == [part[:50] for part in whole]
    assert 50 < len(beginning[0]) <= len(whole[0])


def test_bytes_of_a_character_belong_to_its_word(tokenizer: Tokenizer) -> None:
    found = of_words(Words.between_spaces("the 犬犬 sees"), tokenizer)
    assert [len(pieces) for pieces in found[1:2]] == [7]  # ▁ and twice three bytes
    assert "".join(found[2]) == "▁sees"


def test_what_is_normalised_to_several_characters_stays_with_its_word(tokenizer: Tokenizer) -> None:
    found = of_words(Words.between_spaces("ﬁnds ½ the"), tokenizer)
    assert "".join(found[0]).replace("▁", "") == "finds"
    assert "".join(found[2]) == "▁the"


def test_nothing_has_no_words(tokenizer: Tokenizer) -> None:
    assert Words.between_spaces(" \t").of_pieces(tokenizer, "src") == ([], [])


def test_the_grammar_gives_its_links_between_words_of_its_text() -> None:
    corpus = GrammarCorpus(src="en", tgt="de", train_pairs=1, dev_pairs=20, test_pairs=1, seed=1, max_length=100)
    for pair, example in zip(corpus.aligned("dev"), corpus.examples("dev"), strict=True):
        assert pair.src.text == example.src
        assert [pair.src.text[slice(*span)] for span in pair.src.spans] == list(example.src_tokens)
        assert [pair.tgt.text[slice(*span)] for span in pair.tgt.spans] == list(example.tgt_tokens)
        assert pair.gold.sure == pair.gold.possible == set(example.links)
