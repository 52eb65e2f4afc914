"""How well pieces suit a text: how many a word takes, and how many are bytes or unknown."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from nmt.data.tokenizer import Side, Tokenizer
from nmt.vocabulary import UNK

LONGEST_WORD = 15
"""Characters of the mean word above which text is taken for one that does not put spaces between words."""


@dataclass(frozen=True)
class PieceCounts:
    """Counts over the sentences of a side: words between spaces, characters but spaces, pieces, bytes and <unk> among these."""

    words: int = 0
    characters: int = 0
    pieces: int = 0
    bytes: int = 0
    unknown: int = 0

    def __add__(self, other: "PieceCounts") -> "PieceCounts":
        return PieceCounts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def share_without_text(self) -> float:
        """The share of pieces that are bytes or unknown."""
        return (self.bytes + self.unknown) / max(self.pieces, 1)

    def __str__(self) -> str:
        unit, units = ("character", self.characters) if self.characters > LONGEST_WORD * self.words else ("word", self.words)
        shares = f"{self.bytes / max(self.pieces, 1):.2%} bytes, {self.unknown / max(self.pieces, 1):.2%} unknown"
        return f"{self.pieces / max(units, 1):.2f} a {unit}, {shares}"


class PieceCounter:
    """Counts the pieces of a side."""

    def __init__(self, tokenizer: Tokenizer, side: Side) -> None:
        self._size = tokenizer.src_size if side == "src" else tokenizer.tgt_size
        self._bytes = tokenizer.byte_ids(side)

    def count(self, texts: Sequence[str], encoded: Sequence[Sequence[int]]) -> PieceCounts:
        """The counts of sentences and their ids."""
        words = [text.split() for text in texts]
        ids = np.concatenate([np.asarray(one, np.int64) for one in encoded]) if encoded else np.zeros(0, np.int64)
        pieces = np.bincount(ids, minlength=self._size)
        return PieceCounts(
            words=sum(map(len, words)),
            characters=sum(len(word) for sentence in words for word in sentence),
            pieces=int(pieces.sum()),
            bytes=int(pieces[self._bytes].sum()),
            unknown=int(pieces[UNK]),
        )
