"""Data sets of the Hub, by way of local folders that are laid out like them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import huggingface_hub.errors
import hydra
import pyarrow
import pyarrow.parquet
import pytest

from nmt.config import config_directory
from nmt.data.hub import HubCorpus
from nmt.errors import UserError

PAIRS = [(f"Satz {number}\u2028.", f"sentence {number} .") for number in range(13)]
Write = Callable[[Path, list[tuple[str, str]]], None]


@pytest.fixture(autouse=True)
def no_network_and_a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def hub(name: Any, **settings: Any) -> HubCorpus:
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
    return HubCorpus(**{"name": name, **defaults, **settings})


def nested_parquet(path: Path, pairs: list[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"id": str(number), "translation": {"de": de, "en": en}} for number, (de, en) in enumerate(pairs)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def jsonl(path: Path, pairs: list[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"en": en, "de": de}) + "\n" for de, en in pairs), encoding="utf-8")


def card(folder: Path, configs: dict[str, dict[str, str]]) -> None:
    """The README of a data set with several configurations: their names, and the files of their splits."""
    lines = ["---", "configs:"]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        lines += [f"  - split: {split}\n    path: {path}" for split, path in splits.items()]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")


def failure(name: Any, split: str = "train", **settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        list(hub(name, **settings).pairs(split))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("write", "ending"), [(nested_parquet, "-00000-of-00001.parquet"), (jsonl, ".jsonl"), (nested_parquet, "/0000.parquet")]
)
def test_a_folder_gives_its_splits_in_order(tmp_path: Path, write: Write, ending: str) -> None:
    for split, pairs in {"train": PAIRS, "validation": PAIRS[:3], "test": PAIRS[5:7]}.items():
        write(tmp_path / "set" / f"{split}{ending}", pairs)
    corpus = hub(str(tmp_path / "set"), dev_split="validation", test_split="test")
    assert corpus.splits() == ("train", "dev", "test")
    assert list(corpus.pairs("train")) == PAIRS
    assert list(corpus.pairs("dev")) == PAIRS[:3]
    assert list(corpus.pairs("test")) == PAIRS[5:7]


def test_both_directions_and_named_columns_are_read(tmp_path: Path) -> None:
    jsonl(tmp_path / "set" / "train.jsonl", PAIRS)
    name = str(tmp_path / "set")
    swapped = [(en, de) for de, en in PAIRS]
    assert list(hub(name, src="en", tgt="de").pairs("train")) == swapped
    assert list(hub(name, src="x", tgt="y", src_column="en", tgt_column="de").pairs("train")) == swapped


def test_a_split_can_be_a_part_of_one(tmp_path: Path) -> None:
    nested_parquet(tmp_path / "set" / "train.parquet", PAIRS)
    parts = {"train_split": "train[:-4]", "dev_split": "train[-4:-2]", "test_split": "train[-2:]"}
    corpus = hub(str(tmp_path / "set"), **parts)
    assert [list(corpus.pairs(split)) for split in corpus.splits()] == [PAIRS[:-4], PAIRS[-4:-2], PAIRS[-2:]]


def test_more_rows_than_a_batch_are_all_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.data.hub.BATCH", 5)
    nested_parquet(tmp_path / "set" / "train.parquet", PAIRS)
    assert list(hub(str(tmp_path / "set")).pairs("train")) == PAIRS


def test_a_line_break_inside_a_sentence_becomes_a_space(tmp_path: Path) -> None:
    jsonl(tmp_path / "set" / "train.jsonl", [("eins\nzwei\n", "one")])
    assert list(hub(str(tmp_path / "set")).pairs("train")) == [("eins zwei", "one")]


def test_a_fingerprint_is_that_of_the_sentences_and_not_of_their_files(tmp_path: Path) -> None:
    jsonl(tmp_path / "a" / "train.jsonl", PAIRS)
    nested_parquet(tmp_path / "b" / "train.parquet", PAIRS)
    jsonl(tmp_path / "c" / "train.jsonl", [*PAIRS[:-1], ("Satz", "sentence")])
    prints = [hub(str(tmp_path / name)).fingerprint("train") for name in "abc"]
    assert prints[0] == prints[1] != prints[2]
    assert hub(str(tmp_path / "a"), src="en", tgt="de").fingerprint("train") != prints[0]


def test_nothing_is_printed_where_there_is_no_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    jsonl(tmp_path / "set" / "train.jsonl", PAIRS)
    list(hub(str(tmp_path / "set")).pairs("train"))
    assert capfd.readouterr() == ("", "")


# The ready data sets: each YAML, with a folder laid out as its repository is in place of the repository.


def by_config(folder: Path, config: str, splits: dict[str, list[tuple[str, str]]]) -> None:
    for split, pairs in splits.items():
        nested_parquet(folder / config / f"{split}-00000-of-00001.parquet", pairs)
    nested_parquet(folder / "xx-yy" / "train-00000-of-00001.parquet", [("falsch", "wrong")])
    card(folder, {"xx-yy": {"train": "xx-yy/train-*"}, config: {split: f"{config}/{split}-*" for split in splits}})


def by_folder(folder: Path, config: str, splits: dict[str, list[tuple[str, str]]]) -> None:
    for split, pairs in splits.items():
        nested_parquet(folder / config / split / "0000.parquet", pairs)
    nested_parquet(folder / "iwslt2017-ar-en" / "train" / "0000.parquet", [("falsch", "wrong")])


def by_file(folder: Path, _: str, splits: dict[str, list[tuple[str, str]]]) -> None:
    for split, pairs in splits.items():
        jsonl(folder / f"{'val' if split == 'validation' else split}.jsonl", pairs)


READY: dict[str, tuple[Callable[[Path, str, dict[str, list[tuple[str, str]]]], None], str]] = {
    "multi30k": (by_file, ""),
    "iwslt2017": (by_folder, "iwslt2017-de-en"),
    "opus100": (by_config, "de-en"),
    "wmt14_de_en": (by_config, "de-en"),
    "wmt14_fr_en": (by_config, "fr-en"),
}


def composed(*overrides: str) -> HubCorpus:
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        corpus: HubCorpus = hydra.utils.instantiate(hydra.compose(overrides=list(overrides)).data)
    return corpus


@pytest.mark.parametrize("data", READY)
def test_a_ready_data_set_is_read_from_a_folder_with_its_files(tmp_path: Path, data: str) -> None:
    layout, config = READY[data]
    splits = {"train": PAIRS, "validation": PAIRS[:3], "test": PAIRS[3:5]}
    layout(tmp_path / "set", config, splits)
    columns = ["data.src=de"] if data == "wmt14_fr_en" else []  # the sentences here are German
    corpus = composed(f"+data={data}", f"data.name={tmp_path / 'set'}", *columns)
    assert [list(corpus.pairs(split)) for split in ("train", "dev", "test")] == list(splits.values())


def test_the_one_split_of_opus_books_is_cut_in_three(tmp_path: Path) -> None:
    pairs = [(str(number), str(number)) for number in range(2005)]
    by_config(tmp_path / "set", "de-en", {"train": pairs})
    corpus = composed("+data=opus_books", f"data.name={tmp_path / 'set'}")
    assert [list(corpus.pairs(split)) for split in corpus.splits()] == [pairs[:5], pairs[5:1005], pairs[1005:]]


def test_what_another_machine_has_cached_is_read_without_a_network(tmp_path: Path) -> None:
    by_config(tmp_path / "pairs", "de-en", {"train": PAIRS})
    list(hub(str(tmp_path / "pairs"), config="de-en").pairs("train"))
    (tmp_path / "cache" / "pairs").rename(tmp_path / "cache" / "some-org___pairs")  # as if it had come from the Hub
    assert list(hub("some-org/pairs", config="de-en").pairs("train")) == PAIRS
    message = failure("some-org/pairs", config="fr-en")
    assert "Available configs in the cache: ['de-en']; data.config chooses" in message
    assert "or copy the cache (HF_HOME) of a machine that has loaded it and set HF_HUB_OFFLINE=1 (not for" in message


@pytest.mark.parametrize("data", [*READY, "opus_books"])
def test_every_ready_data_set_says_what_to_do_without_a_network(data: str) -> None:
    with pytest.raises(UserError, match=r"cannot be loaded: Couldn't reach .* Without a network: run `hf download "):
        composed(f"+data={data}").pairs("train")


# What users are told.


def test_without_a_network_the_error_says_how_to_bring_the_data(tmp_path: Path) -> None:
    command = """
