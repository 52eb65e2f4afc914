"""Piece ids of a split on disk, memory-mapped: host memory stays flat as the corpus grows."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nmt.data.cache import cached
from nmt.data.corpus import Corpus, Reading
from nmt.data.counts import PieceCounter, PieceCounts
from nmt.data.rows import Rows, RowsWriter
from nmt.data.tokenizer import SIDES, Side, Tokenizer
from nmt.errors import UserError

_CHUNK = 10_000  # sentences encoded at a time
_META = "meta.json"


@dataclass(frozen=True)
class Dropped:
    """How many training pairs were left out, and why."""

    empty: int
    long: int


class IdStore:
    """The ids of all pairs of a split, and their text where subword sampling needs it.

    Attributes:
        lengths: pieces per sentence without EOS, for `src` and `tgt`, (pairs,) each.
        dropped: pairs left out.
        pieces: counts over all pairs, those that were left out, too, for `src` and `tgt`.

    Raises:
        ValueError: if an id is not in the vocabulary, or pairs are missing.
    """

    def __init__(self, directory: Path, tokenizer: Tokenizer) -> None:
        self.directory = directory
        meta = json.loads((directory / _META).read_text(encoding="utf-8"))
        rows = meta["rows"]
        self.dropped = Dropped(**meta["dropped"])
        self.pieces = {side: PieceCounts(**meta["pieces"][side]) for side in SIDES}
        self._ids = {side: Rows(directory / f"{side}.ids", np.int32) for side in SIDES}
        self._text = {side: Rows(path, np.uint8) for side in SIDES if (path := directory / f"{side}.text").exists()}
        self.lengths = {side: rows.lengths for side, rows in self._ids.items()}
        self._ids["src"].check_range(tokenizer.src_size)
        self._ids["tgt"].check_range(tokenizer.tgt_size)
        left_out = self.dropped.empty + self.dropped.long
        if any(len(kept) + left_out != rows for kept in (*self._ids.values(), *self._text.values())):
            raise ValueError(f"{directory} was made of {rows:,} pairs, but does not hold as many")

    def __len__(self) -> int:
        return len(self._ids["src"])

    def ids(self, pair: int, side: Side) -> npt.NDArray[np.int32]:
        """The ids of one sentence, without EOS."""
        return self._ids[side][pair]

    def text(self, pair: int, side: Side) -> str:
        """One sentence as text, in a store that keeps text."""
        return self._text[side][pair].tobytes().decode()


def open_store(corpus: Corpus, split: str, tokenizer: Tokenizer, cache: Path) -> IdStore:
    """The ids of a split, from the cache or made now. Only training leaves pairs out: too long, or with an empty side.

    Raises:
        UserError: if no pair remains, or the text is changed while it is read.
    """
    limit = corpus.max_length if split == "train" else None
    with_text = split == "train" and tokenizer.sampling > 0
    fingerprint = corpus.fingerprint(split)

    def write(folder: Path) -> None:
        reading = corpus.read(split)
        _write(folder, reading, tokenizer, limit, with_text)
        reading.check(fingerprint)

    key = _key(fingerprint, tokenizer, limit, with_text)
    store = cached(cache, f"ids-{key}", write, lambda folder: IdStore(folder, tokenizer))
    if len(store) == 0:
        dropped = store.dropped
        raise UserError(
            f"{split} has no usable pair: {dropped.empty} have an empty side, {dropped.long} are longer than "
            f"data.max_length ({limit} pieces); its pieces: {'; '.join(f'{side} {store.pieces[side]}' for side in SIDES)}"
        )
    return store


def is_usable(encoded: Sequence[Sequence[int]], limit: int) -> bool:
    """Whether training takes a pair: neither side is empty or longer than the limit."""
    return all(0 < len(ids) <= limit for ids in encoded)


def _key(fingerprint: str, tokenizer: Tokenizer, limit: int | None, with_text: bool) -> str:
    digest = hashlib.sha256(f"5 {fingerprint} {limit} {with_text}".encode())
    for name, model in sorted(tokenizer.models.items()):
        digest.update(name.encode() + hashlib.sha256(model).digest())
    return digest.hexdigest()[:32]


def _write(directory: Path, pairs: Reading, tokenizer: Tokenizer, limit: int | None, with_text: bool) -> None:
    empty = long = 0
    counters = {side: PieceCounter(tokenizer, side) for side in SIDES}
    pieces = dict.fromkeys(SIDES, PieceCounts())
    with ExitStack() as files:

        def open_rows(name: str, dtype: type[np.generic]) -> RowsWriter:
            return files.enter_context(closing(RowsWriter(directory / name, dtype)))

        ids = {side: open_rows(f"{side}.ids", np.int32) for side in SIDES}
        text = {side: open_rows(f"{side}.text", np.uint8) for side in SIDES if with_text}
        for chunk in _chunks(pairs):
            sides = []
            for n, side in enumerate(SIDES):
                texts = [pair[n] if limit is None else tokenizer.beginning(pair[n], side, limit) for pair in chunk]
                sides.append(tokenizer.encode(texts, side))
                pieces[side] += counters[side].count(texts, sides[n])
            for pair, *encoded in zip(chunk, *sides, strict=True):
                if limit is not None and not is_usable(encoded, limit):
                    empty, long = (empty, long + 1) if all(encoded) else (empty + 1, long)
                else:
                    for n, side in enumerate(SIDES):
                        ids[side].append(encoded[n])
                    for n, side in enumerate(text):
                        text[side].append(np.frombuffer(pair[n].encode(), np.uint8))
    counted = {side: asdict(counts) for side, counts in pieces.items()}
    meta = {"rows": pairs.rows, "dropped": asdict(Dropped(empty, long)), "pieces": counted}
    (directory / _META).write_text(json.dumps(meta), encoding="utf-8")


def _chunks(pairs: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    iterator = iter(pairs)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
