"""metrics.jsonl: everything that TensorBoard shows but pictures, a JSON object a line."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt.errors import naming


class Record:
    """A run's metrics.jsonl, open for what comes after an update.

    Every line has its `kind` and the `update` that it came after. A number that JSON lacks (NaN, infinity) is null.

    Args:
        path: of the file.
        updates: made so far; what was written after them is forgotten.
    """

    def __init__(self, path: Path, *, updates: int) -> None:
        self._path = path
        _forget_after(path, updates)
        self._file = path.open("a", encoding="utf-8")

    def close(self) -> None:
        """Give the file back; nothing is pending but what could not be written."""
        with naming(self._path):
            self._file.close()

    def write(self, kind: str, update: int, values: Mapping[str, Any]) -> None:
        """One line."""
        with naming(self._path):
            self._file.write(_line(kind, update, values))
            self._file.flush()

    def event(self, update: int, event: str, **details: Any) -> None:
        """One line of kind `event`: what happened, and when."""
        self.write("event", update, {"event": event, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **details})


def write_once(path: Path, kind: str, update: int, values: Mapping[str, Any]) -> bool:
    """Append a line to a record unless it has one of that kind and update; returns whether it had none."""
    _forget_after(path, math.inf)  # only what is cut, and so has no end to append to
    with naming(path), path.open("a+", encoding="utf-8") as file:
        file.seek(0)
        if any((line.get("kind"), line["update"]) == (kind, update) for line in map(json.loads, file)):
            return False
        file.write(_line(kind, update, values))
    return True


def _line(kind: str, update: int, values: Mapping[str, Any]) -> str:
    return json.dumps({"kind": kind, "update": update, **_for_json(values)}, allow_nan=False) + "\n"


def _for_json(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {name: _for_json(item) for name, item in value.items()}
        case list() | tuple():
            return [_for_json(item) for item in value]
    return value


def _forget_after(path: Path, updates: float) -> None:
    """Drop lines of later updates, and those that are none of a record, such as a last one that an interruption cut."""
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().split(b"\n"):
        try:
            if line and json.loads(line)["update"] <= updates:
                kept.append(line + b"\n")
        except (ValueError, KeyError, TypeError):  # cut, or none of ours
            continue
    scratch = path.with_name(f".{path.name}")
    with naming(scratch):
        scratch.write_bytes(b"".join(kept))
    scratch.replace(path)
