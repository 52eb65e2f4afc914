"""metrics.jsonl: everything that TensorBoard shows but pictures, a JSON object a line."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nmt.errors import naming
from nmt.files import inside, open_inside, written_whole
from nmt.saved import damaged

NAME = "metrics.jsonl"

LONGEST_LINE = 2**24
"""Bytes of a line: those with histograms of all parameters have some ten thousand."""


class Record:
    """A run's metrics.jsonl, open for what comes after an update.

    Every line has its `kind` and the `update` that it came after. A number that JSON lacks (NaN, infinity) is null.

    Args:
        directory: of the run.
        updates: made so far; what was written after them is forgotten.
        validated: the update of the last validation; of later ones, which an interruption cut off before their checkpoint, what
            was written is forgotten, too, since they will be made again.
    """

    def __init__(self, directory: Path, *, updates: int, validated: int) -> None:
        self._path = inside(directory, NAME)
        _forget(self._path, lambda line: line["update"] > updates or (_is_of_validation(line) and line["update"] > validated))
        self._file = open_inside(directory, NAME, mode="a")

    def figures(self, kind: str, update: int) -> dict[str, float]:
        """The numbers in the lines of a kind and an update."""
        lines = [line for line in _lines(self._path) if (line["kind"], line["update"]) == (kind, update)]
        return {name: value for line in lines for name, value in line.items() if "/" in name and isinstance(value, int | float)}

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


def write_once(directory: Path, kind: str, update: int, values: Mapping[str, Any]) -> bool:
    """Append a line to a run's record unless it has one of that kind and update; returns whether it had none."""
    path = inside(directory, NAME)
    _forget(path, lambda _: False)  # only what is cut, and so has no end to append to
    if any((line["kind"], line["update"]) == (kind, update) for line in _lines(path)):
        return False
    with naming(path), open_inside(directory, NAME, mode="a") as file:
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


def _is_of_validation(line: Mapping[str, Any]) -> bool:
    return line["kind"] in ("valid", "samples", "speed") or any(name.startswith("parameters/") for name in line)


def _forget(path: Path, forgotten: Callable[[Mapping[str, Any]], bool]) -> None:
    """Drop lines, and those that are none of a record, such as a last one that an interruption cut."""
    if not path.exists():
        return
    with written_whole(path) as kept:
        kept.writelines(json.dumps(line) + "\n" for line in _lines(path) if not forgotten(line))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """What stands in a record; lines that are cut or none of ours are passed over.

    Raises:
        UserError: if a line has no end in sight, as in a file that is no record.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        while text := file.readline(LONGEST_LINE):
            if len(text) == LONGEST_LINE and not text.endswith(b"\n"):
                raise damaged(
                    path, f"a line has more than {LONGEST_LINE:,} bytes", "remove it, and training goes on without it"
                )
            try:
                line = json.loads(text)
                if isinstance(line["kind"], str) and isinstance(line["update"], int):
                    yield line
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
