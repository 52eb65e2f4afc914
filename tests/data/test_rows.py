"""No row is lost or merged, whatever reads it, and what is not clear or not UTF-8 is told."""

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from nmt.commands.streams import chunks_in
from nmt.data.hub import HubCorpus
from nmt.data.store import Dropped, open_store
from nmt.data.tables import Columns, arrow_pairs
from nmt.data.text import TextCorpus
from nmt.data.tokenizer import Tokenizer
from nmt.errors import UserError

Pair = tuple[str, str]
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
ODD = [
    ('"Es fing an', 'it "began'),
    *[(f"Satz {number}", f"sentence {number}") for number in range(40)],
    ('und es endete"', 'and ended"'),
    ('"ganz"', '"whole"'),
    ("NA", "None"),
    ("null", "nan"),
    ("N/A", "1.50"),
    ("", "no source"),
    ("kein Ziel", ""),
    ("", ""),
    ("# kein Kommentar", "a\rb"),
    ("a\0b", "c\u2028d\x0ce"),
    (" Rand ", "\u00a0edge "),
    ("\\", "\\t"),
    ("a,b;c", "d,e"),
]


@pytest.fixture(autouse=True)
def no_network_and_a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def text(train: object, **settings: Any) -> TextCorpus:
    defaults = {"dev": None, "test": None, "src_column": None, "tgt_column": None, "max_length": 256}
    return TextCorpus(**{"src": "de", "tgt": "en", "train": str(train), **defaults, **settings})


def hub(folder: Path, **settings: Any) -> HubCorpus:
    defaults = {
        "config": None,
        "folder": None,
        "revision": None,
        "src": "de",
        "tgt": "en",
        "src_column": None,
        "tgt_column": None,
        "train_split": "train",
        "dev_split": None,
        "test_split": None,
        "max_length": 256,
    }
    return HubCorpus(**{"name": str(folder), **defaults, **settings})


