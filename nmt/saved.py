"""What nmt has saved, read as if a stranger had written it: of bounded size, of the expected types, or one error."""

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from omegaconf._utils import get_yaml_loader

from nmt.errors import UserError
from nmt.files import regular_file

Value = TypeVar("Value")

MEBIBYTE = 2**20


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
        raise damaged(path, "it is not JSON", advice) from error
    return checked(value, schema, path, advice=advice)


def read_yaml(path: Path, *, most: int = MEBIBYTE // 4, advice: str = "") -> Any:
    """The content of a YAML file as plain values. An alias, with which few bytes can stand for billions, is refused.

    Raises:
        FileNotFoundError: if there is no such file.
        UserError: if it is damaged or too large.
    """
    content = read_small(path, most=most)
    try:
        return yaml.load(content, Loader=_PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise damaged(path, str(error).splitlines()[0] if str(error) else "it is nested too deeply", advice) from error


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
    if regular_file(path).stat().st_size > most:
        raise UserError(f"{path} is not what nmt writes: it has more than {most:,} bytes")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def damaged(where: object, what: str, advice: str = "") -> UserError:
    """The error for a saved file that does not hold what it should."""
    return UserError(f"{where} is damaged, or is not what nmt writes: {what}{advice and '; '}{advice}")


class _PlainLoader(get_yaml_loader()):  # type: ignore[misc]  # OmegaConf's, which knows more ways to write a number
    """Without aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*), which nmt never writes")
        return super().compose_node(parent, index)
