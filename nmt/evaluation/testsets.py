"""The test sets that sacreBLEU knows by name, such as wmt14: fetched by it once, or put into its folder by hand."""

import hashlib
import http.client
import logging
import shutil
import tarfile
import zipfile
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import ParseError

from portalocker.exceptions import LockException
from sacrebleu.dataset import DATASETS
from sacrebleu.dataset.base import Dataset
from sacrebleu.utils import get_reference_files, get_source_file

from nmt.data.files import read_lines
from nmt.errors import UserError, naming
from nmt.evaluation.texts import Texts
from nmt.paths import check_home

log = logging.getLogger("nmt")
SHOWN = 12
"""How many names an error message lists."""


def from_test_set(name: str, langpair: str, archives: Sequence[Path] = ()) -> Texts:
    """A test set of sacreBLEU with the references that the `sacrebleu` program takes for it.

    Args:
        name: such as `wmt14` or `wmt14/full`.
        langpair: such as `de-en`.
        archives: the files that sacreBLEU would download; without them it looks into its folder, and else downloads.

    Raises:
        UserError: if there is no such set or pair, or it is not here and cannot be fetched (what to do offline).
    """
    dataset = _known(name, langpair)
    for archive in archives:
        _unpack(dataset, archive)
    sources, *references = _files(dataset, langpair)
    if not references:
        raise UserError(f"testset={name} has no references for {langpair}: choose another test set")
    texts = [[line.rstrip() for line in read_lines(path)] for path in (sources, *references)]
    if not texts[0] or any(len(text) != len(texts[0]) for text in texts):
        counts = ", ".join(f"{path} has {len(text)} lines" for path, text in zip((sources, *references), texts, strict=True))
        raise UserError(f"testset={name} is damaged ({counts}): remove {_folder(dataset)}, and it is fetched again")
    return Texts(
        f"testset-{name.replace('/', '_')}.{langpair}",
        f"testset={name} langpair={langpair}",
        texts[0],
        texts[1:],
        langpair.rpartition("-")[2],
    )


def _known(name: str, langpair: str) -> Dataset:
    """The data set of a name, which has the pair."""
    if name not in DATASETS:
        near = get_close_matches(name, DATASETS, n=3, cutoff=0.5)
        hint = f"near are {', '.join(near)}; " if near else ""
        raise UserError(f"sacreBLEU knows no test set {name!r}: {hint}`sacrebleu --list` prints all {len(DATASETS)}")
    dataset = DATASETS[name]
    pairs = sorted(dataset.langpairs)
    if langpair not in pairs:
        shown = ", ".join(pairs[:SHOWN]) + (f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else "")
        elsewhere = [other for other, one in DATASETS.items() if langpair in one.langpairs]
        hint = f"; sets with {langpair}: {', '.join(elsewhere[:SHOWN])}" if elsewhere else ""
        raise UserError(f"testset={name} has no language pair {langpair}: langpair= is one of {shown}{hint}")
    return dataset


def _files(dataset: Dataset, langpair: str) -> list[Path]:
    """The file of the sources, then those of the references."""
    if not _folder(dataset).is_dir():
        log.info(f"sacreBLEU fetches {dataset.name} into {_folder(dataset)}")
    try:
        return [Path(get_source_file(dataset.name, langpair)), *map(Path, get_reference_files(dataset.name, langpair))]
    except (OSError, http.client.HTTPException, LockException) as error:
        missing = isinstance(error, FileNotFoundError)
        incomplete = f"{_folder(dataset)} is not complete: remove it, and it is fetched again"
        reason = incomplete if missing else f"it cannot be fetched ({_reason(error)})"
        raise UserError(f"testset={dataset.name}: {reason}; {_offline(dataset, langpair)}") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, ParseError, SyntaxError, UnicodeDecodeError, SystemExit) as error:
        reason = "its download is damaged" if isinstance(error, SystemExit) else f"it cannot be read ({_reason(error)})"
        raise UserError(f"testset={dataset.name}: {reason}; remove {_folder(dataset)} and try again") from error


def _offline(dataset: Dataset, langpair: str) -> str:
    """What to do where there is no network."""
    address = (dataset.data or ["its archive"])[0]
    return (
        f"offline: download {address} elsewhere and give it with archive=FILE, or copy {_folder(dataset)} from a machine where "
        f"`sacrebleu -t {dataset.name} -l {langpair} --echo src` has run (SACREBLEU=DIR moves the folder above it), "
        "or give files: input=FILE reference=FILE"
    )


def _unpack(dataset: Dataset, archive: Path) -> None:
    """Put an archive where sacreBLEU keeps its download, after its checksum has proved it to be the right one."""
    if not archive.is_file():
        raise UserError(f"archive: {archive} does not exist")
    found, expected, urls = hashlib.md5(archive.read_bytes()).hexdigest(), dataset.md5 or [], dataset.data or []
    if found not in expected:
        wanted = ", ".join(f"{url} (MD5 {md5})" for url, md5 in zip(urls, expected, strict=False))
        raise UserError(f"archive: {archive} (MD5 {found}) is not what {dataset.name} is made of: {wanted}")
    folder = _folder(dataset) / "raw"
    # The name under which sacreBLEU looks for its own download before it starts one
    target = folder / f"{dataset.name.replace('/', '_')}.{PurePosixPath(urls[expected.index(found)]).name}"
    try:
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if archive.resolve() != target.resolve():
                shutil.copyfile(archive, target)
            if target.name.endswith((".tgz", ".tar.gz", ".zip")):  # the others are texts, as sacreBLEU downloads them
                shutil.unpack_archive(target, folder)
    except (shutil.ReadError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"archive: {archive} cannot be unpacked: {_reason(error)}") from error


def _folder(dataset: Dataset) -> Path:
    """Where sacreBLEU keeps a test set."""
    check_home("sacreBLEU", "SACREBLEU")
    return Path(dataset._outdir)


def _reason(error: BaseException) -> str:
    cause = getattr(error, "reason", None) or error
    return getattr(cause, "strerror", None) or str(cause).partition("\n")[0] or type(cause).__name__
