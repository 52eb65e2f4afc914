"""Piece ids of a split on disk, memory-mapped: host memory stays flat as the corpus grows."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nmt.data.corpus import Corpus
from nmt.data.tokenizer import Side, Tokenizer
from nmt.errors import UserError

SIDES: tuple[Side, Side] = ("src", "tgt")
_CHUNK = 10_000  # sentences encoded at a time


@dataclass(frozen=True)
class Dropped:
    """How many training pairs were left out, and why."""

    empty: int
    long: int


class IdStore:
    """The ids of all pairs of a split, and their text where subword sampling needs it.

    Attributes:
        lengths: pieces per sentence without EOS, for `src` and `tgt`, (pairs,) each.
        dropped: pairs left out.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        meta = json.loads((directory / "meta.json").read_text(encoding="utf-8"))
        self.dropped = Dropped(**meta["dropped"])
        self._ids = {side: _mapped(directory / f"{side}.ids", np.int32) for side in SIDES}
        self._offsets = {side: np.load(directory / f"{side}.offsets.npy") for side in SIDES}
        self.lengths = {side: np.diff(self._offsets[side]) for side in SIDES}
        if (directory / "src.text").exists():
            self._text = {side: _mapped(directory / f"{side}.text", np.uint8) for side in SIDES}
            self._text_offsets = {side: np.load(directory / f"{side}.text-offsets.npy") for side in SIDES}

    def __len__(self) -> int:
        return len(self.lengths["src"])

    def ids(self, pair: int, side: Side) -> npt.NDArray[np.int32]:
        """The ids of one sentence, without EOS."""
        start, end = self._offsets[side][pair : pair + 2]
        return self._ids[side][start:end]

    def text(self, pair: int, side: Side) -> str:
        """One sentence as text, in a store that keeps text."""
        start, end = self._text_offsets[side][pair : pair + 2]
        return self._text[side][start:end].tobytes().decode()


def open_store(corpus: Corpus, split: str, tokenizer: Tokenizer, cache: Path) -> IdStore:
    """The ids of a split, from the cache or made now. Only training leaves pairs out: too long, or with an empty side.

    Raises:
        UserError: if no pair remains.
    """
    limit = corpus.max_length if split == "train" else 0
    with_text = split == "train" and tokenizer.sampling > 0
    key = _key(corpus.fingerprint(split), tokenizer, limit, with_text)
    directory = cache / f"ids-{key}"
    if not (directory / "meta.json").exists():
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".ids-", dir=cache))
        try:
            _write(scratch, corpus.pairs(split), tokenizer, limit, with_text)
            if not directory.exists():
                os.rename(scratch, directory)  # noqa: PTH104 - atomic: another process sees all of it or none
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    store = IdStore(directory)
    if len(store) == 0:
        dropped = store.dropped
        raise UserError(
            f"{split} has no usable pair: {dropped.empty} have an empty side, {dropped.long} are longer than "
            f"data.max_length ({limit} pieces)"
        )
    return store


def _key(fingerprint: str, tokenizer: Tokenizer, limit: int, with_text: bool) -> str:
    digest = hashlib.sha256(f"2 {fingerprint} {limit} {with_text}".encode())
    for name, model in sorted(tokenizer.models.items()):
        digest.update(name.encode() + hashlib.sha256(model).digest())
    return digest.hexdigest()[:32]


def _write(directory: Path, pairs: Iterable[tuple[str, str]], tokenizer: Tokenizer, limit: int, with_text: bool) -> None:
    empty = long = 0
    lengths: dict[str, list[int]] = {name: [] for name in ("src", "tgt", "src.text", "tgt.text")}
    with _Files(directory, [*SIDES, *(f"{side}.text" for side in SIDES if with_text)]) as files:
        for chunk in _chunks(pairs):
            encoded = [tokenizer.encode([pair[side] for pair in chunk], name) for side, name in enumerate(SIDES)]
            for pair, src, tgt in zip(chunk, *encoded, strict=True):
                if limit and not (src and tgt):
                    empty += 1
                    continue
                if limit and max(len(src), len(tgt)) > limit:
                    long += 1
                    continue
                for name, ids, text in zip(SIDES, (src, tgt), pair, strict=True):
                    lengths[name].append(len(ids))
                    files[name].write(np.asarray(ids, np.int32).tobytes())
                    if with_text:
                        data = text.encode()
                        lengths[f"{name}.text"].append(len(data))
                        files[f"{name}.text"].write(data)
    for side in SIDES:
        np.save(directory / f"{side}.offsets.npy", np.cumsum([0, *lengths[side]], dtype=np.int64))
        if with_text:
            np.save(directory / f"{side}.text-offsets.npy", np.cumsum([0, *lengths[f"{side}.text"]], dtype=np.int64))
    meta = {"dropped": {"empty": empty, "long": long}}
    (directory / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


class _Files:
    """Several files that are open together: `src.ids` under the name `src`, `src.text` under its own."""

    def __init__(self, directory: Path, names: list[str]) -> None:
        self._files: dict[str, IO[bytes]] = {
            name: (directory / (name if "." in name else f"{name}.ids")).open("wb") for name in names
        }

    def __getitem__(self, name: str) -> IO[bytes]:
        return self._files[name]

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()


def _chunks(pairs: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    iterator = iter(pairs)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def _mapped(path: Path, dtype: Any) -> npt.NDArray[Any]:
    if path.stat().st_size == 0:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, mode="r")
