"""What a corpus is: splits of sentence pairs."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nmt.errors import UserError

if TYPE_CHECKING:
    from nmt.data.words import AlignedPair

SPLITS = ("train", "dev", "test")


class Corpus(ABC):
    """Parallel text in up to three splits, `train`, `dev` and `test`.

    Attributes:
        src: name of the source language, such as `de`.
        tgt: name of the target language.
        max_length: training pairs with more pieces on either side are dropped.
    """

    src: str
    tgt: str
    max_length: int

    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """The names of the splits that this corpus has, in the order train, dev, test."""

    @abstractmethod
    def pairs(self, split: str) -> Iterator[tuple[str, str]]:
        """The (source, target) sentences of a split, in file order, without line breaks.

        Raises:
            UserError: if the text cannot be read as parallel sentences (the file, the line or both counts are named).
        """

    def aligned(self, split: str) -> "Iterator[AlignedPair] | None":
        """The pairs of a split with gold links between their words; None for a corpus that has none."""
        return None

    @abstractmethod
    def fingerprint(self, split: str) -> str:
        """A hash of everything that decides the content of a split: two equal fingerprints mean equal text."""


def check_languages(src: str, tgt: str, max_length: int) -> None:
    """Raise `UserError` unless these are two languages and a length."""
    for key, language in (("src", src), ("tgt", tgt)):
        if not isinstance(language, str) or not language:
            raise UserError(f"data.{key} must be a language such as de, but is {language!r} (YAML needs quotes: 'no')")
    if src == tgt:
        raise UserError(f"data.src and data.tgt must be two languages, but both are {src}")
    if not isinstance(max_length, int) or isinstance(max_length, bool) or max_length < 1:
        raise UserError(f"data.max_length must be a whole number of pieces of at least 1, but is {max_length!r}")


def check_text(**settings: object) -> None:
    """Raise `UserError` unless each of these settings of `data` is text or None; YAML reads 0123 or no as something else."""
    for key, value in settings.items():
        if not isinstance(value, str | None):
            raise UserError(f"data.{key} must be text, but is {value!r}: put it in quotes")


def no_split(split: str, others: Sequence[str]) -> UserError:
    """The error for a split that a corpus has not."""
    if split not in SPLITS:
        return UserError(f"split must be one of {', '.join(SPLITS)}, but is {split!r}")
    have = f"has only {', '.join(others)}" if others else "has no text at all"
    return UserError(
        f"split={split} is not in the run's corpus, which {have}: set data.{split}=DIR/{split}, or data.{split}_split=NAME "
        "for a data set of the Hub"
    )


def read_split(corpus: Corpus, split: str) -> tuple[list[str], list[str]]:
    """Sources and references of a split.

    Raises:
        UserError: if the corpus has no such split, or it is empty.
    """
    if split not in corpus.splits():
        raise no_split(split, corpus.splits())
    pairs = list(corpus.pairs(split))
    if not pairs:
        raise UserError(f"split={split} has no pairs")
    return [src for src, _ in pairs], [tgt for _, tgt in pairs]
