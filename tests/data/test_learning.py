"""What pieces are learnt from: all of the text, and with what is rare left to bytes."""

import random
from collections import Counter

import pytest
import sentencepiece

from nmt.config import TokenizerSettings
from nmt.data.learning import LESS_RARE, LONGEST_LINE, MOST_OUTSIDE, RARE, coverage_of, parts_of
from nmt.data.tokenizer import SIDES, Tokenizer, train
from nmt.errors import UserError

Pair = tuple[str, str]
each_kind = pytest.mark.parametrize("kind", ["unigram", "bpe"])


@pytest.mark.parametrize("most", [4, 5, 7, 20, 1000])
def test_parts_hold_all_of_a_text_and_are_cut_at_spaces_or_between_characters(most: int) -> None:
    source = random.Random(most)
    for _ in range(310):
        text = "".join(source.choice("ab é漢😀  ") for _ in range(source.randrange(60)))
        parts = list(parts_of(text, most))
        assert all(0 < len(part.encode()) <= most for part in parts)
        assert "".join(parts).replace(" ", "") == text.replace(" ", "")
        if all(len(word.encode()) <= most for word in text.split()):
            assert [word for part in parts for word in part.split()] == text.split()


@each_kind
@pytest.mark.parametrize("space", [" ", "\u3000"], ids=["spaces", "no spaces"])
def test_a_corpus_of_documents_is_learnt_from(pairs: list[Pair], kind: str, space: str) -> None:
    documents = [(space.join(src for src, _ in pairs), space.join(tgt for _, tgt in pairs) + " 漢")] * 3
    assert all(len(text.encode()) > LONGEST_LINE for text in documents[0])
    settings = TokenizerSettings(type=kind, vocab_size=310, target_normalization="nfkc", character_coverage=1.0)
    learnt = train(documents, settings).pieces(range(310), "src")
    assert set("".join(documents[0])) - {space, " "} <= set(learnt)
    assert any(len(piece) > 2 for piece in learnt[260:])


@each_kind
def test_a_long_line_teaches_what_its_words_in_short_lines_do(pairs: list[Pair], kind: str) -> None:
    settings = TokenizerSettings(type=kind, vocab_size=310)
    longer = [(" ".join([src] * 300), " ".join([tgt] * 300)) for src, tgt in pairs]
    shorter = [pair for pair in pairs for _ in range(310)]
    one, other = (set(train(text, settings).pieces(range(310), "src")) for text in (longer, shorter))
    assert len(one & other) >= 300


@pytest.mark.parametrize("mark", ["\u2585", "\0", "\u2581", "\t", "<s>", "</s>", "<unk>", "<0x41>"])
def test_no_line_is_skipped_for_a_character_that_sentencepiece_reserves(mark: str) -> None:
    text = [(f"quer {mark} feld", f"zwölf {mark} jahr")] * 50
    tokenizer = train(text, TokenizerSettings(vocab_size=275, character_coverage=1.0))
    letters = set("querfldzwöjah")
    assert letters <= set("".join(tokenizer.pieces(range(260, 275), "src")))
    text = f"a{mark}b"
    assert tokenizer.decode(tokenizer.encode([text], "tgt")[0]) == text.replace("\u2581", " ")  # SentencePiece's own space


@each_kind
@pytest.mark.parametrize("blank", ["", " ", "\u200b\xad", "\u2800", "\u2581 \u2585\0"])
@pytest.mark.parametrize("joint", [True, False])
def test_a_side_without_text_is_named(kind: str, blank: str, joint: bool) -> None:
    with pytest.raises(UserError, match=r"train\.tgt has no text to learn pieces from"):
        train([("der Hund", blank)] * 20, TokenizerSettings(type=kind, vocab_size=270, joint=joint))


def characters_of(tokenizer: Tokenizer) -> set[str]:
    return {piece for piece in tokenizer.pieces(range(tokenizer.src_size), "src") if len(piece) == 1}


def rare_text(rare: int, times: int, words: int) -> list[str]:
    """Words of ASCII and umlauts with so many other characters, each so many times."""
    source = random.Random(1)
    line = [source.choice(["früher", "Größe", "später", "Haus", "Quelle", "x"]) for _ in range(words)]
    characters = [chr(0x4E00 + n) for n in range(rare)] * times
    return [*(" ".join(line[n : n + 10]) for n in range(0, words, 10)), *characters]


@each_kind
def test_characters_that_are_rare_are_bytes_and_all_others_have_pieces(kind: str) -> None:
    lines = rare_text(20, RARE - 1, 40_000)
    tokenizer = train([(line, line) for line in lines], TokenizerSettings(type=kind, vocab_size=285, joint=False))
    assert characters_of(tokenizer) >= set("früheGßpätHausQlx")
    assert not characters_of(tokenizer) & {chr(0x4E00 + n) for n in range(20)}
    assert tokenizer.pieces(tokenizer.encode(["一"], "src")[0], "src") == ["▁", "<0xE4>", "<0xB8>", "<0x80>"]
    whole = train(
        [(line, line) for line in lines], TokenizerSettings(type=kind, vocab_size=305, joint=False, character_coverage=1)
    )
    assert {chr(0x4E00 + n) for n in range(20)} <= characters_of(whole)


