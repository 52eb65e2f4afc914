"""What a corpus is: splits of sentence pairs."""

from collections.abc import Iterator
from typing import Protocol


class Corpus(Protocol):
    """Parallel text in up to three splits, `train`, `dev` and `test`.

    Attributes:
        src: name of the source language, such as `de`.
        tgt: name of the target language.
        max_length: training pairs with more pieces on either side are dropped.
    """

    src: str
    tgt: str
    max_length: int

    def splits(self) -> tuple[str, ...]:
        """The names of the splits that this corpus has, in the order train, dev, test."""
        ...

    def pairs(self, split: str) -> Iterator[tuple[str, str]]:
        """The (source, target) sentences of a split, in file order, without line breaks.

        Raises:
            UserError: if the text cannot be read as parallel sentences (the file, the line or both counts are named).
        """
        ...

    def fingerprint(self, split: str) -> str:
        """A hash of everything that decides the content of a split: two equal fingerprints mean equal text."""
        ...