def made(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def tsv(pairs: list[Pair], end: str = "\n", last: str = "\n") -> bytes:
    rows = [f"{number}\t{en}\t{de}" for number, (de, en) in enumerate(pairs)]
    return (end.join(["id\ten\tde", *rows]) + last).encode()


def failure(corpus: HubCorpus | TextCorpus, split: str = "train") -> str:
    with pytest.raises(UserError) as caught:
        list(corpus.pairs(split))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# TSV and CSV of data sets.


@pytest.mark.parametrize("ending", ["", *COMPRESS])
def test_a_tsv_of_a_data_set_is_read_as_data_text_reads_it(tmp_path: Path, ending: str) -> None:
    content = COMPRESS.get(ending, bytes)(tsv(ODD))
    folder = made(tmp_path / "set", {f"train.tsv{ending}": content})
    assert list(hub(folder).pairs("train")) == ODD == list(text(folder / f"train.tsv{ending}").pairs("train"))


@pytest.mark.parametrize(("end", "last"), [("\r\n", "\r\n"), ("\n", ""), ("\r\n", "")])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_marks_of_a_tsv_are_no_text(tmp_path: Path, end: str, last: str, mark: str) -> None:
    folder = made(tmp_path / "set", {"train.tsv": mark.encode() + tsv(ODD, end, last)})
    assert list(hub(folder).pairs("train")) == ODD


def test_several_tsv_files_and_parts_of_splits_lose_no_row(tmp_path: Path) -> None:
    files = {"train-1.tsv": tsv(ODD[:30]), "train-2.tsv": tsv(ODD[30:], last=""), "test.tsv": tsv(ODD[:3])}
    folder = made(tmp_path / "set", files)
    parts = {"train_split": "train[:-4]", "dev_split": "train[-4:]", "test_split": "train[1:3]+test"}
    corpus = hub(folder, **parts)
    assert list(corpus.pairs("train")) + list(corpus.pairs("dev")) == ODD
    assert list(corpus.pairs("test")) == ODD[1:3] + ODD[:3]
    assert list(hub(folder, train_split="train[50%:]").pairs("train")) == ODD[len(ODD) // 2 :]
    assert 'Unknown split "dev". Should be one of' in failure(hub(folder, dev_split="dev[:3]"), "dev")
    assert 'Unknown split "dev". Should be one of' in failure(hub(folder, dev_split="dev"), "dev")


@pytest.mark.parametrize("row", ["1\ta", "1\ta\tb\tc", ""])
def test_a_tsv_row_of_another_width_is_told_with_its_line(tmp_path: Path, row: str) -> None:
    folder = made(tmp_path / "set", {"train.tsv": tsv(ODD[:2]) + f"{row}\n".encode() + tsv(ODD[2:])})
    message = failure(hub(folder))
    assert message.startswith(f"{folder / 'train.tsv'}: line 4 has {len(row.split(chr(9)))} cells, but the header has 3")


def test_the_ids_hold_every_row_of_a_tsv_with_quotations_or_count_it(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = made(tmp_path / "set", {"train.tsv": tsv(ODD)})
    store = open_store(hub(folder), "train", tokenizer, tmp_path / "ids")
    assert store.dropped == Dropped(empty=3, long=0)
    assert len(store) + 3 == len(ODD)


CSV = [("Er sagte: „ja“, und ging", 'he said: "yes", and left'), ("zwei\nZeilen", "two"), ("NA", "null"), ("x", "1"), ("", "e")]


def test_a_csv_with_quoted_cells_is_read(tmp_path: Path) -> None:
    rows = ['"{}","{}"'.format(*(side.replace('"', '""') for side in pair)) for pair in CSV]
    folder = made(tmp_path / "set", {"train.csv": "\r\n".join(["de,en", *rows, ""]).encode()})
    assert list(hub(folder).pairs("train")) == [(de.replace("\n", " "), en) for de, en in CSV]


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        (["a,b", 'c,"d', *["e,f"] * 38, 'g,h"', "i,j"], "lines 3 to 42"),
        (["a,b", '"c,d', "e,f", 'g",h'], "lines 3 to 5"),
        (['a,"b', 'c,d"'], "lines 2 to 3"),
    ],
)
def test_a_csv_cell_that_has_swallowed_rows_is_an_error(tmp_path: Path, rows: list[str], lines: str) -> None:
    folder = made(tmp_path / "set", {"train.csv": "\n".join(["de,en", *rows, ""]).encode()})
    message = failure(hub(folder))
    assert message.startswith(f"{folder / 'train.csv'}: {lines} ")
    assert "mark" in message


def test_rows_swallowed_in_the_middle_of_rows_are_an_error(tmp_path: Path) -> None:
    folder = made(tmp_path / "set", {"train.csv": b'id,de,en\n1,"a,b\n2,c",d\n3,e,f\n'})
    assert "lines 2 to 3 are one row" in failure(hub(folder))


@pytest.mark.parametrize(("rows", "line"), [('a,"b\nc,d\n', 2), ('a,b\nc,"d" e\n', 3), ("a,b\rc\n", 2)])
def test_a_csv_that_breaks_its_own_rules_is_an_error(tmp_path: Path, rows: str, line: int) -> None:
    folder = made(tmp_path / "set", {"train.csv": f"de,en\n{rows}".encode()})
    assert failure(hub(folder)).startswith(f"{folder / 'train.csv'}: line {line}")


def test_what_the_card_says_of_csv_files_is_heeded_or_refused(tmp_path: Path) -> None:
    card = '---\nconfigs:\n- config_name: default\n  data_files: "x.csv"\n  {}\n---\n'
    folder = made(tmp_path / "set", {"x.csv": b"a;b\nNA;d\n", "README.md": card.format('sep: ";"').encode()})
    assert list(hub(folder, src="a", tgt="b").pairs("train")) == [("NA", "d")]
    made(folder, {"README.md": card.format('sep: ";"\n  column_names: [de, en]').encode()})
    assert list(hub(folder).pairs("train")) == [("a", "b"), ("NA", "d")]
    made(folder, {"README.md": card.format("skiprows: 1").encode()})
    assert "the card of the data set sets skiprows=1" in failure(hub(folder))


def test_csv_that_datasets_has_cached_is_not_trusted(tmp_path: Path) -> None:
    folder = made(tmp_path / "set", {"train.tsv": tsv(ODD[1:5])})
    datasets.load_dataset(str(folder), split="train")
    (tmp_path / "cache" / "set").rename(tmp_path / "cache" / "some-org___set")  # as if it had come from the Hub
    assert "cannot be used from the cache: rows of CSV and TSV files may be lost there" in failure(hub(Path("some-org/set")))


# Independent counts.


def test_a_reader_that_gives_less_than_there_is_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pyarrow.Table.from_pylist([{"de": "a", "en": "b"}] * 3)
    with pytest.raises(UserError, match="x was read as 3 rows, but has 4"):
        list(arrow_pairs("x", table.schema, table.to_batches(), Columns("de", "en", None, None), rows=4))
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet", row_group_size=1)
    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "iter_batches", lambda *_, **__: [*table.to_batches()[:1], table[:1]])
    with pytest.raises(UserError, match=r"x\.parquet was read as 4 rows, but has 3"):
        list(text(tmp_path / "x.parquet").pairs("train"))


