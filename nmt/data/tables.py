"""Sentence pairs from named columns: TSV, JSON Lines, Parquet, and the Arrow tables of Hugging Face data sets."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.data.corpus import check_text
from nmt.data.files import compression, hash_file, read_lines, unreadable
from nmt.errors import UserError

NESTED = "translation"
"""The column in which data sets of the Hugging Face Hub keep all languages of a row: `{"de": …, "en": …}`."""

Place = tuple[str, ...]
"""The keys that lead from a row to a text: `("de",)` or `("translation", "de")`."""


@dataclass(frozen=True)
class Columns:
    """How to find the two sides of a row: in the named columns, else under `translation`, else by language."""

    src: str
    tgt: str
    src_column: str | None
    tgt_column: str | None

    def __post_init__(self) -> None:
        check_text(src_column=self.src_column, tgt_column=self.tgt_column)
        if self.src_column is not None and self.src_column == self.tgt_column:
            raise UserError(f"data.src_column and data.tgt_column must be two columns, but both are {self.src_column}")

    def places(self, origin: object, names: Collection[str], nested: Collection[str]) -> tuple[Place, Place]:
        """Where the source and the target of a row stand, given its column names and the keys inside `translation`.

        Raises:
            UserError: if `origin` has no such column; the message lists the columns that it has.
        """

        def place(language: str, column: str | None, key: str) -> Place:
            if column is None and language in nested:
                return (NESTED, language)
            if (column or language) in names:
                return (column or language,)
            existing = [name for name in names if not (name == NESTED and nested)]
            existing += [f"{NESTED}.{name}" for name in nested]
            raise UserError(
                f"{origin} has no column {column or language}; its columns are {', '.join(existing) or 'none':.300}: "
                f"set data.{key} to a language or data.{key}_column to a column that is there"
            )

        return place(self.src, self.src_column, "src"), place(self.tgt, self.tgt_column, "tgt")


def one_line(text: str) -> str:
    r"""A text as one segment: a final line break is dropped, and one inside, `\n` or `\r\n`, becomes a space."""
    return re.sub("\r?\n", " ", text.removesuffix("\n").removesuffix("\r"))


def _tsv_pairs(path: Path, columns: Columns) -> Iterator[tuple[str, str]]:
    """A header, then a row per line; a tab separates two cells, and a quotation mark is text."""
    lines = read_lines(path)
    first = next(lines, None)
    if first is None:
        return
    header = first.split("\t")
    (src,), (tgt,) = columns.places(path, header, ())
    src_index, tgt_index = header.index(src), header.index(tgt)
    for number, line in enumerate(lines, start=2):
        cells = line.split("\t")
        if len(cells) != len(header):
            raise UserError(
                f"{path}: line {number} has {len(cells)} cells, but the header has {len(header)}: "
                "cells are separated by one tab and never quoted"
            )
        yield cells[src_index], cells[tgt_index]


def _jsonl_pairs(path: Path, columns: Columns) -> Iterator[tuple[str, str]]:
    """A JSON object per line."""
    places: tuple[Place, Place] | None = None
    for number, line in enumerate(read_lines(path), start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}: line {number} is not a JSON object: {error}") from error
        if not isinstance(row, dict):
            raise UserError(f"{path}: line {number} is not a JSON object, but a {type(row).__name__}")
        if places is None:
            nested = row.get(NESTED)
            places = columns.places(path, row, nested if isinstance(nested, dict) else ())
        src, tgt = (_json_text(row, place, f"{path}: line {number}") for place in places)
        yield src, tgt


def _json_text(row: Any, place: Place, where: str) -> str:
    value = row
    for key in place:
        value = value.get(key) if isinstance(value, Mapping) else None
    return _text(value, place, where)


def _text(value: object, place: Place, where: str) -> str:
    if not isinstance(value, str):
        found = "nothing" if value is None else f"{value!r:.40}"
        raise UserError(f"{where} holds {found} in column {'.'.join(place)}, which must hold text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{where} holds half a surrogate pair in column {'.'.join(place)}, which is no text") from error
    return one_line(value)


def _parquet_pairs(path: Path, columns: Columns) -> Iterator[tuple[str, str]]:
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            wanted = {place[0] for place in arrow_places(path, schema, columns)}
            yield from arrow_pairs(path, schema, file.iter_batches(columns=sorted(wanted)), columns)
    except (pyarrow.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def arrow_places(origin: object, schema: Any, columns: Columns) -> tuple[Place, Place]:
    """Where the two sides stand in an Arrow schema.

    Raises:
        UserError: if a column is missing or does not hold text.
    """
    import pyarrow.types as types

    structs = [field for field in schema if field.name == NESTED and types.is_struct(field.type)]
    nested = {field.name: field.type for struct in structs for field in struct.type}
    places = columns.places(origin, schema.names, nested)
    for place in places:
        kind = nested[place[1]] if len(place) == 2 else schema.field(place[0]).type
        content = kind.value_type if types.is_dictionary(kind) else kind
        if not (types.is_string(content) or types.is_large_string(content) or types.is_string_view(content)):
            raise UserError(f"{origin} holds {kind} in column {'.'.join(place)}, which must hold text")
    return places


def arrow_pairs(origin: object, schema: Any, batches: Iterable[Any], columns: Columns) -> Iterator[tuple[str, str]]:
    """The pairs of Arrow record batches or tables that have the given schema."""
    import pyarrow.compute

    places = arrow_places(origin, schema, columns)
    row = 0
    for batch in batches:
        try:
            sides = []
            for name, *keys in places:
                column = batch.column(name)
                sides.append((pyarrow.compute.struct_field(column, keys) if keys else column).to_pylist())
        except UnicodeDecodeError as error:
            raise UserError(f"{origin}: text of rows {row + 1} to {row + len(batch)} is not valid UTF-8") from error
        for src, tgt in zip(*sides, strict=True):
            row += 1
            where = f"{origin}: row {row}"
            yield _text(src, places[0], where), _text(tgt, places[1], where)


FORMATS: dict[str, Callable[[Path, Columns], Iterator[tuple[str, str]]]] = {
    ".tsv": _tsv_pairs,
    ".jsonl": _jsonl_pairs,
    ".parquet": _parquet_pairs,
}


def table_format(path: Path) -> str:
    """The ending that says how the rows of a table are written, before that of its compression; else empty."""
    ending = Path(path.name.removesuffix(compression(path))).suffix
    return ending if ending in FORMATS else ""


@dataclass(frozen=True)
class Table:
    """One file with a row per sentence pair."""

    path: Path
    columns: Columns

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The pairs in file order.

        Raises:
            UserError: if the file has no row or cannot be read as text in the columns that were asked for.
        """
        pair = None
        for pair in FORMATS[table_format(self.path)](self.path, self.columns):
            yield pair
        if pair is None:
            raise UserError(f"{self.path} is empty: it has no row")

    def digest(self) -> bytes:
        """A hash of the bytes of the file."""
        return table_format(self.path).encode() + hash_file(self.path)