@pytest.mark.parametrize(
    ("rare", "times", "words", "outside"),
    [
        pytest.param(20, RARE - 1, 40_000, 20, id="rare"),
        pytest.param(1, LESS_RARE - 1, 40_000, 1, id="less rare, while nothing else is outside"),
        pytest.param(1, LESS_RARE, 40_000, 0, id="not rare"),
        pytest.param(500, 3, 10_000, 80, id="too many"),
        pytest.param(0, 0, 1_000, 0, id="none"),
    ],
)
def test_what_is_outside_is_chosen_from_the_text(rare: int, times: int, words: int, outside: int) -> None:
    lines = rare_text(rare, times, words)
    counts = Counter("".join(lines).replace(" ", ""))
    settings = TokenizerSettings(vocab_size=4000, joint=False, type="bpe")
    with pytest.raises(UserError, match="more than this corpus supports") as caught:
        train([(line, line) for line in lines], settings)
    settings.vocab_size = int(str(caught.value).split("tokenizer.vocab_size=")[1].split()[0])
    inside = characters_of(train([(line, line) for line in lines], settings))
    left = set(counts) - inside
    assert len(left) == outside
    assert not any(character.isascii() for character in left)
    assert sum(counts[character] for character in left) <= MOST_OUTSIDE * sum(counts.values())
    assert (coverage_of(lines) == 1) == (outside == 0)


def test_letters_of_ascii_have_pieces_however_rare_they_are() -> None:
    everything = "".join(map(chr, range(33, 127)))
    lines = [everything, *rare_text(20, 15, 40_000)]
    tokenizer = train([(line, line) for line in lines], TokenizerSettings(type="bpe", vocab_size=380, joint=False))
    assert coverage_of(lines) < 1
    assert set(everything) <= characters_of(tokenizer)


def test_without_bytes_every_character_has_a_piece(pairs: list[Pair]) -> None:
    tokenizer = train([*pairs, ("漢", "é")], TokenizerSettings(vocab_size=80, byte_fallback=False))
    assert {"漢", "é"} <= characters_of(tokenizer)


def test_the_coverage_that_is_asked_for_is_taken() -> None:
    lines = rare_text(10, 300, 40_000)
    whole = sum(len(line.replace(" ", "")) for line in lines)
    settings = TokenizerSettings(vocab_size=285, joint=False, character_coverage=1 - 2000 / (whole + 43_000))
    left = {chr(0x4E00 + n) for n in range(10)} - characters_of(train([(line, line) for line in lines], settings))
    assert 0 < len(left) < 10


def test_pieces_of_one_side_normalised_are_those_that_sentencepiece_learns_with_its_rule(pairs: list[Pair]) -> None:
    texts = [(f"{src} ﬁ， ½", f"{tgt} Ｘ") for src, tgt in pairs]
    settings = TokenizerSettings(vocab_size=310, joint=False, character_coverage=1.0)
    tokenizer = train(texts, settings)
    other = train(
        [
            (sentencepiece.SentencePieceNormalizer(rule_name="nmt_nfkc").normalize(src)[1:].replace("▁", " "), tgt)
            for src, tgt in texts
        ],
        settings,
    )
    assert tokenizer.pieces(range(310), "src") == other.pieces(range(310), "src")


@each_kind
def test_bytes_occur_in_training_where_a_text_has_characters_that_are_rare(pairs: list[Pair], kind: str) -> None:
    source = random.Random(1)
    others = [chr(source.choice([0x1F300, 0x4E00, 0x1E00]) + source.randrange(250)) for _ in range(200)]
    text = [(f"{src} {other}", f"{tgt} {other}") for src, tgt, other in zip(*zip(*pairs, strict=True), others, strict=True)]
    text += pairs * 20
    for coverage, least in ((None, 60), (1.0, 0)):
        settings = TokenizerSettings(type=kind, vocab_size=700, character_coverage=coverage)
        with pytest.raises(UserError, match="more than this corpus supports") as caught:
            train(text, TokenizerSettings(**vars(settings) | {"vocab_size": 5000}))
        settings.vocab_size = int(str(caught.value).split("tokenizer.vocab_size=")[1].split()[0])
        tokenizer = train(text, settings)
        for side, sentences in zip(SIDES, zip(*text, strict=True), strict=True):
            used = {piece for ids in tokenizer.encode(sentences, side) for piece in ids}
            seen = used & set(tokenizer.byte_ids(side))
            assert len(seen) >= least if least else not seen
