"""Corpora in files: what is text and what is not, and what users are told when files are wrong."""

import bz2
import gzip
import json
import lzma
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from nmt.data.text import TextCorpus
from nmt.errors import UserError

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}

ODD = [
    ("Zeile\u2028Trenner", "line\u2028separator"),
    ("Absatz\u2029Ende\u0085neu", "paragraph\u2029end\u0085next"),
    ("Seite\x0cneu\x0bsenkrecht", "page\x0cnew\x0bvertical"),
    ("Wagen\rRücklauf", "carriage\rreturn"),
    ("", "empty source"),
    ("leeres Ziel", ""),
    ('"nur ein Anführungszeichen', 'a lone " quotation mark'),
    ("\\n kein Umbruch, \\t kein Tab", "geschütztes\u00a0Leerzeichen  "),
    ("\x1c\x1d\x1e", "😀 \U0001f1e9\U0001f1ea"),
]


def corpus(train: Any, **settings: Any) -> TextCorpus:
    defaults = {
        "src": "de",
        "tgt": "en",
        "dev": None,
        "test": None,
        "src_column": None,
        "tgt_column": None,
        "max_length": 256,
    }
    return TextCorpus(**{"train": train, **defaults, **settings})


def write_pair(stem: Path, pairs: list[tuple[str, str]], ending: str = "") -> str:
    for side, language in enumerate(("de", "en")):
        text = "".join(pair[side] + "\n" for pair in pairs)
        Path(f"{stem}.{language}{ending}").write_bytes(COMPRESS[ending](text.encode()))
    return str(stem)


def write_table(path: Path, rows: list[dict[str, Any]]) -> str:
    """The rows in the format that the name of the file asks for."""
    match path.suffixes[0]:
        case ".tsv":
            header = list(rows[0])
            text = "".join("\t".join(line) + "\n" for line in [header, *([row[name] for name in header] for row in rows)])
        case ".jsonl":
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        case ".parquet":
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=3)
            return str(path)
    path.write_bytes(COMPRESS["".join(path.suffixes[1:])](text.encode()))
    return str(path)


def failure(train: Any, split: str = "train", **settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        list(corpus(train, **settings).pairs(split))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def random_pairs(count: int) -> list[tuple[str, str]]:
    generator = random.Random(5)
    letters = "abcäöüß €中\u2028\u0085\x0c\x0b'\"\\"
    sides = ["".join(generator.choices(letters, k=generator.randrange(17))) for _ in range(2 * count)]
    return list(zip(sides[::2], sides[1::2], strict=True))


@pytest.mark.parametrize("ending", COMPRESS)
def test_a_line_of_text_comes_back_unchanged_from_every_compression(tmp_path: Path, ending: str) -> None:
    pairs = ODD + random_pairs(50)
    assert list(corpus(write_pair(tmp_path / "train", pairs, ending)).pairs("train")) == pairs


FLAT = ["x.parquet", *(f"x{kind}{ending}" for kind in (".tsv", ".jsonl") for ending in COMPRESS)]


@pytest.mark.parametrize("name", FLAT)
def test_tables_give_the_same_pairs_as_aligned_files(tmp_path: Path, name: str) -> None:
    pairs = ODD + random_pairs(50)
    rows = [{"id": str(number), "de": de, "en": en} for number, (de, en) in enumerate(pairs)]
    assert list(corpus(write_table(tmp_path / name, rows)).pairs("train")) == pairs


@pytest.mark.parametrize("name", [name for name in FLAT if ".tsv" not in name])
def test_languages_nested_under_translation_give_the_same_pairs(tmp_path: Path, name: str) -> None:
    pairs = ODD + random_pairs(50)
    rows = [{"id": str(number), "translation": {"en": en, "de": de}} for number, (de, en) in enumerate(pairs)]
    assert list(corpus(write_table(tmp_path / name, rows)).pairs("train")) == pairs


@pytest.mark.parametrize("name", ["x.tsv", "x.jsonl", "x.parquet"])
def test_columns_can_be_named(tmp_path: Path, name: str) -> None:
    path = write_table(tmp_path / name, [{"german": "a", "fr": "b", "english text": "c"}])
    assert list(corpus(path, src_column="german", tgt_column="english text").pairs("train")) == [("a", "c")]
    assert list(corpus(path, src="fr", tgt="de", tgt_column="german").pairs("train")) == [("b", "a")]


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet"])
def test_a_line_break_inside_a_cell_becomes_a_space_and_one_at_its_end_is_dropped(tmp_path: Path, name: str) -> None:
    path = write_table(tmp_path / name, [{"de": "eins\nzwei\r\ndrei\n", "en": "\n\n"}])
    assert list(corpus(path).pairs("train")) == [("eins zwei drei", " ")]


def test_windows_line_ends_byte_order_marks_and_a_missing_last_line_end_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "train.de").write_bytes("\ufeffeins\r\nzwei\r\n".encode())
    (tmp_path / "train.en").write_bytes("\ufeffone\ntwo\ufeff".encode())
    assert list(corpus(str(tmp_path / "train")).pairs("train")) == [("eins", "one"), ("zwei", "two\ufeff")]


