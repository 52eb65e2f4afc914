"""Parallel text from data sets of the Hugging Face Hub, or from folders that are laid out like them."""

import hashlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from nmt.data.corpus import Corpus, Reading, check_languages, check_text
from nmt.data.hubfiles import SeparatedFiles, check_json, local_files
from nmt.data.tables import Columns, arrow_pairs
from nmt.errors import UserError
from nmt.paths import check_home, expanded

CHOICES = (
    "data.config chooses the configuration, data.train_split, data.dev_split and data.test_split choose the splits "
    "(a part is train[:-2000], none is null)"
)

BATCH = 10_000
"""Rows that are turned from Arrow into text at a time."""


class HubCorpus(Corpus):
    """A translation data set as `datasets.load_dataset` reads it; code that a data set may bring is never run.

    Args:
        name: a repository of the Hub, `ORG/NAME`, or a folder with such data (Parquet, JSON Lines, CSV, …).
        config: which of the configurations of the data set, often a language pair.
        folder: the only folder of the data set to read, for those that have folders where others have configurations.
        revision: branch, tag or commit of the repository; has no effect on a local folder.
        src: source language.
        tgt: target language.
        src_column: column of the source; None means the one under `translation` or the one named as the language.
        tgt_column: column of the target.
        train_split: the name of the split to train on, or a part of one such as `train[:-2000]`.
        dev_split: likewise, or None for none; likewise `test_split`.
        max_length: training pairs with more pieces on either side are dropped by those who cut sentences into pieces.

    Raises:
        UserError: if a setting makes no sense. What is wrong with the data itself shows when it is first read.
    """

    def __init__(
        self,
        *,
        name: str | None,
        config: str | None,
        folder: str | None,
        revision: str | None,
        src: str,
        tgt: str,
        src_column: str | None,
        tgt_column: str | None,
        train_split: str,
        dev_split: str | None,
        test_split: str | None,
        max_length: int,
    ) -> None:
        check_languages(src, tgt, max_length)
        check_text(name=name, config=config, folder=folder, revision=revision)
        check_text(train_split=train_split, dev_split=dev_split, test_split=test_split)
        self.src = src
        self.tgt = tgt
        self.max_length = max_length
        self._columns = Columns(src, tgt, src_column, tgt_column)
        self._name = _checked_name(name)
        self._config = config
        self._folder = folder
        self._revision = revision
        if not train_split:
            raise UserError("data.train_split must name the split to train on, such as train or train[:-2000]")
        given = {"train": train_split, "dev": dev_split, "test": test_split}
        self._parts = {split: part for split, part in given.items() if part is not None}

    def splits(self) -> tuple[str, ...]:
        """The names of the splits that were asked for, in the order train, dev, test."""
        return tuple(self._parts)

    def pairs(self, split: str) -> Iterator[tuple[str, str]]:
        """The (source, target) sentences of a split, in the order of the data set; a line break becomes a space.

        Raises:
            UserError: if the data set cannot be loaded (the reason and what to do), or a row does not hold text.
        """
        return self._load(split)

    def fingerprint(self, split: str) -> str:
        """A hash of the sentences of a split: the same whether they come from the Hub, a cache or a folder."""
        digest = hashlib.sha256()
        for pair in self.pairs(split):
            digest.update(_hashed(pair))
        return digest.hexdigest()

    def read(self, split: str) -> Reading:
        """The pairs of a split, which are hashed as they are read."""
        digest, pairs = hashlib.sha256(), self.pairs(split)

        def watched() -> Iterator[tuple[str, str]]:
            for pair in pairs:
                digest.update(_hashed(pair))
                yield pair

        def fingerprint() -> str:
            for _ in rest:
                pass
            return digest.hexdigest()

        rest = watched()
        return Reading(split, rest, fingerprint)

    def _where(self, split: str) -> str:
        place = "/".join(part for part in (self._name, self._config, self._folder) if part)
        return f"{place} ({self._parts[split]})"

    def _load(self, split: str) -> Iterator[tuple[str, str]]:
        if split not in self._parts:
            raise UserError(f"there is no {split} split: data.{split}_split names it")
        check_home("the Hugging Face Hub", "HF_HOME", "XDG_CACHE_HOME")
        import datasets
        import huggingface_hub.errors
        import pyarrow
        from datasets.exceptions import DatasetNotFoundError, DatasetsError

        # The Hub's HTTP library has changed more than once; its own error is the base of the Hub's.
        http_error: type[Exception] = huggingface_hub.errors.HfHubHTTPError.__bases__[0]
        _keep_quiet()
        where = self._where(split)
        options = {"data_dir": self._folder, "revision": self._revision}
        try:
            builder = datasets.load_dataset_builder(self._name, self._config, **options)
            if builder.name == "csv":
                return _some(where, SeparatedFiles(builder, self._columns, where).pairs(self._parts[split]))
            if builder.info.builder_name == "csv":  # in the cache of datasets
                raise UserError(
                    f"{where} cannot be used from the cache: rows of CSV and TSV files may be lost there. "
                    f"{self._without_network()}"
                )
            if builder.name == "json":
                check_json([file for files in local_files(builder).values() for file in files], self._columns)
            dataset = datasets.load_dataset(self._name, self._config, **options, split=self._parts[split])
        except UserError:
            raise
        except DatasetNotFoundError as error:
            raise UserError(
                f"{where} cannot be loaded: {_reason(error)}; check data.name and data.revision, "
                "and for a gated or private set log in with: hf auth login"
            ) from error
        except (DatasetsError, pyarrow.ArrowException) as error:
            raise UserError(f"{where} cannot be loaded, a file is damaged or of another kind: {_reason(error)}") from error
        except (http_error, OSError) as error:
            advice = "" if Path(self._name).is_dir() else f". {self._without_network()}"
            raise UserError(f"{where} cannot be loaded: {_reason(error)}{advice}") from error
        except ValueError as error:
            advice = CHOICES if "in the cache" not in str(error) else f"{CHOICES}. {self._without_network()}"
            raise UserError(f"{where} cannot be loaded: {_reason(error)}; {advice}") from error
        except RuntimeError as error:
            if "scripts are no longer supported" not in str(error):
                raise
            raise UserError(
                f"{where} is read by a script of its own, which is never run: many such sets have a copy in Parquet, "
                "data.revision=refs/convert/parquet data.config=null data.folder=CONFIG"
            ) from error
        if len(dataset) == 0:
            raise UserError(f"{where} is empty")
        batches = dataset.with_format("arrow").iter(batch_size=BATCH)
        return arrow_pairs(where, dataset.data.schema, batches, self._columns, rows=len(dataset))

    def _without_network(self) -> str:
        options = [f"--revision {self._revision}"] if self._revision else []
        # A folder's rows are cached under the names of its files, which datasets does not know without a network.
        cached = (
            ""
            if self._folder
            else "copy the cache (HF_HOME) of a machine that has loaded it and set HF_HUB_OFFLINE=1 (not for CSV and TSV); or "
        )
        options += [f"--include '{self._folder}/*'"] if self._folder else []
        download = " ".join(["hf download", self._name, "--repo-type dataset", *options, "--local-dir DIR"])
        return (
            f"Without a network: run `{download}` where there is one, copy DIR here and set data.name=DIR; or {cached}"
            "use text files with data=text"
        )


