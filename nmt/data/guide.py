"""Word links of the training pairs as links between their pieces, on disk beside the ids."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from itertools import zip_longest
from pathlib import Path

import numpy as np

from nmt.data.cache import cached
from nmt.data.corpus import Corpus
from nmt.data.files import Source, hash_file
from nmt.data.links import Link, check_link, read_pharaoh
from nmt.data.rows import Rows, RowsWriter
from nmt.data.store import IdStore, is_usable
from nmt.data.tokenizer import SIDES, Tokenizer
from nmt.data.words import Words
from nmt.errors import UserError

GOLD = "gold"
"""Stands for the links of a corpus that has its own."""

CHUNK = 10_000
"""Pairs whose links are checked at a time."""

LinkedPair = tuple[Words, Words, list[Link]]


def links_fingerprint(corpus: Corpus, links: str) -> str:
    """A hash of the links: two equal ones mean equal links."""
    return corpus.fingerprint("train") if links == GOLD else hash_file(Path(links)).hex()


def open_links(
    corpus: Corpus, links: str, tokenizer: Tokenizer, store: IdStore, cache: Path, fingerprint: str | None = None
) -> Rows:
    """For each pair of a store the links between pieces, i and j in turn: all pieces of a word with all of the other.

    Args:
        corpus: whose training pairs are in the store, in this order.
        links: a Pharaoh file with a line for each of the corpus' training pairs, those that are left out of training, too; or
            `gold`.
        tokenizer: cuts the words into pieces.
        store: ids of the training pairs.
        cache: where the result is kept.
        fingerprint: what `links_fingerprint` has said of the links; None to ask it now.

    Raises:
        UserError: if there are more or less lines than pairs, a link is outside its sentence, or a file is changed while it is
            read.
    """
    expected = fingerprint or links_fingerprint(corpus, links)
    digest = hashlib.sha256(f"1 {store.directory.name} {expected}".encode()).hexdigest()[:32]

    def write(folder: Path) -> None:
        with closing(RowsWriter(folder / "links", np.int32)) as writer:
            limit = corpus.max_length
            for src, tgt, linked in _pairs(corpus, links, expected):
                sides = [words.of_pieces(tokenizer, side, limit) for words, side in zip((src, tgt), SIDES, strict=True)]
                if is_usable([ids for ids, _ in sides], limit):
                    writer.append(np.array(_of_pieces(linked, *(of for _, of in sides)), np.int32).reshape(-1))

    return cached(cache, f"links-{digest}", write, lambda folder: _checked(Rows(folder / "links", np.int32), store))


def _checked(rows: Rows, store: IdStore) -> Rows:
    """Links that each lie within a pair of the store; raises `ValueError` for others."""
    if len(rows) != len(store):
        raise ValueError(f"there are links for {len(rows):,} pairs, but {len(store):,} pairs")
    for begin in range(0, len(rows), CHUNK):
        end = min(begin + CHUNK, len(rows))
        links = rows.span(begin, end).reshape(-1, 2)
        counts = rows.lengths[begin:end]
        most = np.stack([np.repeat(store.lengths[side][begin:end], counts // 2) for side in SIDES], axis=1)
        if (counts % 2).any() or (links < 0).any() or (links >= most).any():
            raise ValueError("a link is outside its pair")
    return rows


def _of_pieces(links: list[Link], src: list[int], tgt: list[int]) -> list[Link]:
    pieces = [{}, {}]  # type: list[dict[int, list[int]]]
    for side, numbers in zip(pieces, (src, tgt), strict=True):
        for piece, word in enumerate(numbers):
            side.setdefault(word, []).append(piece)
    return [(p, q) for i, j in links for p in pieces[0].get(i, ()) for q in pieces[1].get(j, ())]


def _pairs(corpus: Corpus, links: str, fingerprint: str) -> Iterator[LinkedPair]:
    if links == GOLD:
        aligned = corpus.aligned("train")
        if aligned is None:
            raise UserError("guide.links=gold needs a corpus that has links, such as data=grammar: give a Pharaoh file instead")
        for pair in aligned:
            yield pair.src, pair.tgt, sorted(pair.gold.sure)
        return
    of_text, reading, source = corpus.fingerprint("train"), corpus.read("train"), Source(Path(links), hashed=True)
    for number, (texts, linked) in enumerate(zip_longest(reading, read_pharaoh(Path(links), source)), start=1):
        if texts is None or linked is None:
            counts = [sum(1 for _ in lines) for lines in (read_pharaoh(Path(links)), corpus.pairs("train"))]
            raise UserError(f"guide.links={links} has {counts[0]:,} lines but there are {counts[1]:,} training pairs")
        src, tgt = map(Words.between_spaces, texts)
        for link in linked:
            check_link(link, (len(src), len(tgt)), f"guide.links={links}: line {number}: the link {link[0]}-{link[1]}")
        yield src, tgt, linked
    reading.check(of_text)
    if source.digest().hex() != fingerprint:
        raise UserError(f"guide.links={links} was changed while it was read: start again")