def test_a_list_reads_one_corpus_after_the_other(tmp_path: Path) -> None:
    first, second = [("a", "b")], [("c", "d"), ("e", "f")]
    parts = [
        write_pair(tmp_path / "first", first, ".gz"),
        write_table(tmp_path / "second.tsv", [{"de": de, "en": en} for de, en in second]),
    ]
    assert list(corpus(parts).pairs("train")) == first + second
    assert list(corpus(parts[::-1]).pairs("train")) == second + first


def test_splits_are_those_that_are_given_and_keep_every_pair(tmp_path: Path) -> None:
    train, dev = write_pair(tmp_path / "train", [("a", "b")]), write_pair(tmp_path / "dev", ODD)
    text = corpus(train, dev=dev)
    assert text.splits() == ("train", "dev")
    assert list(text.pairs("dev")) == ODD
    assert corpus(train, dev=dev, test=dev).splits() == ("train", "dev", "test")
    assert "there is no test split" in failure(train, split="test")
    assert "split must be one of train, dev, test, but is valid" in failure(train, split="valid")


def test_frames_of_zstandard_follow_each_other_and_a_line_may_cross_them(tmp_path: Path) -> None:
    compress = zstandard.ZstdCompressor().compress
    stem = write_pair(tmp_path / "train", [("eins", "one"), ("zwei", "two")], ".zst")
    skippable = (0x184D2A50).to_bytes(4, "little") + (3).to_bytes(4, "little") + b"abc"
    Path(f"{stem}.de.zst").write_bytes(compress(b"ei") + skippable + compress(b"ns\nzw") + compress(b"ei"))
    assert list(corpus(stem).pairs("train")) == [("eins", "one"), ("zwei", "two")]


def test_a_fingerprint_depends_on_the_text_and_how_it_is_read_but_not_on_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    stem = write_pair(tmp_path / "train", [("a", "b")])
    same = write_pair(tmp_path / "elsewhere" / "other", [("a", "b")])
    other = write_pair(tmp_path / "other", [("a", "c")])
    table = write_table(tmp_path / "t.tsv", [{"de": "a", "en": "b", "en2": "c"}])
    prints = [
        corpus(stem).fingerprint("train"),
        corpus(stem, src="en", tgt="de").fingerprint("train"),
        corpus(other).fingerprint("train"),
        corpus([stem, stem]).fingerprint("train"),
        corpus(table).fingerprint("train"),
        corpus(table, tgt_column="en2").fingerprint("train"),
    ]
    assert len(set(prints)) == len(prints)
    assert corpus(same).fingerprint("train") == prints[0]
    assert corpus(stem, dev=same).fingerprint("dev") == prints[0]


def test_pairs_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    stem = write_pair(tmp_path / "train", [("a", "b")] * 3)
    with Path(f"{stem}.de").open("ab") as stream:
        stream.write(b"\xff\n")
    pairs = corpus(stem).pairs("train")
    assert [next(pairs) for _ in range(3)] == [("a", "b")] * 3
    with pytest.raises(UserError, match="line 4"):
        next(pairs)