@pytest.mark.parametrize("name", ["x.tsv", "x.jsonl", "x"])
def test_lines_are_counted_by_their_ends(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import nmt.data.files

    original = nmt.data.files._split

    def lossy(source: Any) -> Any:
        for number, line in enumerate(original(source)):
            if number != 2:
                yield line

    made(tmp_path, {"x.tsv": tsv(ODD), "x.jsonl": b'{"de": "a", "en": "b"}\n' * 5, "x.de": b"a\n" * 5, "x.en": b"b\n" * 5})
    corpus = text(tmp_path / name)
    monkeypatch.setattr(nmt.data.files, "_split", lossy)
    assert "lines, but" in failure(corpus)


# Columns that are there twice.


def test_a_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    folder = made(tmp_path / "set", {"train.tsv": b"de\ten\tde\na\tb\tc\n", "x.jsonl": b'{"de": "a", "en": "b", "de": "c"}\n'})
    nested = b'{"de": "a", "en": "b"}\n{"translation": {"de": "a", "en": "b", "en": "c"}, "de": "a", "en": "b"}\n'
    made(folder, {"y.jsonl": nested})
    arrays = [pyarrow.array([text]) for text in "abc"]
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(arrays, ["de", "en", "en"]), folder / "x.parquet")
    for name, place, column in (
        ("train.tsv", "train.tsv", "de"),
        ("x.jsonl", "x.jsonl: line 1", "de"),
        ("y.jsonl", "y.jsonl: line 2", "en"),
        ("x.parquet", "x.parquet", "en"),
    ):
        with pytest.raises(UserError) as caught:
            list(text(folder / name).pairs("train"))
        message = f"{folder / place} has column {column} twice, and it is not clear which is meant: rename or remove one"
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.tsv", b"de\ten\tde\na\tb\tc\n"),
        ("train.csv", b"de,en,de\na,b,c\n"),
        ("train.jsonl", b'{"translation": {"de": "a", "en": "b", "d\\u0065": "c"}}\n'),
        ("train.json", b'[{"de": "a", "en": "b"},\n {"de": "a", "en": "b", "de": "c"}]\n'),
    ],
)
def test_a_column_of_a_data_set_that_is_there_twice_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    folder = made(tmp_path / "set", {name: content})
    message = failure(hub(folder))
    assert message.startswith(f"{folder / name}")
    assert "has column de twice" in message


def test_a_column_of_no_interest_may_be_there_twice(tmp_path: Path) -> None:
    path = made(tmp_path, {"x.tsv": b"id\tde\ten\tid\n1\ta\tb\t2\n", "x.jsonl": b'{"id": 1, "id": 2, "de": "a", "en": "b"}\n'})
    for name in ("x.tsv", "x.jsonl"):
        assert list(text(path / name).pairs("train")) == [("a", "b")]


