"""What is said of a run's pieces before it trains."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config import TokenizerSettings
from nmt.data.counts import PieceCounts
from nmt.data.store import open_store
from nmt.data.tokenizer import Tokenizer, train
from nmt.errors import UserError
from nmt.training.pieces import report_pieces, report_round_trip

Pair = tuple[str, str]
Lines = Callable[..., Any]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    caplog.set_level(logging.INFO, logger="nmt")
    return caplog


def test_a_store_counts_words_characters_and_pieces_also_of_what_it_leaves_out(
    lines: Lines, tokenizer: Tokenizer, few_pieces: Tokenizer, tmp_path: Path
) -> None:
    text = [("der Hund 犬", "the dog"), ("der Hund " * 30, "the dog"), ("", "the dog")]
    for pieces in (tokenizer, few_pieces):
        store = open_store(lines(text, max_length=10), "train", pieces, tmp_path)
        assert len(store) == 1
        encoded = [n for src, _ in text for n in pieces.encode([src], "src")[0]]
        names = pieces.pieces(encoded, "src")
        assert store.pieces["src"] == PieceCounts(
            words=63,
            characters=7 + 1 + 7 * 30,
            pieces=len(encoded),
            bytes=sum(name.startswith("<0x") for name in names),
            unknown=names.count("<unk>"),
        )
        assert store.pieces["src"].bytes + store.pieces["src"].unknown == (3 if pieces is tokenizer else 1)
        assert store.pieces["tgt"].words == 6
        again = open_store(lines(text, max_length=10), "train", pieces, tmp_path)
        assert again.pieces == store.pieces


def test_pieces_are_told_by_the_word_or_where_there_are_no_spaces_by_the_character() -> None:
    assert str(PieceCounts(words=100, characters=500, pieces=130, bytes=13)) == "1.30 a word, 10.00% bytes, 0.00% unknown"
    assert str(PieceCounts(words=2, characters=50, pieces=40, unknown=1)) == "0.80 a character, 0.00% bytes, 2.50% unknown"
    assert str(PieceCounts()) == "0.00 a word, 0.00% bytes, 0.00% unknown"


@pytest.mark.parametrize("by_bytes", [True, False])
def test_text_of_another_script_is_warned_of(
    lines: Lines, tokenizer: Tokenizer, few_pieces: Tokenizer, tmp_path: Path, logged: pytest.LogCaptureFixture, by_bytes: bool
) -> None:
    greek = [("ο σκύλος βλέπει την μπάλα", "the dog sees the ball today .")] * 9
    store = open_store(lines(greek), "train", tokenizer if by_bytes else few_pieces, tmp_path)
    report_pieces({"train": store.pieces}, fixed=True)
    (said, warned) = logged.records
    assert said.message.startswith("pieces: train.src ")
    assert "; train.tgt " in said.message
    assert warned.levelno == logging.WARNING
    assert "the pieces do not suit the text: bytes or unknown pieces are" in warned.message
    assert "of train.src" in warned.message
    assert "train.tgt" not in warned.message
    assert warned.message.endswith("init_tokenizer=false")


def test_text_that_pieces_were_learnt_from_is_not_warned_of(
    lines: Lines, pairs: list[Pair], tokenizer: Tokenizer, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    store = open_store(lines(pairs), "train", tokenizer, tmp_path)
    report_pieces({"train": store.pieces}, fixed=False)
    assert [record.levelno for record in logged.records] == [logging.INFO]
    assert store.pieces["src"].words == sum(len(src.split()) for src, _ in pairs)


def test_pairs_that_are_all_too_long_in_bytes_are_an_error_that_says_so(
    lines: Lines, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"9 are longer than data\.max_length .* its pieces: src .* 8\d\.\d\d% bytes"):
        open_store(lines([("ο σκύλος βλέπει την μπάλα", "the dog .")] * 9, max_length=12), "train", tokenizer, tmp_path)


@pytest.mark.parametrize(
    ("settings", "lost"),
    [({}, 0), ({"target_normalization": "nmt_nfkc"}, 2), ({"byte_fallback": False, "vocab_size": 100}, 4)],
    ids=["default", "normalised", "unknown"],
)
def test_references_that_no_translation_can_equal_are_counted(
    pairs: list[Pair], logged: pytest.LogCaptureFixture, settings: dict[str, Any], lost: int
) -> None:
    tokenizer = train(pairs, TokenizerSettings(**{"vocab_size": 320} | settings))
    references = ["the dog .", "the  dog ， sees", "ﬁsh", " a child\t. ", "the 犬"]
    if lost == 2:
        references[4] = "the dog"
    report_round_trip(tokenizer, references)
    if not lost:
        assert logged.records == []
        return
    (record,) = logged.records
    assert record.message.startswith(f"{lost} of 5 dev references ({lost / 5:.1%}) do not come back from their pieces")
    assert "the first is 'the  dog ， sees', which becomes 'the dog" in record.message