# What users are told.


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@pytest.mark.parametrize(("de", "en"), [(5, 7), (7, 5), (1, 2)])
def test_files_of_different_length_are_told_with_both_counts(tmp_path: Path, ending: str, de: int, en: int) -> None:
    stem = write_pair(tmp_path / "train", [("a", "b")] * de, ending)
    Path(f"{stem}.en{ending}").write_bytes(COMPRESS[ending](b"b\n" * en))
    assert failure(stem).startswith(f"{stem}.de{ending} has {de} lines but {stem}.en{ending} has {en}: ")


@pytest.mark.parametrize("ending", COMPRESS)
@pytest.mark.parametrize("language", ["de", "en"])
def test_a_file_without_a_line_is_told(tmp_path: Path, ending: str, language: str) -> None:
    stem = write_pair(tmp_path / "train", [("a", "b")], ending)
    Path(f"{stem}.{language}{ending}").write_bytes(COMPRESS[ending](b""))
    assert failure(stem) == f"{stem}.{language}{ending} is empty"


@pytest.mark.parametrize("name", ["x.tsv", "x.jsonl", "x.parquet", "x.tsv.gz", "x.jsonl.xz"])
def test_a_table_without_a_row_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    assert failure(str(path)) == f"{path} is empty"
    if name == "x.parquet":
        text = pyarrow.array([], pyarrow.string())
        pyarrow.parquet.write_table(pyarrow.table({"de": text, "en": text}), path)
    else:
        header = b"de\ten\n" if name == "x.tsv" else b""
        path.write_bytes(COMPRESS["".join(path.suffixes[1:])](header))
        if name == "x.jsonl":
            return
    assert failure(str(path)) == f"{path} is empty: it has no row"


@pytest.mark.parametrize("ending", COMPRESS)
def test_bytes_that_are_not_utf_8_are_told_with_file_and_line(tmp_path: Path, ending: str) -> None:
    stem = write_pair(tmp_path / "train", [("a", "b")] * 3, ending)
    Path(f"{stem}.de{ending}").write_bytes(COMPRESS[ending]("a\na\ngrün\n".encode("latin-1")))
    assert failure(stem).startswith(f"{stem}.de{ending}: line 3 is not valid UTF-8 (byte 0xfc); convert the file")


@pytest.mark.parametrize("ending", [ending for ending in COMPRESS if ending])
@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_compressed_file_that_is_cut_off_is_told(tmp_path: Path, ending: str, kept: float) -> None:
    stem = write_pair(tmp_path / "train", random_pairs(500), ending)
    file = Path(f"{stem}.de{ending}")
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    assert failure(stem).startswith(f"{file} is cut off: it ends in the middle of its compressed data")


@pytest.mark.parametrize("ending", [ending for ending in COMPRESS if ending])
def test_a_file_that_is_not_what_its_ending_says_is_told(tmp_path: Path, ending: str) -> None:
    stem = write_pair(tmp_path / "train", [("a", "b")], ending)
    file = Path(f"{stem}.en{ending}")
    file.write_bytes(b"this is plain text, long enough for any header\n")
    assert failure(stem).startswith(f"{file} is damaged, or is no {ending} file: ")


def test_damage_in_the_middle_of_a_gzip_file_is_told(tmp_path: Path) -> None:
    stem = write_pair(tmp_path / "train", random_pairs(500), ".gz")
    file = Path(f"{stem}.de.gz")
    content = file.read_bytes()
    file.write_bytes(content[:100] + bytes(50) + content[150:])
    assert f"{file} is damaged, or is no .gz file: " in failure(stem)


def test_zstandard_is_asked_for_when_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stem = write_pair(tmp_path / "train", [("a", "b")], ".zst")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert failure(stem) == f"{stem}.de.zst: .zst files need the zstandard package: pip install 'nmt[zstd]'"


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stem = write_pair(tmp_path / "train", [("a", "b")])
    text = corpus(stem)

    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    for read in (lambda: list(text.pairs("train")), lambda: text.fingerprint("train")):
        with pytest.raises(UserError, match=r"train\.de cannot be read: Permission denied"):
            read()