def test_one_column_for_both_sides_is_an_error(tmp_path: Path) -> None:
    path = made(tmp_path, {"x.tsv": b"de\ten\na\tb\n"}) / "x.tsv"
    with pytest.raises(UserError, match=r"data\.src and data\.tgt are both read from column en"):
        text(path, src_column="en")


# Damage at the end, and bytes that are not UTF-8.


@pytest.mark.parametrize("ending", COMPRESS)
@pytest.mark.parametrize("garbage", [b"garbage", b"more lines\n" * 1000])
def test_what_follows_compressed_data_and_is_none_is_an_error(tmp_path: Path, ending: str, garbage: bytes) -> None:
    compress = COMPRESS[ending]
    made(tmp_path, {f"x.de{ending}": compress(b"a\n") + garbage, f"x.en{ending}": compress(b"b\n")})
    with pytest.raises(UserError, match=rf"x\.de{ending} is (damaged|cut off)"):
        list(text(tmp_path / "x").pairs("train"))


@pytest.mark.parametrize("ending", COMPRESS)
def test_compressed_parts_that_follow_each_other_are_all_read(tmp_path: Path, ending: str) -> None:
    compress, padding = COMPRESS[ending], {".gz": bytes(12), ".xz": bytes(8)}.get(ending, b"")
    both = [compress(b"a\nb") + padding + compress(b"c\n" + b"d\n" * 99_999) + padding, compress(b"x\n" * 100_001)]
    made(tmp_path, dict(zip((f"x.de{ending}", f"x.en{ending}"), both, strict=True)))
    assert [src for src, _ in text(tmp_path / "x").pairs("train")] == ["a", "bc", *["d"] * 99_999]


WIDE = ["UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"]


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("sentence", ["der Hund\n", "Ещё a dog\n", "Straße, größer\r\n"])
def test_text_of_another_width_gets_the_advice_for_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, mark: str, sentence: str
) -> None:
    content = (mark + sentence * 300).encode(encoding)
    made(tmp_path, {"x.de": content, "x.en": b"a\n" * 300, "y.de": b"a\n" * 300})
    made(tmp_path, {"y.en.gz": gzip.compress(content), "set.tsv": (mark + f"de\ten\na\t{sentence}").encode(encoding)})
    folder = made(tmp_path / "set", {"train.tsv": (tmp_path / "set.tsv").read_bytes()})
    advice = f"is {encoding[:6]}, but text must be UTF-8; convert it: iconv -f {encoding} -t UTF-8 FILE > NEW"
    for train in ("x", "y", "set.tsv"):
        with pytest.raises(UserError, match=advice):
            list(text(tmp_path / train).pairs("train"))
    assert advice in failure(hub(folder))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(content))))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=f"standard input {advice}"):
        list(chunks_in(None))


@pytest.mark.parametrize("content", [b"a\0b\n", b"a\0b", b"\0\n", b"x\0y\n" * 99, b"a\0\0b and more\n" + bytes(3) + b"\n"])
def test_stray_nuls_stay_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    made(tmp_path, {"x.de": content, "x.en": content})
    expected = content.decode().removesuffix("\n").split("\n")
    assert [src for src, _ in text(tmp_path / "x").pairs("train")] == expected
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(content))))  # type: ignore[arg-type]
    assert [line for chunk in chunks_in(None) for line in chunk] == expected


@pytest.mark.parametrize("marked", ["de", "en"])
def test_a_mark_on_one_side_only_is_no_text(tmp_path: Path, marked: str) -> None:
    for language in ("de", "en"):
        made(tmp_path, {f"x.{language}": ("\ufeff" if language == marked else "").encode() + b"a\nb\n"})
    assert list(text(tmp_path / "x").pairs("train")) == [("a", "a"), ("b", "b")]


def test_json_of_a_data_set_keeps_every_row(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"de": de, "en": en}) + "\n" for de, en in ODD)
    folder = made(tmp_path / "set", {"train.jsonl": rows.encode()})
    assert list(hub(folder).pairs("train")) == ODD
