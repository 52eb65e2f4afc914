"""The files of a data set that `datasets` would read with losses, TSV and CSV, and what it does not notice in JSON."""

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import chain, islice
from pathlib import Path
from typing import Any

from nmt.data.files import READERS, Source, compression, lines_of
from nmt.data.tables import NESTED, Columns, check_count, one_line, separated_pairs
from nmt.errors import UserError

_READ = {"sep", "delimiter", "names", "column_names", "quoting", "header"}
_HARMLESS = {"name", "version", "data_dir", "data_files", "description", "features", "chunksize", "engine", "memory_map"}
_ABOUT_NOTHING = {"na_values", "keep_default_na", "na_filter", "skip_blank_lines"}  # all that is in a cell is text here


@dataclass(frozen=True)
class DataFile:
    """A file of a data set on this machine.

    Attributes:
        path: where it lies.
        name: what it is called in the data set: its path or its address there.
    """

    path: Path
    name: str

    def source(self) -> Source:
        """The file, to be read once."""
        ending = Path(self.name).suffix
        return Source(self.path, ending=ending if ending in READERS else "", name=self.name)


def local_files(builder: Any) -> dict[str, list[DataFile]]:
    """The files of each split of a data set, downloaded where they must be; those in a .zip file one by one."""
    import datasets

    manager = datasets.DownloadManager(
        dataset_name=builder.dataset_name, download_config=datasets.DownloadConfig(token=builder.token)
    )
    names = {str(split): [str(name) for name in files] for split, files in (builder.config.data_files or {}).items()}
    found: dict[str, list[DataFile]] = {split: [] for split in names}
    for split, paths in manager.download(names).items():
        for name, path in zip(names[split], paths, strict=True):
            if Path(name).suffix == ".zip":
                inside = sorted(manager.iter_files(manager.extract(path)))
                found[split] += [DataFile(Path(file), f"{name}/{Path(file).name}") for file in inside]
            else:
                found[split].append(DataFile(Path(path), name))
    return found


class SeparatedFiles:
    """The splits of a data set of TSV or CSV files.

    In TSV a quotation mark is text and a line is a row. In CSV a cell may be quoted and hold line breaks then; where that
    would swallow rows, because a quotation mark that is text was not doubled, it is an error.

    Args:
        builder: of `datasets`, which knows the files and what the card of the data set says of them.
        columns: what to read.
        where: what errors call the data set.

    Raises:
        UserError: if the card asks for something that is not supported.
    """

    def __init__(self, builder: Any, columns: Columns, where: str) -> None:
        settings, default = builder.config, type(builder.config)()
        names = {field.name for field in fields(default)} - _READ - _HARMLESS - _ABOUT_NOTHING
        changed = [name for name in sorted(names) if getattr(settings, name) != getattr(default, name)]
        if settings.header not in ("infer", None if settings.names else 0) or (settings.header == 0 and settings.names):
            changed.append("header")
        if "encoding" in changed and str(settings.encoding).lower().replace("-", "") == "utf8":
            changed.remove("encoding")
        if changed:
            raise UserError(
                f"{where}: the card of the data set sets {changed[0]}={getattr(settings, changed[0])!r} for its files, which "
                "is not supported: convert them, and use data=text, which reads .tsv, .jsonl and .parquet files"
            )
        self._columns = columns
        self._separator = str(settings.sep)
        self._header = [str(name) for name in settings.names or ()]
        self._unquoted = settings.quoting == csv.QUOTE_NONE
        self._files = local_files(builder)

    def pairs(self, spec: str) -> Iterator[tuple[str, str]]:
        """The pairs of a split, or of parts of some, as `datasets` understands `train[:-10]+test`.

        Raises:
            ValueError: if there is no such split; the pairs themselves raise `UserError` if they cannot be read.
        """
        if spec in self._files:
            return self._of_split(spec)
        import datasets

        counts = {split: sum(1 for _ in self._of_split(split)) for split in self._files}
        parts = datasets.ReadInstruction.from_spec(spec).to_absolute(counts)
        return chain.from_iterable(islice(self._of_split(part.splitname), part.from_, part.to) for part in parts)

    def _of_split(self, split: str) -> Iterator[tuple[str, str]]:
        for file in self._files[split]:
            plain = file.name.removesuffix(compression(Path(file.name)))
            read = separated_pairs if self._unquoted or plain.endswith(".tsv") else _csv_pairs
            yield from read(file.source(), self._columns, separator=self._separator, header=self._header)


def _csv_pairs(
    source: Source, columns: Columns, *, separator: str = ",", header: list[str] | None = None
) -> Iterator[tuple[str, str]]:
    places: tuple[int, int] | None = None
    width = 0
    for first, last, cells, lines in _csv_records(source, separator):
        if places is None:
            names = header or cells
            (src,), (tgt,) = columns.places(source.name, names, ())
            places, width = (names.index(src), names.index(tgt)), len(names)
            if not header:
                continue
        where = f"{source.name}: line {first}" if first == last else f"{source.name}: lines {first} to {last}"
        if first != last and all(line.count(separator) >= width - 1 for line in lines if line):
            raise UserError(
                f"{where} are one row, because a quotation mark opens in the first and closes in the last, but each looks like "
                "a row of its own: double each quotation mark that is text, or make it a .tsv file, where none has a meaning"
            )
        if len(cells) != width:
            raise UserError(
                f"{where} has {len(cells)} cells, but the header has {width}: those that hold {separator!r}, a quotation mark "
                "or a line break must be quoted, and quotation marks in them doubled"
            )
        yield one_line(cells[places[0]]), one_line(cells[places[1]])


def _csv_records(source: Source, separator: str) -> Iterator[tuple[int, int, list[str], list[str]]]:
    """The first and last line of each record, its cells, and its lines; empty lines between records are none."""
    begun: list[str] = []

    def fed() -> Iterator[str]:
        for line in lines_of(source):
            begun.append(line)
            yield f"{line}\n"

    csv.field_size_limit(sys.maxsize)  # documents have long cells, and one that has swallowed rows shall be told as such
    reader = csv.reader(fed(), delimiter=separator, strict=True)
    read = 0
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise UserError(
                f"{source.name}: line {read + 1}: {error}; a cell that holds a quotation mark must be quoted, and the "
                "mark doubled"
            ) from error
        if cells is None:
            break
        first, read = read + 1, reader.line_num
        lines = begun[:]
        begun.clear()
        if cells:
            yield first, read, cells, lines
    check_count(source.name, read, source.lines)


def check_json(files: list[DataFile], columns: Columns) -> None:
    """Raise `UserError` if an object in JSON files has a key twice that could be meant: `datasets` takes the last."""
    keys = {key for key in (columns.src, columns.tgt, columns.src_column, columns.tgt_column, NESTED) if key is not None}
    spelled = [json.dumps(key, ensure_ascii=False) for key in keys]
    for file in files:
        lines = lines_of(file.source())
        for number, line in enumerate(lines, start=1):
            if number == 1 and line.lstrip().startswith("["):
                _check_object("\n".join([line, *lines]), file.name, columns)
            elif "\\u" in line or any(line.count(key) > 1 for key in spelled):
                _check_object(line, f"{file.name}: line {number}", columns)


def _check_object(text: str, where: str, columns: Columns) -> None:
    def unique(members: list[tuple[str, Any]]) -> None:
        columns.check_once(where, [name for name, _ in members])

    try:
        json.loads(text, object_pairs_hook=unique)
    except UserError:
        raise
    except (ValueError, RecursionError):  # which is told when it is read
        return