def test_a_missing_language_is_told_with_the_languages_that_are_there(tmp_path: Path) -> None:
    stem = write_pair(tmp_path / "train", [("a", "b")], ".gz")
    message = failure(stem, tgt="fr")
    assert message.startswith(f"data.train: {stem}.fr does not exist, there is only train.de.gz, train.en.gz: data.src")


def test_a_missing_stem_is_told_with_the_stems_that_are_there(tmp_path: Path) -> None:
    train, dev = write_pair(tmp_path / "train", [("a", "b")]), tmp_path / "dev"
    write_pair(tmp_path / "val", [("a", "b")], ".xz")
    assert failure(train, dev=str(dev)) == f"data.dev: {dev}.de does not exist; {tmp_path} holds the stems train, val"
    assert failure(str(tmp_path)).startswith(f"data.train: {tmp_path} is a folder, not the stem of two files; ")
    assert failure(str(tmp_path)).endswith("holds the stems train, val")
    nowhere = tmp_path / "no" / "train"
    assert failure(str(nowhere)) == f"data.train: {nowhere}.de does not exist: there is no folder {nowhere.parent}"
    assert failure(str(tmp_path / "no" / "x.tsv")).endswith(f"does not exist: there is no folder {nowhere.parent}")


def test_a_long_list_of_names_is_cut(tmp_path: Path) -> None:
    for number in range(12):
        write_pair(tmp_path / f"part{number:02}", [("a", "b")])
    assert failure(str(tmp_path / "train")).endswith("part06, part07, …")


def test_a_file_in_place_of_a_stem_is_told(tmp_path: Path) -> None:
    stem = write_pair(tmp_path / "train", [("a", "b")], ".gz")
    assert failure(f"{stem}.de.gz").endswith(f"is one of two files: give the stem of both, data.train={stem}")
    csv = tmp_path / "train.csv"
    csv.write_text("de,en\na,b\n")
    assert f"{csv} is one file: a table must end in .tsv, .jsonl, .parquet" in failure(str(csv))


def test_two_files_for_one_side_are_told(tmp_path: Path) -> None:
    stem = write_pair(tmp_path / "train", [("a", "b")])
    write_pair(tmp_path / "train", [("a", "b")], ".gz")
    message = f"data.train: it is not clear whether {stem}.de or {stem}.de.gz is meant: remove or rename one"
    assert failure(stem) == message


def test_a_missing_table_is_told_with_the_tables_that_are_there(tmp_path: Path) -> None:
    write_table(tmp_path / "train.tsv", [{"de": "a", "en": "b"}])
    missing = tmp_path / "trian.tsv"
    assert failure(str(missing)) == f"data.train: {missing} does not exist; {tmp_path} holds the files train.tsv"


def test_a_folder_or_a_pipe_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    stem = write_pair(tmp_path / "train", [("a", "b")])
    (tmp_path / "x.tsv").mkdir()
    assert failure(str(tmp_path / "x.tsv")) == f"data.train: {tmp_path / 'x.tsv'} is a folder, but must be a file"
    Path(f"{stem}.de").unlink()
    Path(f"{stem}.de").symlink_to("/dev/null")
    assert failure(stem) == f"data.train: {stem}.de is a pipe or a device, but must be a file"


@pytest.mark.parametrize("value", [3, [], [3], "", [""], {"a": "b"}])
def test_a_value_that_is_no_path_is_told(value: Any) -> None:
    assert failure(value) == f"data.train must be a path or a list of paths, but is {value!r}"


def test_settings_that_make_no_sense_are_told(tmp_path: Path) -> None:
    stem = write_pair(tmp_path / "train", [("a", "b")])
    assert failure(stem, tgt="de") == "data.src and data.tgt must be two languages, but both are de"
    assert failure(stem, src=False).startswith("data.src must be a language such as de, but is False")
    assert "data.tgt must be a language" in failure(stem, tgt="")
    for length in (0, -1, 2.5, "many", True, None):
        assert failure(stem, max_length=length).endswith(f"pieces of at least 1, but is {length!r}")
    message = "data.src_column and data.tgt_column must be two columns, but both are text"
    assert failure(stem, src_column="text", tgt_column="text") == message
    assert "but none is given: line-aligned files are chosen by data.src" in failure(stem, src_column="text")


