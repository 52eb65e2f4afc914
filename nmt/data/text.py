"""Parallel text in files of the user: line-aligned ones, or one table with named columns."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.data.corpus import SPLITS, Corpus, Reading, check_languages
from nmt.data.files import Source, hash_file, lines_of
from nmt.data.stems import existing_file, side_file
from nmt.data.tables import FORMATS, Columns, Table, check_count, table_format
from nmt.errors import UserError
from nmt.paths import expanded


class TextCorpus(Corpus):
    """Parallel text read from files.

    A split is a stem or a list of them. The stem `corpus/train` stands for the line-aligned files `corpus/train.de` and
    `corpus/train.en`, plain or compressed (.gz, .bz2, .xz, .zst). A name that ends in .tsv, .jsonl (compressed or not)
    or .parquet is one file with a row per pair. Pairs keep the order of the files; nothing is dropped here.

    Args:
        src: source language: the ending of its files, or its column.
        tgt: target language.
        train: where the training pairs are; `dev` and `test` likewise, or None for none.
        src_column: column of the source in tables; None means the one under `translation` or the one named as the language.
        tgt_column: column of the target.
        max_length: training pairs with more pieces on either side are dropped by those who cut sentences into pieces.

    Raises:
        UserError: if a file is missing or empty, if it is not clear which file is meant, or if a setting makes no sense.
    """

    def __init__(
        self,
        *,
        src: str,
        tgt: str,
        train: str | Sequence[str] | None,
        dev: str | Sequence[str] | None,
        test: str | Sequence[str] | None,
        src_column: str | None,
        tgt_column: str | None,
        max_length: int,
    ) -> None:
        check_languages(src, tgt, max_length)
        self.src = src
        self.tgt = tgt
        self.max_length = max_length
        self._reading = repr((src, tgt, src_column, tgt_column))
        columns = Columns(src, tgt, src_column, tgt_column)
        given = {"train": train, "dev": dev, "test": test}
        self._parts = {split: _open(f"data.{split}", value, columns) for split, value in given.items() if value is not None}
        tables = any(isinstance(part, Table) for parts in self._parts.values() for part in parts)
        if not tables and (src_column is not None or tgt_column is not None):
            raise UserError(
                f"data.src_column and data.tgt_column name columns of {', '.join(FORMATS)} files, but none is given: "
                "line-aligned files are chosen by data.src and data.tgt"
            )

    def splits(self) -> tuple[str, ...]:
        """The names of the splits that were given, in the order train, dev, test."""
        return tuple(self._parts)

    def pairs(self, split: str) -> Iterator[tuple[str, str]]:
        """The (source, target) sentences of a split, in file order, read as they are asked for.

        Raises:
            UserError: if the text cannot be read as parallel sentences (the file, the line or both counts are named).
        """
        return itertools.chain.from_iterable(part.pairs(list(map(Source, part.files))) for part in self._split(split))

    def fingerprint(self, split: str) -> str:
        """A hash of the bytes of the files of a split, in their order, and of the languages and columns read from them."""
        return self._hash((part, [hash_file(path) for path in part.files]) for part in self._split(split))

    def read(self, split: str) -> Reading:
        """The pairs of a split, whose files are hashed as they are read."""
        opened = [(part, [Source(path, hashed=True) for path in part.files]) for part in self._split(split)]
        pairs = itertools.chain.from_iterable(part.pairs(sources) for part, sources in opened)
        return Reading(
            split, pairs, lambda: self._hash((part, [source.digest() for source in sources]) for part, sources in opened)
        )

    def _hash(self, hashes: "Iterable[tuple[AlignedFiles | Table, list[bytes]]]") -> str:
        digest = hashlib.sha256(self._reading.encode())
        for part, of_files in hashes:
            digest.update(part.digest(of_files))
        return digest.hexdigest()

    def _split(self, split: str) -> list["AlignedFiles | Table"]:
        if split not in SPLITS:
            raise UserError(f"split must be one of {', '.join(SPLITS)}, but is {split}")
        if split not in self._parts:
            raise UserError(f"there is no {split} split: give its files with data.{split}=DIR/{split}")
        return self._parts[split]


@dataclass(frozen=True)
class AlignedFiles:
    """Two files whose lines with the same number are translations of each other."""

    src: Path
    tgt: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read."""
        return (self.src, self.tgt)

    def pairs(self, files: Sequence[Source]) -> Iterator[tuple[str, str]]:
        """The pairs in file order; neither file is ever held as a whole.

        Args:
            files: both, to be read.

        Raises:
            UserError: if a file has no line, cannot be read as text, or has more lines than the other.
        """
        sources, targets = map(lines_of, files)
        count = 0
        for src, tgt in itertools.zip_longest(sources, targets):
            if src is None or tgt is None:
                break
            count += 1
            yield src, tgt
        else:
            if count == 0:
                raise UserError(f"{self.src} is empty")
            for file in files:
                check_count(file.name, count, file.lines)
            return
        counts = {
            self.src: count + (src is not None) + sum(1 for _ in sources),
            self.tgt: count + (tgt is not None) + sum(1 for _ in targets),
        }
        for path, lines in counts.items():
            if lines == 0:
                raise UserError(f"{path} is empty")
        raise UserError(
            f"{self.src} has {counts[self.src]} lines but {self.tgt} has {counts[self.tgt]}: "
            "line N of one must be the translation of line N of the other"
        )

    def digest(self, hashes: Sequence[bytes]) -> bytes:
        """A hash of the bytes of both files, given what `hash_file` says of each."""
        return b"".join(hashes)


def _open(key: str, value: str | Sequence[str], columns: Columns) -> list[AlignedFiles | Table]:
    """The files that the value of a key stands for, each seen to be there and to begin with a pair."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) and name for name in names):
        raise UserError(f"{key} must be a path or a list of paths, but is {value!r}")
    parts: list[AlignedFiles | Table] = []
    for name in names:
        path = expanded(name)
        if table_format(path):
            parts.append(Table(existing_file(path, key), columns))
        else:
            parts.append(AlignedFiles(side_file(path, columns.src, key), side_file(path, columns.tgt, key)))
        next(parts[-1].pairs(list(map(Source, parts[-1].files))))
    return parts