from nmt.data.hub import HubCorpus
HubCorpus(name="no-such-org/no-such-set", config=None, folder="de-en", revision="v1", src="de", tgt="en", src_column=None,
          tgt_column=None, train_split="train", dev_split=None, test_split=None, max_length=9).pairs("train")
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    result = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=False)
    message = result.stderr.splitlines()[-1]
    assert message.startswith("nmt.errors.UserError: no-such-org/no-such-set/de-en (train) cannot be loaded: Couldn't reach")
    download = "hf download no-such-org/no-such-set --repo-type dataset --revision v1 --include 'de-en/*' --local-dir DIR"
    assert f"Without a network: run `{download}`" in message
    assert "copy DIR here and set data.name=DIR; or use text files with data=text" in message


def raised_by_the_hub() -> list[tuple[Exception, str]]:
    http_error = huggingface_hub.errors.HfHubHTTPError.__bases__[0]
    return [
        (
            datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' doesn't exist on the Hub or cannot be accessed."),
            "data.name",
        ),
        (datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' is a gated dataset on the Hub."), "hf auth login"),
        (http_error("The read operation timed out"), "timed out. Without a network: run `hf download a/b "),
        (ConnectionError("Couldn't reach 'a/b' on the Hub (ConnectError)"), "(ConnectError). Without a network: "),
        (FileNotFoundError("Couldn't find 'a/b' on the Hugging Face Hub"), "Without a network: "),
        (OSError(28, "No space left on device"), "No space left on device"),
        (RuntimeError("Dataset scripts are no longer supported, but found b.py"), "data.revision=refs/convert/parquet"),
    ]


@pytest.mark.parametrize(("error", "told"), raised_by_the_hub())
def test_what_the_hub_refuses_is_told(monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset_builder", refuse)
    message = failure("a/b", config="c")
    assert message.startswith("a/b/c (train) ")
    assert told in message


def test_an_error_that_nobody_foresaw_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(datasets, "load_dataset_builder", fail)
    with pytest.raises(RuntimeError, match="unforeseen"):
        hub("a/b").pairs("train")


def test_code_that_a_data_set_brings_is_refused_and_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "set.py").write_text(f"open({str(trap)!r}, 'w')")
    assert "is read by a script of its own, which is never run" in failure(str(tmp_path / "set"))
    assert not trap.exists()


def test_an_unknown_split_or_configuration_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for config in ("de-en", "fr-en"):
        jsonl(folder / config / "train.jsonl", PAIRS)
    card(folder, {config: {"train": f"{config}/train.jsonl"} for config in ("de-en", "fr-en")})
    name = str(folder)
    assert f"{name} (train) cannot be loaded: Config name is missing" in failure(name)
    assert "['de-en', 'fr-en']; data.config chooses" in failure(name)
    assert "BuilderConfig 'es-en' not found. Available: ['de-en', 'fr-en']" in failure(name, config="es-en")
    message = failure(name, config="de-en", split="dev", dev_split="validation")
    assert message.startswith(
        f"{name}/de-en (validation) cannot be loaded: Unknown split \"validation\". Should be one of ['train']"
    )
    assert "none is null" in message
    assert "corresponds to no data" in failure(name, config="de-en", train_split="train[100:]")
    assert "Unrecognized instruction format" in failure(name, config="de-en", train_split="train[:x]")
    assert "doesn't contain any data files" in failure(name, folder="no-such-folder")


def test_damaged_files_and_folders_without_data_are_told_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    assert "doesn't contain any data files" in failure(str(folder))
    assert "Without a network" not in failure(str(folder))
    (folder / "train.jsonl").write_text('{"de": "a"\n')
    assert "a file is damaged or of another kind: " in failure(str(folder))
    assert "JSON parse error" in failure(str(folder))
    (folder / "train.jsonl").unlink()
    (folder / "train.parquet").write_text("no parquet, and longer than a footer")
    assert "a file is damaged or of another kind: Parquet magic bytes" in failure(str(folder))
    assert capfd.readouterr() == ("", "")


def test_columns_that_are_missing_or_hold_no_text_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    jsonl(folder / "train.jsonl", PAIRS)
    assert failure(str(folder), tgt="fr").startswith(f"{folder} (train) has no column fr; its columns are en, de: set data.tgt")
    (folder / "train.jsonl").write_text('{"de": 1, "en": "b"}\n')
    assert failure(str(folder)) == f"{folder} (train) holds int64 in column de, which must hold text"
    (folder / "train.jsonl").write_text('{"de": "a", "en": "b"}\n{"de": null, "en": "b"}\n')
    assert failure(str(folder)) == f"{folder} (train): row 2 holds nothing in column de, which must hold text"
    (folder / "train.jsonl").write_text('{"de": "a", "en": "b"}\n{"de": {"x": 1}, "en": "b"}\n')
    assert "in column de, which must hold text" in failure(str(folder))


def test_a_data_set_without_a_row_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = datasets.Dataset.from_dict({"de": [], "en": []})
    builder = SimpleNamespace(name="parquet", info=SimpleNamespace(builder_name="parquet"))
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: builder)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: empty)
    assert failure("a/b") == "a/b (train) is empty"


def test_a_name_that_can_be_no_data_set_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where no folder has one of these names
    for name in (None, ""):
        assert "data.name=ORG/NAME" in failure(name)
    file = tmp_path / "x.jsonl"
    jsonl(file, PAIRS)
    assert failure(str(file)).startswith(f"data.name={file} is a file: data=text data.train={file} reads .tsv")
    for name in ("multi30k", "json", "./x", "../x", "~/x", "/no/folder", "a/b/c", "hf://datasets/a/b"):
        assert failure(name).endswith(f"but there is no folder {name}")


def test_settings_that_make_no_sense_are_told() -> None:
    assert "must be two languages" in failure("a/b", tgt="de")
    assert "data.max_length must be" in failure("a/b", max_length=0)
    assert "must be two columns" in failure("a/b", src_column="x", tgt_column="x")
    for split in ("", None):
        assert failure("a/b", train_split=split).startswith("data.train_split must name the split to train on")
    for key in ("name", "config", "revision", "train_split", "src_column"):
        assert failure(**{"name": "a/b", key: 7}) == f"data.{key} must be text, but is 7: put it in quotes"
    assert failure("a/b", split="dev") == "there is no dev split: data.dev_split names it"