@pytest.mark.parametrize("name", ["x.tsv", "x.jsonl", "x.parquet"])
def test_a_missing_column_is_told_with_the_columns_that_are_there(tmp_path: Path, name: str) -> None:
    path = write_table(tmp_path / name, [{"id": "1", "de": "a", "en": "b"}])
    assert failure(path, tgt="fr").startswith(f"{path} has no column fr; its columns are id, de, en: set data.tgt to")
    assert failure(path, src_column="german").startswith(
        f"{path} has no column german; its columns are id, de, en: set data.src"
    )


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet"])
def test_a_missing_language_of_a_nested_column_is_told(tmp_path: Path, name: str) -> None:
    path = write_table(tmp_path / name, [{"id": "1", "translation": {"de": "a", "en": "b"}}])
    assert failure(path, src="fr").startswith(f"{path} has no column fr; its columns are id, translation.de, translation.en:")


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_cell_without_text_is_told_with_its_row(tmp_path: Path, name: str, nested: bool) -> None:
    rows: list[dict[str, Any]] = [{"de": "a", "en": "b"}, {"de": None, "en": "b"}]
    rows = [{"translation": row} for row in rows] if nested else rows
    path = write_table(tmp_path / name, rows)
    column = "translation.de" if nested else "de"
    place = "line" if name == "x.jsonl" else "row"
    assert failure(path) == f"{path}: {place} 2 holds nothing in column {column}, which must hold text"


def test_cells_of_another_kind_are_told(tmp_path: Path) -> None:
    path = write_table(tmp_path / "x.jsonl", [{"de": "a", "en": "b"}, {"de": 7, "en": "b"}, {"en": "b"}])
    assert failure(path) == f"{path}: line 2 holds 7 in column de, which must hold text"
    path = write_table(tmp_path / "y.jsonl", [{"translation": {"de": "a", "en": "b"}}, {"translation": ["a", "b"]}])
    assert failure(path) == f"{path}: line 2 holds nothing in column translation.de, which must hold text"
    path = write_table(tmp_path / "x.parquet", [{"de": 7, "en": "b"}])
    assert failure(path) == f"{path} holds int64 in column de, which must hold text"
    path = write_table(tmp_path / "y.parquet", [{"translation": {"de": "a", "en": 7.5}}])
    assert failure(path) == f"{path} holds double in column translation.en, which must hold text"


def test_bad_json_is_told_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    good = '{"de": "a", "en": "b"}\n'
    for bad, message in (
        ('{"de": "a", ', "is not a JSON object: "),
        ("", "is not a JSON object: "),
        ('["a", "b"]', "is not a JSON object, but a list"),
        ('{"de": "\\ud83d", "en": "b"}', "holds half a surrogate pair in column de"),
    ):
        path.write_text(good + bad + "\n" + good)
        assert failure(str(path)).startswith(f"{path}: line 2 {message}")


def test_a_tsv_line_with_too_few_or_too_many_cells_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    for row, cells in (("a", 1), ("a\tb\tc", 3)):
        path.write_text(f"de\ten\na\tb\n{row}\n")
        assert failure(str(path)).startswith(f"{path}: line 3 has {cells} cells, but the header has 2: ")


def test_parquet_that_is_none_or_holds_bad_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"de\ten\na\tb\n")
    assert failure(str(path)).startswith(f"{path} is damaged, or is no .parquet file: ")
    text = pyarrow.array(["a", "b"])
    latin = pyarrow.Array.from_buffers(text.type, 2, [None, text.buffers()[1], pyarrow.py_buffer(b"a\xfc")])
    pyarrow.parquet.write_table(pyarrow.table({"de": latin, "en": text}), path)
    assert failure(str(path)) == f"{path}: text of rows 1 to 2 is not valid UTF-8"


def test_what_is_wrong_with_any_split_shows_when_the_corpus_is_made(tmp_path: Path) -> None:
    train = write_pair(tmp_path / "train", [("a", "b")])
    table = write_table(tmp_path / "test.tsv", [{"de": "a", "fr": "b"}])
    with pytest.raises(UserError, match="has no column en"):
        corpus(train, test=table)