def _hashed(pair: tuple[str, str]) -> bytes:
    return f"{pair[0]}\n{pair[1]}\n".encode()


def _some(where: str, pairs: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Pairs that must not be none."""
    pair = None
    for pair in pairs:
        yield pair
    if pair is None:
        raise UserError(f"{where} is empty")


def _checked_name(name: str | None) -> str:
    if not name:
        raise UserError("data=hub needs a data set: data.name=ORG/NAME for one of the Hub, or data.name=DIR for a folder")
    path = expanded(name)
    if path.is_dir():
        return str(path.absolute())
    if path.is_file():
        raise UserError(f"data.name={name} is a file: data=text data.train={name} reads .tsv, .jsonl and .parquet files")
    if name.startswith((".", "~")) or name.count("/") != 1:
        raise UserError(
            f"data.name must be a folder or a data set of the Hub as ORG/NAME, such as bentrevett/multi30k, "
            f"but there is no folder {name}"
        )
    return name


def _keep_quiet() -> None:
    """Progress is for terminals, and what is wrong with a file is said once: in our error."""
    import datasets

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    logging.getLogger("datasets.packaged_modules").setLevel(logging.CRITICAL)


def _reason(error: BaseException) -> str:
    """What an error says, in one line, without advice to call functions; the cause of one that says nothing itself."""
    told = str(error).partition("Example of usage:")[0]
    if isinstance(error.__cause__, Exception) and str(error.__cause__) not in told:
        told = f"{told} ({error.__cause__})"
    return " ".join(told.split()).rstrip(".")[:300]
