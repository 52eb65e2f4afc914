"""The beginning of a long text has the pieces of the whole, and SentencePiece sees no more than that."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from nmt.config import TokenizerSettings
from nmt.data.tokenizer import SIDES, Tokenizer, train

Pair = tuple[str, str]


@pytest.fixture(scope="module", params=["unigram", "bpe", "unknown"])
def pieces(request: pytest.FixtureRequest, pairs: list[Pair]) -> Tokenizer:
    joined = [(src.replace(" ", ""), tgt.replace(" ", "")) for src, tgt in pairs]
    kind, by_bytes = ("bpe" if request.param == "bpe" else "unigram"), request.param != "unknown"
    return train([*pairs, *joined], TokenizerSettings(type=kind, vocab_size=400 if by_bytes else 150, byte_fallback=by_bytes))


def words(seed: int, count: int, space: str, extra: Sequence[str] = ()) -> str:
    source = random.Random(seed)
    known = ["Hund", "derKatze", "sieht", "zeichnet", "Fahrrad", "aaa", ".", "schwarzwälder", *extra]
    return space.join(source.choice(known) for _ in range(count))


TEXTS = {
    "words": words(1, 4000, " "),
    "words and more spaces": words(2, 4000, "   "),
    "no spaces": words(3, 4000, ""),
    "a long word among words": words(4, 9, " ") + words(5, 4000, "") + words(6, 900, " "),
    "one letter": "a" * 30_000,
    "bytes": words(7, 4000, "", ["漢字", "\U0001f600", "é"]),
    "ligatures": words(8, 4000, "", ["ﬁ", "㍿", "ﷺ", "e\u0301"]),
    "what is normalised at its end": "H\u0301\u0323" * 9000,
    "white space": words(9, 4000, "\u3000\t"),
    "nothing to see, then words": "\xad" * 9000 + words(10, 4000, " "),
    "spaces, then words": " " * 9000 + words(11, 4000, " "),
    "words, then spaces": words(12, 40, " ") + " " * 9000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("most", [1, 50, 256])
def test_the_first_pieces_are_those_of_the_whole(pieces: Tokenizer, text: str, most: int) -> None:
    for side in SIDES:
        whole = pieces.encode([text], side)[0]
        assert pieces.encode_cut([text, "Hund"], side, most) == (
            [whole[:most], pieces.encode(["Hund"], side)[0][:most]],
            [len(whole) > most, len(pieces.encode(["Hund"], side)[0]) > most],
        )
        beginning = pieces.beginning(text, side, most)
        assert text.startswith(beginning)
        assert pieces.surfaces(beginning, side)[:most] == pieces.surfaces(text, side)[:most]
        assert [part[:most] for part in pieces.places(beginning, side)] == [part[:most] for part in pieces.places(text, side)]


@pytest.mark.parametrize("name", ["words", "no spaces", "one letter", "bytes", "ligatures", "white space"])
def test_sentencepiece_is_given_little_of_a_long_text(
    pieces: Tokenizer, name: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    given: list[int] = []

    def watched(processor: Any, method: str) -> Callable[..., Any]:
        original = getattr(processor, method)

        def call(texts: Any, **options: Any) -> Any:
            given.append(len(texts) if isinstance(texts, str) else sum(map(len, texts)))
            return original(texts, **options)

        return call

    for processor in (pieces._src, pieces._tgt):
        for method in ("encode", "normalize"):
            monkeypatch.setattr(processor, method, watched(processor, method))
    text = TEXTS[name] * 200
    assert len(text) > 3_000_000
    for side in SIDES:
        ids, cut = pieces.encode_cut([text], side, 256)
        assert (len(ids[0]), cut) == (256, [True])
    assert max(given) < 10_000


def test_a_text_that_is_not_long_is_taken_as_it_is(tokenizer: Tokenizer) -> None:
    text = "der Hund " * 200
    assert tokenizer.beginning(text, "src", 5) is text
