"""Paths as they are typed: `~`, folders from which a relative one counts, and where the cache is. Imports nothing heavy."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt.errors import UserError

PATH_KEYS = {"run", "run_dir", "sweep_dir", "init_from", "input", "output", "reference", "src", "tgt", "prefixes"}
PATH_KEYS |= {"gold", "reverse", "dev.src", "dev.tgt", "dev.gold", "guide.links", "guide.run", "guide.reverse"}
PATH_KEYS |= {"paths.cache", "data.train", "data.dev", "data.test", "data.name", "archive", "comet_model"}
"""Keys whose values are paths: any may be typed; `null` and a quoted value keep their meaning."""

LISTS = {"run", "reference", "archive", "data.train", "data.dev", "data.test"}
"""Those that take several: `[a,b]`."""

KEPT = ("init_from", "guide.links", "guide.run", "guide.reverse", "data.train", "data.dev", "data.test", "data.name")
"""Paths that a run keeps, and needs again."""


def expanded(path: str | Path) -> Path:
    """A path whose `~` or `~user` at the beginning is a home directory.

    Raises:
        UserError: if that home directory is not known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        first = Path(path).parts[0]
        what = "there is no home directory" if first == "~" else f"there is no user {first[1:]}"
        raise UserError(f"{path}: {what}; a name that begins with ~ is typed as ./{path}") from error


def expanded_value(value: Any) -> Any:
    """The value of a key that takes paths, with home directories in it and in the items of a list; what has none stays."""
    if isinstance(value, list):
        return [expanded_value(item) for item in value]
    return str(expanded(value)) if isinstance(value, str) and value.startswith("~") else value


def cache_directory(chosen: str | None) -> Path:
    """The folder of the cache: `paths.cache`, or else `NMT_CACHE`, or `nmt` in `XDG_CACHE_HOME` or in `~/.cache`.

    Raises:
        UserError: if none of them is set and there is no home directory.
    """
    if named := chosen or os.environ.get("NMT_CACHE"):
        return expanded(named)
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if shared.is_absolute():  # the XDG specification: a relative one does not count
        return shared / "nmt"
    try:
        return Path.home() / ".cache" / "nmt"
    except RuntimeError as error:
        raise UserError("there is no home directory for the cache: set NMT_CACHE=FOLDER, or paths.cache=FOLDER") from error


def check_home(library: str, *variables: str) -> None:
    """Raise `UserError` where a library would keep what it fetches in a folder called `~`, for want of a home directory.

    Args:
        library: its name.
        variables: of the environment, each of which names another place.
    """
    without_home = os.path.expanduser("~").startswith("~")  # noqa: PTH111 - Path.expanduser raises
    if without_home and not any(os.environ.get(name) for name in variables):
        raise UserError(f"there is no home directory, where {library} keeps what it fetches: set {variables[0]}=FOLDER")


def value_at(config: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key, or None."""
    value: Any = config
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def with_value(config: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A config with another value at a dotted key, which it has; the old one stays as it was."""
    name, _, rest = key.partition(".")
    return {**config, name: with_value(config[name], rest, value) if rest else value}


def absolute(config: Mapping[str, Any]) -> dict[str, Any]:
    """A training's config whose paths to what a run needs again do not depend on the current folder.

    Names that are no paths stay: a data set of the Hub, `gold` links, and whatever `data` takes that is not text files.
    """
    target = str(value_at(config, "data._target_"))
    changed = dict(config)
    for key in KEPT:
        value = value_at(config, key)
        is_text = not key.startswith("data.") or target.endswith(".TextCorpus")
        is_path = expanded(value).is_dir() if key == "data.name" and isinstance(value, str) else is_text and value != "gold"
        if is_path and value is not None:
            changed = with_value(changed, key, _absolute(value))
    return changed


def _absolute(path: Any) -> Any:
    if isinstance(path, list):
        return [_absolute(one) for one in path]
    return str(expanded(path).absolute()) if isinstance(path, str) and path else path


def same_path(one: Any, other: Any) -> bool:
    """Whether two values are one path, links and `..` followed."""
    return one == other or (isinstance(one, str) and isinstance(other, str) and _real(one) == _real(other))


def _real(path: str) -> str:
    return os.path.realpath(expanded(path))
