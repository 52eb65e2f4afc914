"""The cache of what was computed from text before."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from nmt.files import scratch_folder

Contents = TypeVar("Contents")
log = logging.getLogger("nmt")


def cached(cache: Path, name: str, write: Callable[[Path], None], read: Callable[[Path], Contents]) -> Contents:
    """What `read(folder)` finds in the folder `name` of a cache, which `write(folder)` fills if it is not there yet.

    It is filled under another name and renamed, so that other processes see all of it or nothing. A folder that cannot be
    read, because it was cut short or altered, is filled anew.
    """
    folder = cache / name
    if folder.exists():
        try:
            return read(folder)
        except (OSError, ValueError, TypeError, EOFError):
            log.warning(f"{folder} was cut short or altered: making it again")
            shutil.rmtree(folder)
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder) as scratch:
            write(scratch)
            try:
                scratch.rename(folder)
            except OSError:
                if not folder.exists():  # another process was faster: its folder holds the same
                    raise
    return read(folder)
