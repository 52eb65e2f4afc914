"""Text that changes while it is read is noticed, whatever reads it, and nothing made of it is kept."""

import bz2
import gzip
import hashlib
import json
import lzma
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from nmt.config import TokenizerSettings
from nmt.data.corpus import Corpus
from nmt.data.guide import links_fingerprint, open_links
from nmt.data.hub import HubCorpus
from nmt.data.store import open_store
from nmt.data.text import TextCorpus
from nmt.data.tokenizer import Tokenizer, cached_tokenizer
from nmt.errors import UserError

Pair = tuple[str, str]
CHANGED = r"data\.train was changed while it was read: start again"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
KINDS = [*(f"lines{ending}" for ending in COMPRESS), "x.tsv", "x.tsv.gz", "x.jsonl", "x.parquet", "hub.tsv", "hub.parquet"]


@pytest.fixture(autouse=True)
def a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")


def put(folder: Path, kind: str, pairs: list[Pair]) -> None:
    """Write pairs into the file or files of a kind."""
    folder.mkdir(exist_ok=True)
    ending = "" if kind.endswith(("tsv", "jsonl", "parquet", "lines")) else Path(kind).suffix
    if kind.startswith("lines"):
        for side, language in enumerate(("de", "en")):
            text = "".join(f"{pair[side]}\n" for pair in pairs)
            (folder / f"x.{language}{ending}").write_bytes(COMPRESS[ending](text.encode()))
    elif kind.endswith("parquet"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{"de": de, "en": en} for de, en in pairs]), folder / "x.parquet")
    elif ".tsv" in kind:
        text = "".join(f"{de}\t{en}\n" for de, en in [("de", "en"), *pairs])
        (folder / f"x.tsv{ending}").write_bytes(COMPRESS[ending](text.encode()))
    else:
        (folder / "x.jsonl").write_text("".join(json.dumps({"de": de, "en": en}) + "\n" for de, en in pairs))


def text_corpus(train: Path) -> TextCorpus:
    return TextCorpus(
        src="de", tgt="en", train=str(train), dev=None, test=None, src_column=None, tgt_column=None, max_length=50
    )


def corpus_of(folder: Path, kind: str) -> Corpus:
    if not kind.startswith("hub"):
        return text_corpus(folder / ("x" if kind.startswith("lines") else kind))
    return HubCorpus(
        name=str(folder),
        config=None,
        folder=None,
        revision=None,
        src="de",
        tgt="en",
        src_column=None,
        tgt_column=None,
        train_split="train",
        dev_split=None,
        test_split=None,
        max_length=50,
    )


