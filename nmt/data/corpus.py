"""What a corpus is: splits of sentence pairs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
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

    def read(self, split: str) -> "Reading":
        """The pairs of a split, to be read once, and checked afterwards to be those of a fingerprint."""
        return Reading(split, self.pairs(split), lambda: self.fingerprint(split))


class Reading:
    """The pairs of a split, read once, and what they were read from.

    Args:
        split: its name.
        pairs: of the split.
        fingerprint: of what was read; is called after the reading, which may have ended early.

    Attributes:
        rows: pairs read so far.
    """

    def __init__(self, split: str, pairs: Iterable[tuple[str, str]], fingerprint: Callable[[], str]) -> None:
        self.split = split
        self.rows = 0
        self._pairs = pairs
        self._fingerprint = fingerprint

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for pair in self._pairs:
            self.rows += 1
            yield pair

    def matches(self, fingerprint: str) -> bool:
        """Whether what was read, and what is still to be read, is what has this fingerprint."""
        return self._fingerprint() == fingerprint

    def check(self, fingerprint: str) -> None:
        """Raise `UserError` unless it does."""
        if not self.matches(fingerprint):
            raise UserError(f"the text of data.{self.split} was changed while it was read: start again")


class FixedCorpus(Corpus):
    """A corpus whose text must stay as it was when it was first asked for: what is read is compared with that.

    Args:
        corpus: any other one.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._fingerprints: dict[str, str] = {}
        self.src, self.tgt, self.max_length = corpus.src, corpus.tgt, corpus.max_length

    def splits(self) -> tuple[str, ...]:
        """Those of the corpus."""
        return self._corpus.splits()

    def pairs(self, split: str) -> Iterator[tuple[str, str]]:
        """The pairs of a split, as `read` gives them."""
        reading = self.read(split)
        yield from reading
        reading.check(self.fingerprint(split))

    def aligned(self, split: str) -> "Iterator[AlignedPair] | None":
        """Those of the corpus."""
        return self._corpus.aligned(split)

    def fingerprint(self, split: str) -> str:
        """The one that the split had at first."""
        if split not in self._fingerprints:
            self._fingerprints[split] = self._corpus.fingerprint(split)
        return self._fingerprints[split]

    def read(self, split: str) -> Reading:
        """The pairs of a split, to be checked afterwards."""
        self.fingerprint(split)
        return self._corpus.read(split)


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


def read_split(corpus: Corpus, split: str, fingerprint: str | None = None) -> tuple[list[str], list[str]]:
    """Sources and references of a split.

    Args:
        corpus: which has the split.
        split: its name.
        fingerprint: that the text must have which was read.

    Raises:
        UserError: if the corpus has no such split, it is empty, or it was changed meanwhile.
    """
    if split not in corpus.splits():
        raise no_split(split, corpus.splits())
    reading = corpus.read(split)
    pairs = list(reading)
    if not pairs:
        raise UserError(f"split={split} has no pairs")
    if fingerprint is not None:
        reading.check(fingerprint)
    return [src for src, _ in pairs], [tgt for _, tgt in pairs]
