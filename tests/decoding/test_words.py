"""From pieces to words, on numbers that are written down."""

import torch

from nmt.data.tokenizer import Tokenizer
from nmt.decoding.words import by_word, source_words, words_of


def test_a_mark_of_a_space_begins_a_word() -> None:
    assert words_of(["▁the", "▁do", "g", "▁", "<0xE6>", "."]) == [0, 1, 1, 2, 2, 2]
    assert words_of(["x", "▁y"]) == [0, 1]  # the first piece begins one anyway
    assert words_of([]) == []


def test_words_are_as_they_were_typed_and_numbered_alike(tokenizer: Tokenizer, few_pieces: Tokenizer) -> None:
    sentence = "  der ﬁne  漢字!\u3000Hund"  # NFKC makes fi of the ligature
    for pieces in (tokenizer, few_pieces):
        words = source_words(pieces.surfaces(sentence, "src"))
        assert words == sentence.split()
        assert max(words_of(pieces.pieces(pieces.encode([sentence], "src")[0], "src"))) == len(words) - 1
    assert source_words([]) == []


def test_the_attention_to_a_word_is_that_to_its_pieces() -> None:
    attention = torch.tensor([[0.1, 0.2, 0.3, 0.4, 9.0], [0.5, 0.0, 0.25, 0.25, 9.0]])  # three pieces, the end, padding
    torch.testing.assert_close(by_word(attention, [0, 0, 1]), torch.tensor([[0.3, 0.3, 0.4], [0.5, 0.25, 0.25]]))
    assert by_word(attention, []).shape == (2, 1)


def test_spaces_alone_are_no_words() -> None:
    assert words_of(["▁", "▁a", "b", "▁", "▁", "c", "▁"]) == [0, 0, 0, 1, 1, 1, 1]
    assert words_of(["▁", "▁"]) == [0, 0]