def changing(corpus: Any, change: Callable[[], None]) -> Any:
    """A corpus whose text is changed as soon as it has been hashed."""
    original, done = corpus.fingerprint, []

    def fingerprint(split: str) -> str:
        found = original(split)
        if not done:
            done.append(split)
            change()
        return str(found)

    corpus.fingerprint = fingerprint
    return corpus


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [0, 150, 199])
def test_ids_are_those_of_the_text_that_was_hashed_or_none(
    tmp_path: Path, pairs: list[Pair], tokenizer: Tokenizer, kind: str, place: int
) -> None:
    put(tmp_path / "x", kind, pairs)
    other = [*pairs[:place], ("das Kind", "the child"), *pairs[place + 1 :]]
    corpus = changing(corpus_of(tmp_path / "x", kind), lambda: put(tmp_path / "x", kind, other))
    with pytest.raises(UserError, match=CHANGED):
        open_store(corpus, "train", tokenizer, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_is_checked_against_text_behind_what_it_learns_from(tmp_path: Path, pairs: list[Pair], kind: str) -> None:
    many = pairs * 20  # more than a block of bytes
    put(tmp_path / "x", kind, many)
    other = [*many[:-1], ("das Kind", "the child")]
    corpus = changing(corpus_of(tmp_path / "x", kind), lambda: put(tmp_path / "x", kind, other))
    settings = vars(TokenizerSettings(vocab_size=320, train_sentences=150))
    with pytest.raises(UserError, match=CHANGED):
        cached_tokenizer(corpus, settings, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("read", [0, 1, 7, 200])
def test_what_does_not_change_passes_however_much_of_it_is_read(
    tmp_path: Path, pairs: list[Pair], kind: str, read: int
) -> None:
    put(tmp_path / "x", kind, pairs)
    corpus = corpus_of(tmp_path / "x", kind)
    reading = corpus.read("train")
    assert [pair for _, pair in zip(range(read), reading, strict=False)] == pairs[:read]
    reading.check(corpus.fingerprint("train"))
    if read == 200:
        assert list(reading) == []
        assert reading.rows == 200


def test_a_parquet_file_that_is_another_one_only_while_it_is_read_is_noticed(tmp_path: Path, pairs: list[Pair]) -> None:
    put(tmp_path / "a", "x.parquet", pairs)
    put(tmp_path / "b", "x.parquet", pairs[::-1])
    path, aside = tmp_path / "a" / "x.parquet", tmp_path / "aside.parquet"
    corpus = text_corpus(path)
    fingerprint = corpus.fingerprint("train")
    path.rename(aside)
    shutil.copy(tmp_path / "b" / "x.parquet", path)
    reading = corpus.read("train")
    assert list(reading) == pairs[::-1]
    aside.replace(path)
    assert corpus.fingerprint("train") == fingerprint
    with pytest.raises(UserError, match=CHANGED):
        reading.check(fingerprint)


def test_text_that_grows_behind_what_was_read_is_the_text_that_was_read(tmp_path: Path, pairs: list[Pair]) -> None:
    put(tmp_path / "x", "lines", pairs)
    corpus = corpus_of(tmp_path / "x", "lines")
    fingerprint, reading = corpus.fingerprint("train"), corpus.read("train")
    assert list(reading) == pairs
    for language in ("de", "en"):
        with (tmp_path / "x" / f"x.{language}").open("a") as file:
            file.write("more\n")
    reading.check(fingerprint)


def test_links_that_change_while_they_are_read_are_noticed(tmp_path: Path, pairs: list[Pair], tokenizer: Tokenizer) -> None:
    put(tmp_path / "x", "lines", pairs)
    corpus, links = corpus_of(tmp_path / "x", "lines"), tmp_path / "links"
    store = open_store(corpus, "train", tokenizer, tmp_path / "cache")
    links.write_text("0-0\n" * len(pairs))
    fingerprint = links_fingerprint(corpus, str(links))
    links.write_text("0-1\n" + "0-0\n" * (len(pairs) - 1))
    with pytest.raises(UserError, match="links was changed while it was read: start again"):
        open_links(corpus, str(links), tokenizer, store, tmp_path / "cache", fingerprint=fingerprint)
    assert list(tmp_path.glob("cache/links-*")) == []


def test_a_training_whose_text_changes_while_it_prepares_ends(
    tmp_path: Path, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    import nmt.training.prepare
    from nmt.commands.train import main
    from nmt.config import compose

    for split in ("train", "dev"):
        put(tmp_path / split, "lines", pairs)
    settings = {
        "data": "text",
        "data.src": "de",
        "data.tgt": "en",
        "data.train": tmp_path / "train" / "x",
        "data.dev": tmp_path / "dev" / "x",
        "model": "transformer_tiny",
        "tokenizer.vocab_size": 340,
        "run_dir": tmp_path / "run",
        "paths.cache": tmp_path / "cache",
        "train.max_updates": 1,
        "device": "cpu",
    }
    original = nmt.training.prepare.cached_tokenizer

    def late(*arguments: Any) -> Tokenizer:
        tokenizer = original(*arguments)
        put(tmp_path / "train", "lines", pairs[::-1])
        return tokenizer

    monkeypatch.setattr(nmt.training.prepare, "cached_tokenizer", late)
    with pytest.raises(UserError, match=CHANGED):
        main(compose("train", [f"{key}={value}" for key, value in settings.items()]))
    assert not (tmp_path / "run" / "config.yaml").exists()
    assert list(tmp_path.glob("cache/ids-*")) == []


def test_fingerprints_are_those_of_older_runs(tmp_path: Path) -> None:
    def of(*files: tuple[bytes, bytes]) -> bytes:
        return b"".join(hashlib.sha256(content + ending).digest() for content, ending in files)

    put(tmp_path, "lines", [("eins", "one")])
    begin = repr(("de", "en", None, None)).encode()
    expected = hashlib.sha256(begin + of((b"eins\n", b""), (b"one\n", b""))).hexdigest()
    assert expected == text_corpus(tmp_path / "x").fingerprint("train")
    put(tmp_path, "x.tsv.gz", [("eins", "one")])
    content = (tmp_path / "x.tsv.gz").read_bytes()
    expected = hashlib.sha256(begin + b".tsv" + of((content, b".gz"))).hexdigest()
    assert expected == text_corpus(tmp_path / "x.tsv.gz").fingerprint("train")
    hub = tmp_path / "hub"
    put(hub, "hub.parquet", [("eins", "one"), ("zwei", "two")])
    assert corpus_of(hub, "hub").fingerprint("train") == hashlib.sha256(b"eins\none\nzwei\ntwo\n").hexdigest()


def test_no_file_stays_open(tmp_path: Path, pairs: list[Pair]) -> None:
    put(tmp_path / "x", "lines", pairs * 20)  # more than a block of bytes
    corpus = corpus_of(tmp_path / "x", "lines")

    def opened() -> Iterator[str]:
        for link in Path("/proc/self/fd").iterdir():
            if link.is_symlink() and (tmp_path / "x") in link.readlink().parents:
                yield str(link.readlink())

    reading = corpus.read("train")
    iterator = iter(reading)
    next(iterator)
    assert len(list(opened())) == 2
    reading.check(corpus.fingerprint("train"))
    assert list(opened()) == []
    list(corpus.read("train"))
    assert list(opened()) == []
