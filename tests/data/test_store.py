"""The ids of a split on disk: what is in them, what was left out, and when they are made again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.config import TokenizerSettings
from nmt.data.store import SIDES, Dropped, open_store
from nmt.data.tokenizer import Tokenizer, train
from nmt.errors import UserError

Pair = tuple[str, str]
Lines = Callable[..., Any]
SHORT = ("der Hund .", "the dog .")
LONG = ("der Hund sieht den Ball im Garten . " * 3, "the dog sees the ball .")
LONG_TARGET = ("der Hund .", "the dog sees the ball in the garden . " * 3)


def ids(store: Any) -> list[list[list[int]]]:
    return [[store.ids(pair, side).tolist() for side in SIDES] for pair in range(len(store))]


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def test_ids_equal_direct_encoding(lines: Lines, pairs: list[Pair], tokenizer: Tokenizer, tmp_path: Path) -> None:
    store = open_store(lines(pairs), "train", tokenizer, tmp_path)
    direct = [[tokenizer.encode([text], side)[0] for text, side in zip(pair, SIDES, strict=True)] for pair in pairs]
    assert ids(store) == direct
    for number, side in enumerate(SIDES):
        assert store.lengths[side].tolist() == [len(both[number]) for both in direct]
        assert store.ids(0, side).dtype == np.int32
    assert store.dropped == Dropped(empty=0, long=0)


def test_more_pairs_than_are_encoded_at_a_time_come_in_order(lines: Lines, tokenizer: Tokenizer, tmp_path: Path) -> None:
    many = [(f"Hund {number}", f"dog {number}") for number in range(10_003)]
    store = open_store(lines(many), "train", tokenizer, tmp_path)
    assert len(store) == 10_003
    for number in (0, 9_999, 10_000, 10_002):
        assert tokenizer.decode(store.ids(number, "tgt").tolist()) == f"dog {number}"


def test_training_leaves_out_and_counts_empty_and_overlong_pairs(lines: Lines, tokenizer: Tokenizer, tmp_path: Path) -> None:
    mixed = [SHORT, ("", "the dog ."), LONG, ("der Hund .", "  "), SHORT, LONG_TARGET, ("", "")]
    limit = 9
    store = open_store(lines(mixed, max_length=limit), "train", tokenizer, tmp_path)
    assert ids(store) == [[tokenizer.encode([text], side)[0] for text, side in zip(SHORT, SIDES, strict=True)]] * 2
    assert store.dropped == Dropped(empty=3, long=2)


def test_a_pair_of_exactly_the_maximum_length_stays(lines: Lines, tokenizer: Tokenizer, tmp_path: Path) -> None:
    limit = max(len(tokenizer.encode([text], side)[0]) for text, side in zip(LONG, SIDES, strict=True))
    assert len(open_store(lines([LONG, SHORT], max_length=limit), "train", tokenizer, tmp_path)) == 2
    assert len(open_store(lines([LONG, SHORT], max_length=limit - 1), "train", tokenizer, tmp_path)) == 1


def test_dev_keeps_every_pair(lines: Lines, tokenizer: Tokenizer, tmp_path: Path) -> None:
    mixed = [SHORT, ("", "the dog ."), LONG, LONG_TARGET]
    store = open_store(lines([SHORT], mixed, max_length=5), "dev", tokenizer, tmp_path)
    assert len(store) == 4
    assert store.dropped == Dropped(empty=0, long=0)
    assert store.ids(1, "src").tolist() == []
    assert store.lengths["tgt"].tolist() == [len(tokenizer.encode([tgt], "tgt")[0]) for _, tgt in mixed]


def test_text_is_kept_for_subword_sampling(lines: Lines, pairs: list[Pair], tmp_path: Path) -> None:
    tokenizer = train(pairs, TokenizerSettings(vocab_size=330, sampling=0.1))
    mixed = [("Straße 😀", "street"), ("", "dropped"), ("zwei", "日本")]
    store = open_store(lines(mixed), "train", tokenizer, tmp_path)
    assert [[store.text(pair, side) for side in SIDES] for pair in range(2)] == [list(mixed[0]), list(mixed[2])]


def test_the_cache_is_used_and_not_written_again(
    lines: Lines, pairs: list[Pair], tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_store(lines(pairs), "train", tokenizer, tmp_path)
    before = times(tmp_path)
    corpus = lines(pairs)
    monkeypatch.setattr(corpus, "pairs", None)  # its text cannot be read
    again = open_store(corpus, "train", tokenizer, tmp_path)
    assert again.directory == first.directory
    assert ids(again) == ids(first)
    assert times(tmp_path) == before


def test_other_text_another_tokenizer_and_another_limit_are_stored_apart(
    lines: Lines, pairs: list[Pair], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    longest = max(len(ids) for src, _ in pairs for ids in tokenizer.encode([src], "src"))
    other = train(pairs, TokenizerSettings(type="bpe", vocab_size=340))
    stores = [
        open_store(lines(pairs), "train", tokenizer, tmp_path),
        open_store(lines([("das Kind", "a bird"), *pairs[1:]]), "train", tokenizer, tmp_path),
        open_store(lines(pairs), "train", other, tmp_path),
        open_store(lines(pairs, max_length=longest - 1), "train", tokenizer, tmp_path),
        open_store(lines(pairs, pairs), "dev", tokenizer, tmp_path),
    ]
    assert len({store.directory for store in stores}) == 5
    assert tokenizer.decode(stores[1].ids(0, "tgt").tolist()) == "a bird"
    assert other.decode(stores[2].ids(0, "tgt").tolist()) == pairs[0][1]
    assert len(stores[3]) < len(pairs) == len(stores[4])


def test_no_usable_pair_is_an_error_that_says_why(lines: Lines, tokenizer: Tokenizer, tmp_path: Path) -> None:
    corpus = lines([("", "the dog ."), LONG, LONG_TARGET], max_length=9)
    for _ in range(2):  # made, then from the cache
        with pytest.raises(UserError, match=r"train has no usable pair: 1 have an empty side, 2 are longer .* \(9 pieces\)"):
            open_store(corpus, "train", tokenizer, tmp_path)


def test_reading_that_fails_leaves_nothing_behind(lines: Lines, tokenizer: Tokenizer, tmp_path: Path) -> None:
    corpus = lines([SHORT])

    def broken(_: str) -> Any:
        yield SHORT
        raise UserError("line 2 is not UTF-8")

    corpus.pairs = broken
    with pytest.raises(UserError, match="line 2"):
        open_store(corpus, "train", tokenizer, tmp_path)
    assert list(tmp_path.iterdir()) == []
