"""What nmt has saved, read as if a stranger had written it: of bounded size, of the expected types, or one error."""

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import yaml
from omegaconf._utils import get_yaml_loader

from nmt.errors import UserError
from nmt.files import open_regular

Value = TypeVar("Value")

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Number = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]
"""One that is finite."""
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e300)]

MEBIBYTE = 2**20
MOST_TEXT = 256 * MEBIBYTE
"""Bytes of a text that an evaluation has left."""
MOST_YAML = MEBIBYTE // 4
MOST_VALUES = 10_000
"""Values of a config, each of which takes some tens of microseconds to be read."""


def read_json(path: Path, schema: type[Value], *, most: int = 16 * MEBIBYTE, advice: str = "") -> Value:
    """The content of a JSON file as a value of a type: a dataclass, a `TypedDict`, `dict[str, int]` …

    Args:
        path: of the file.
        schema: the type, whose every part is checked; unknown keys are an error only where the type forbids them.
        most: bytes that such a file may have.
        advice: what to do about a file that is no such value.

    Raises:
        FileNotFoundError: if there is no such file.
        UserError: if it is damaged, too large, or of another type.
    """
    content = read_small(path, most=most)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise damaged(path, "it is not JSON", advice) from error
    return checked(value, schema, path, advice=advice)


def read_yaml(path: Path, *, advice: str = "") -> Any:
    """The content of a YAML file as plain values. An alias, with which few bytes can stand for billions, is refused.

    Raises:
        FileNotFoundError: if there is no such file.
        UserError: if it is damaged or too large.
    """
    content = read_small(path, most=MOST_YAML)
    try:
        value = yaml.load(content, Loader=_PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        nested = isinstance(error, RecursionError)
        raise damaged(path, "it is nested too deeply" if nested else str(error).splitlines()[0], advice) from error
    _check_plain(value, path, advice)
    return value


def checked(value: Any, schema: type[Value], where: object, *, advice: str = "") -> Value:
    """A plain value as one of a type.

    Raises:
        UserError: if it is of another type.
    """
    try:
        converted: Value = msgspec.convert(value, schema)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise damaged(where, str(error) or "it is nested too deeply", advice) from error
    return converted


def read_small(path: Path, *, most: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        FileNotFoundError: if there is no such file.
        UserError: if it is a pipe, a device or a folder, too large, or cannot be read.
    """
    try:
        with open_regular(path, most=most) as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if content is None or len(content) > most:  # a file of the kernel, which does not say how much there is
        raise UserError(f"{path} is not what nmt writes: it has no end, or more than {most:,} bytes")
    return content


def read_saved_lines(path: Path) -> list[str]:
    """The lines of a text that nmt has saved.

    Raises:
        UserError: if there is none, it is no regular file, is too large, or holds what is not UTF-8.
    """
    try:
        content = read_small(path, most=MOST_TEXT)
    except FileNotFoundError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    if (longest := max(map(len, lines), default=0)) > MEBIBYTE:
        raise UserError(f"{path} is not what nmt writes: it has a line of {longest:,} bytes")
    try:
        return [line.decode() for line in lines]
    except UnicodeDecodeError as error:
        raise damaged(path, f"{error.object!r:.40} is not UTF-8") from error


def damaged(where: object, what: str, advice: str = "") -> UserError:
    """The error for a saved file that does not hold what it should."""
    return UserError(f"{where} is damaged, or is not what nmt writes: {what}{advice and '; '}{advice}")


def _check_plain(value: Any, where: Path, advice: str) -> None:
    """YAML has sets, bytes and keys that are no words, too."""
    match value:
        case dict():
            if strange := [key for key in value if not isinstance(key, str)]:
                raise damaged(where, f"{strange[0]!r:.40} is no name of a key", advice)
            for item in value.values():
                _check_plain(item, where, advice)
        case list():
            for item in value:
                _check_plain(item, where, advice)
        case str() | bool() | float() | None:
            pass
        case int() if abs(value) < 2**63:
            pass
        case _:
            raise damaged(where, f"it holds a value of type {type(value).__name__} that nmt never writes", advice)


class _PlainLoader(get_yaml_loader()):  # type: ignore[misc]  # OmegaConf's, which knows more ways to write a number
    """Without aliases, and with few enough values to be read at once."""

    _values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._values += 1
        if self._values > MOST_VALUES:
            raise yaml.YAMLError(f"it has more than {MOST_VALUES:,} values")
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*), which nmt never writes")
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: Any) -> Any:
        return super().construct_yaml_int(_short(node))

    def construct_yaml_float(self, node: Any) -> Any:
        return super().construct_yaml_float(_short(node))


def _short(node: Any) -> Any:
    """A node that is a number, which takes time to read where it has many digits."""
    if len(node.value) > 400:
        raise yaml.YAMLError(f"it has a number of {len(node.value):,} digits")
    return node


for _kind in ("int", "float"):
    _PlainLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", getattr(_PlainLoader, f"construct_yaml_{_kind}"))
