"""Slugs: the name of a run's folder in a sweep, made of what the sweep varies and of nothing else."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

LONGEST = 120
"""Characters of a slug; file systems take 255, and a run puts names of its own around it."""


def swept_settings(overrides: Sequence[str], constants: Collection[str]) -> dict[str, Any]:
    """The keys and values of a job's overrides, such as `seed=2`, that are not constant in its sweep."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    named = {name_of(override): override.value() for override in parsed}
    return {key: value for key, value in named.items() if key not in constants}


def name_of(override: Any) -> str:
    """The key of a parsed override, without a `+` before it."""
    return str(override.get_key_element()).lstrip("+~")


def slug(settings: Mapping[str, Any]) -> str:
    """`model=luong,seed=2`: equal for equal settings whatever their order, different for different ones, a safe file name.

    `/` becomes `+`; any other character that a file system or a shell might not like is percent-encoded. What would be
    longer than `LONGEST` ends in a hash of the whole.
    """
    return shortened(",".join(f"{_plain(key)}={_plain(as_typed(value))}" for key, value in sorted(settings.items())))


def shortened(name: str) -> str:
    """A name as it is; one that is longer than `LONGEST` ends in a hash of the whole."""
    if len(name) <= LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: LONGEST - len(digest) - 1]}-{digest}"


def settings_in(name: str) -> dict[str, str] | None:
    """What a slug says, or None if a name is none, or one that was cut."""
    parts = [part.partition("=") for part in name.split(",")]
    if len(name) >= LONGEST or not all(key and equals for key, equals, _ in parts):
        return None
    return {_original(key): _original(value) for key, _, value in parts}


def as_typed(value: Any) -> str:
    """A value as it would be typed; a string that looks like another type keeps its quotes."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def _plain(text: str) -> str:
    return quote(text, safe="@").replace("%2F", "+")


def _original(text: str) -> str:
    return unquote(text.replace("+", "/"))
