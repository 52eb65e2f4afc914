"""The cache of what was computed from text before."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def cached(cache: Path, name: str, write: Callable[[Path], None]) -> Path:
    """The folder `name` of a cache, filled by `write(folder)` if it is not there yet.

    It is filled under another name and renamed, so that other processes see all of it or nothing.
    """
    folder = cache / name
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache))
        try:
            write(scratch)
            if not folder.exists():
                scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return folder
