"""From what a user types to the files that are meant, with help where there are none."""

from pathlib import Path

from nmt.data.files import READERS, compression, unreadable
from nmt.data.tables import FORMATS, table_format
from nmt.errors import UserError

SHOWN = 8
"""How many names an error message lists."""


def existing_file(path: Path, key: str) -> Path:
    """The path itself, if it is a file that holds something.

    Raises:
        UserError: if it is not; the message names the `key` where the path was given, and the tables beside it.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        tables = [name for name in _names(path.parent) if table_format(Path(name))]
        raise UserError(f"{key}: {path} does not exist{_holds(path.parent, 'files', tables)}") from error
    except OSError as error:
        raise unreadable(path, error) from error
    if not path.is_file():
        raise UserError(f"{key}: {path} is {'a folder' if path.is_dir() else 'a pipe or a device'}, but must be a file")
    if size == 0:
        raise UserError(f"{path} is empty")
    return path


def side_file(stem: Path, language: str, key: str) -> Path:
    """The file of one language of line-aligned text: the stem, a dot, the language, and perhaps a compression ending.

    Raises:
        UserError: if there is no such file or more than one; the message says what is there instead.
    """
    try:
        found = [file for ending in READERS if (file := Path(f"{stem}.{language}{ending}")).exists()]
    except OSError as error:
        raise unreadable(stem, error) from error
    if len(found) > 1:
        raise UserError(f"{key}: it is not clear whether {' or '.join(map(str, found))} is meant: remove or rename one")
    if not found:
        raise UserError(f"{key}: {_why_missing(stem, language, key)}")
    return existing_file(found[0], key)


def _why_missing(stem: Path, language: str, key: str) -> str:
    if stem.is_dir():
        return f"{stem} is a folder, not the stem of two files{_holds(stem, 'stems', _stems(stem, language))}"
    if stem.is_file():
        plain = Path(str(stem).removesuffix(compression(stem)))
        if plain.suffix == f".{language}":
            return f"{stem} is one of two files: give the stem of both, {key}={plain.with_suffix('')}"
        return f"{stem} is one file: a table must end in {', '.join(FORMATS)}; of line-aligned files give the stem"
    siblings = [name for name in _names(stem.parent) if name.startswith(f"{stem.name}.")]
    if siblings:
        return (
            f"{stem}.{language} does not exist, there is only {_list(siblings)}: "
            "data.src and data.tgt must be the endings of the files"
        )
    return f"{stem}.{language} does not exist{_holds(stem.parent, 'stems', _stems(stem.parent, language))}"


def _holds(folder: Path, what: str, names: list[str]) -> str:
    if not folder.is_dir():
        return f": there is no folder {folder}"
    return f"; {folder} holds the {what} {_list(names)}" if names else ""


def _list(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def _stems(folder: Path, language: str) -> list[str]:
    endings = [f".{language}{ending}" for ending in READERS]
    return sorted({name.removesuffix(ending) for name in _names(folder) for ending in endings if name.endswith(ending)})


def _names(folder: Path) -> list[str]:
    try:
        return sorted(file.name for file in folder.iterdir())
    except OSError:
        return []
