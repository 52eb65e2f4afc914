"""Sentence pairs from named columns: TSV, JSON Lines, Parquet, and the Arrow tables of Hugging Face data sets."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.data.corpus import check_text
from nmt.data.files import Source, compression, lines_of, unreadable
from nmt.errors import UserError

NESTED = "translation"
"""The column in which data sets of the Hugging Face Hub keep all languages of a row: `{"de": …, "en": …}`."""

TAB = "\t"

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

    def places(self, origin: object, names: Sequence[str], nested: Sequence[str]) -> tuple[Place, Place]:
        """Where the source and the target of a row stand, given its column names and the keys inside `translation`.

        Raises:
            UserError: if `origin` has no such column (the message lists the columns that it has), or has one twice.
        """
        self.check_once(origin, names)
        self.check_once(origin, nested)

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

        src, tgt = place(self.src, self.src_column, "src"), place(self.tgt, self.tgt_column, "tgt")
        if src == tgt:
            raise UserError(
                f"{origin}: data.src and data.tgt are both read from column {'.'.join(src)}: "
                "set data.src_column and data.tgt_column to two columns"
            )
        return src, tgt

    def check_once(self, origin: object, names: Sequence[str]) -> None:
        """Raise `UserError` if a column that could be meant is there more than once."""
        for name in (self.src, self.tgt, self.src_column, self.tgt_column, NESTED):
            if (count := names.count(name)) > 1:
                times = "twice" if count == 2 else f"{count} times"
                raise UserError(f"{origin} has column {name} {times}, and it is not clear which is meant: rename or remove one")


def one_line(text: str) -> str:
    r"""A text as one segment: a final line break is dropped, and one inside, `\n` or `\r\n`, becomes a space."""
    return re.sub("\r?\n", " ", text.removesuffix("\n").removesuffix("\r"))


def _tsv_pairs(source: Source, columns: Columns) -> Iterator[tuple[str, str]]:
    return separated_pairs(source, columns)


def separated_pairs(
    source: Source, columns: Columns, *, separator: str = "\t", header: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """A header, unless it is given here, then a row per line; a tab separates two cells, and a quotation mark is text."""
    lines = lines_of(source)
    begin = 1 if header else 2
    if not header:
        first = next(lines, None)
        if first is None:
            return
        header = first.split(separator)
    (src,), (tgt,) = columns.places(source.name, header, ())
    src_index, tgt_index = header.index(src), header.index(tgt)
    number = begin - 1
    for number, line in enumerate(lines, start=begin):
        cells = line.split(separator)
        if len(cells) != len(header):
            raise UserError(
                f"{source.name}: line {number} has {len(cells)} cells, but the header has {len(header)}: "
                f"cells are separated by one {'tab' if separator == TAB else separator!r} and never quoted"
            )
        yield cells[src_index], cells[tgt_index]
    check_count(source.name, number, source.lines)


def _jsonl_pairs(source: Source, columns: Columns) -> Iterator[tuple[str, str]]:
    """A JSON object per line."""
    places: tuple[Place, Place] | None = None
    number = 0
    for number, line in enumerate(lines_of(source), start=1):
        where = f"{source.name}: line {number}"

        def unique(members: list[tuple[str, Any]], where: str = where) -> dict[str, Any]:
            found = dict(members)
            if len(found) != len(members):
                columns.check_once(where, [name for name, _ in members])
            return found

        try:
            row = json.loads(line, object_pairs_hook=unique)
        except UserError:
            raise
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where} is not a JSON object: {error}") from error
        if not isinstance(row, dict):
            raise UserError(f"{where} is not a JSON object, but a {type(row).__name__}")
        if places is None:
            nested = row.get(NESTED)
            places = columns.places(source.name, list(row), list(nested) if isinstance(nested, dict) else ())
        src, tgt = (_json_text(row, place, where) for place in places)
        yield src, tgt
    check_count(source.name, number, source.lines)


def check_count(origin: object, read: int, counted: int) -> None:
    """Raise `UserError` unless as many rows were read as a count of another kind has found."""
    if read != counted:
        raise UserError(f"{origin} was read as {read:,} rows, but has {counted:,}: nothing may be lost, so it is not used")


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


def _parquet_pairs(source: Source, columns: Columns) -> Iterator[tuple[str, str]]:
    import pyarrow.parquet

    try:
        with source.open_whole() as stream, pyarrow.parquet.ParquetFile(stream) as file:
            schema = file.schema_arrow
            wanted = {place[0] for place in arrow_places(source.name, schema, columns)}
            batches = file.iter_batches(columns=sorted(wanted))
            yield from arrow_pairs(source.name, schema, batches, columns, rows=file.metadata.num_rows)
    except (pyarrow.ArrowException, OSError) as error:
        raise unreadable(source.name, error) from error


def arrow_places(origin: object, schema: Any, columns: Columns) -> tuple[Place, Place]:
    """Where the two sides stand in an Arrow schema.

    Raises:
        UserError: if a column is missing or does not hold text.
    """
    import pyarrow.types as types

    structs = [field for field in schema if field.name == NESTED and types.is_struct(field.type)]
    nested = {field.name: field.type for struct in structs for field in struct.type}
    columns.check_once(origin, [field.name for struct in structs for field in struct.type])
    places = columns.places(origin, schema.names, list(nested))
    for place in places:
        kind = nested[place[1]] if len(place) == 2 else schema.field(place[0]).type
        content = kind.value_type if types.is_dictionary(kind) else kind
        if not (types.is_string(content) or types.is_large_string(content) or types.is_string_view(content)):
            raise UserError(f"{origin} holds {kind} in column {'.'.join(place)}, which must hold text")
    return places


def arrow_pairs(
    origin: object, schema: Any, batches: Iterable[Any], columns: Columns, *, rows: int
) -> Iterator[tuple[str, str]]:
    """The pairs of Arrow record batches or tables that have the given schema, and as many rows in all."""
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
    check_count(origin, row, rows)


FORMATS: dict[str, Callable[[Source, Columns], Iterator[tuple[str, str]]]] = {
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

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read."""
        return (self.path,)

    def pairs(self, sources: Sequence[Source]) -> Iterator[tuple[str, str]]:
        """The pairs in file order.

        Args:
            sources: the file, to be read.

        Raises:
            UserError: if the file has no row or cannot be read as text in the columns that were asked for.
        """
        pair = None
        for pair in FORMATS[table_format(self.path)](sources[0], self.columns):
            yield pair
        if pair is None:
            raise UserError(f"{self.path} is empty: it has no row")

    def digest(self, hashes: Sequence[bytes]) -> bytes:
        """A hash of the bytes of the file, given what `hash_file` says of it."""
        return table_format(self.path).encode() + hashes[0]
