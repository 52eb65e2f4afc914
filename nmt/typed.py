"""What is typed after a command: texts, paths and lists of them, quoted for Hydra, and taken out of its config again."""

import re
from collections.abc import Sequence
from typing import Any

from nmt.errors import UserError
from nmt.paths import LISTS, PATH_KEYS, expanded_value, value_at, with_value

TEXT_KEYS = {"text", "prefix"}
"""Keys whose values are any text."""

SEVERAL_VALUES = LISTS | {"metrics", "method", "checkpoints"}
"""Keys that take a list."""

_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_IS_QUOTED = re.compile(_QUOTED, re.DOTALL)
_ITEM = re.compile(rf"\s*(?:{_QUOTED}|\[(?:{_QUOTED}|[^]])*\])\s*(?=,|$)|[^,]*", re.DOTALL)
_FUNCTION = re.compile(r"\w+\(.*\)$", re.DOTALL)
"""Of Hydra, such as `choice(a,b)`."""

_MISSING = re.compile(r"\\*\?\?\?")
"""What OmegaConf would take for a value that is missing, and what stands for it in a config: the same behind a backslash."""


def takes_text(command: str, key: str) -> bool:
    """Whether the values of a key are any text."""
    return key in TEXT_KEYS or (command, key) == ("explain", "reference")  # elsewhere a file


def quoted(argument: str, *, sweeping: bool = False, command: str = "") -> str:
    """Quote the value of a key that takes a sentence or a path for Hydra, so that any can be typed.

    In a sweep, what has commas for the data are several paths.

    Raises:
        UserError: for a path, or an item of a list, that is empty.
    """
    key, equals, value = argument.partition("=")
    name = key.lstrip("+")
    if equals and takes_text(command, name):
        return f"{key}={_literal(value)}"
    if not equals or name not in PATH_KEYS or value == "null":
        return argument
    if not value:
        raise UserError(f"{argument} is empty: give a path, or null for none")
    if sweeping and name.startswith("data."):
        return argument if _FUNCTION.match(value) else f"{key}={','.join(_path(key, item) for item in _items(argument, value))}"
    return f"{key}={_path(key, value)}"


def in_quotes(text: str) -> str:
    """A text in the quotes of Hydra's grammar."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return "'" + re.sub(r"(\\+)$", r"\1\1", escaped) + "'"


def check_repeated(command: str, arguments: Sequence[str], *, sweeping: bool) -> None:
    """Raise `UserError` if a key was typed twice with two values."""
    typed: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        key = key.lstrip("+")
        group, _, package = key.partition("@")
        key = group if package == group.replace("/", ".") else key
        if argument.startswith("-") or not equals:
            continue
        if (first := typed.setdefault(key, value)) != value:
            takes_list = key in SEVERAL_VALUES and not takes_text(command, key) and "null" not in (first, value)
            listed = f", or both: {key}=[{','.join(map(_without_brackets, (first, value)))}]" if takes_list else ""
            swept = f", or sweep over both: {key}={first},{value}" if sweeping and not takes_list else ""
            raise UserError(f"{key} is typed twice: {key}={first} and {key}={value}; type one of them{listed}{swept}")


def plain(config: Any, command: str) -> dict[str, Any]:
    """A composed config as plain values: resolved, texts and paths as they were typed, `~` a home directory.

    Raises:
        MissingMandatoryValue: if a value is missing.
        UserError: if a home directory is not known.
    """
    from omegaconf import OmegaConf

    values: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    for key in TEXT_KEYS | PATH_KEYS:
        if (value := value_at(values, key)) is not None:
            typed = _as_typed(value)
            values = with_value(values, key, typed if takes_text(command, key) else expanded_value(typed))
    return dict(values)


def _path(key: str, value: str) -> str:
    if key.lstrip("+") in LISTS and value.startswith("[") and value.endswith("]"):
        inside = value[1:-1]
        items = _items(f"{key}={value}", inside) if inside.strip() else []
        return f"[{','.join(_literal(_unquoted(item)) for item in items)}]"
    return _literal(_unquoted(value))


def _items(argument: str, text: str) -> list[str]:
    """What commas separate, without spaces around it; commas in quotes and brackets do not."""
    items, place = [], 0
    while place <= len(text):
        match = _ITEM.match(text, place)
        assert match is not None  # any item may be empty
        items.append(match[0].strip())
        place = match.end() + 1
    if not all(items):
        raise UserError(f"{argument}: an item between its commas is empty; a name with a comma needs quotes: '…'")
    return items


def _unquoted(value: str) -> str:
    """What quotes hold; a value without them as it is."""
    if not _IS_QUOTED.fullmatch(value):
        return value
    mark, text = value[0], value[1:-1]
    text = re.sub(rf"(\\*)\\{mark}", lambda found: found[1][: len(found[1]) // 2] + mark, text)
    return re.sub(r"\\+$", lambda found: found[0][: len(found[0]) // 2], text)


def _literal(text: str) -> str:
    """A text in quotes of which neither Hydra nor OmegaConf takes anything for more than text."""
    escaped = in_quotes(f"\\{text}" if _MISSING.fullmatch(text) else text)
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", escaped)  # no interpolation, whatever stands before it


def _as_typed(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_typed(item) for item in value]
    return value[1:] if isinstance(value, str) and value.startswith("\\") and _MISSING.fullmatch(value) else value


def _without_brackets(value: str) -> str:
    return value[1:-1] if value.startswith("[") and value.endswith("]") else value
