"""The runs in folders, and which of them differ in nothing but the seed."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.config import free_keys
from nmt.errors import UserError
from nmt.paths import absolute
from nmt.result import Result, read_result
from nmt.run import flat, read_config
from nmt.saved import checked
from nmt.sweep.slugs import as_typed, settings_in
from nmt.training.checkpoints import Checkpoints

ENDS = ("train.max_updates", "train.max_epochs", "train.patience")
"""What may change when a run continues and yet is a setting of the run that came of it."""


@dataclass(frozen=True)
class Finished:
    """A run that came to its end.

    Attributes:
        directory: of the run.
        seed: of its training.
        settings: everything else that decides its result, by dotted key.
        result: what came of it.
    """

    directory: Path
    seed: int
    settings: dict[str, Any]
    result: Result


@dataclass(frozen=True)
class Found:
    """The runs in some folders.

    Attributes:
        finished: in the order in which they were named, or of their names.
        unfinished: runs that have more to do.
        repeated: pairs of runs of the same settings and seed, of which the second is left out.
    """

    finished: list[Finished]
    unfinished: list[Path]
    repeated: list[tuple[Path, Path]]


def find_runs(folders: Iterable[Path]) -> Found:
    """The runs that folders are or hold.

    Raises:
        UserError: if a folder holds none, or a run in it cannot be read.
    """
    found = Found([], [], [])
    seen: dict[str, Path] = {}
    for directory in dict.fromkeys(path for folder in folders for path in _runs_in(folder)):
        config, result = read_config(directory), read_result(directory)
        checkpoints = Checkpoints(directory / "checkpoints").all()
        if result is None or (checkpoints and checkpoints[-1].updates != result["updates"]):
            found.unfinished.append(directory)
            continue
        free = free_keys() - set(ENDS) | {"seed"}
        # A key that is null may be missing in runs of an older nmt
        seed = checked(config.get("seed"), int, f"seed in {directory / 'config.yaml'}")
        settings = {key: value for key, value in flat(absolute(config)).items() if key not in free and value is not None}
        first = seen.setdefault(repr((sorted(settings.items(), key=str), seed)), directory)
        if first is directory:
            found.finished.append(Finished(directory, seed, settings, result))
        else:
            found.repeated.append((first, directory))
    return found


def _runs_in(folder: Path) -> list[Path]:
    if (folder / "config.yaml").is_file():
        return [folder]
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist: give sweep folders, or run directories that `nmt train` has written")
    runs = [path.parent for path in folder.glob("*/config.yaml") if not path.parent.name.startswith(".")]
    if not runs:
        raise UserError(f"{folder} holds no run: give sweep folders, or run directories that `nmt train` has written")
    return sorted(runs, key=lambda path: [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)])


def grouped(runs: Sequence[Finished]) -> dict[str, list[Finished]]:
    """Runs that differ in nothing but the seed, under what tells them from the others."""
    groups: dict[str, list[Finished]] = {}
    for run in runs:
        groups.setdefault(repr(sorted(run.settings.items(), key=str)), []).append(run)
    members = list(groups.values())
    labels = _labels_of_folders(members) or _labels_of_settings([runs[0].settings for runs in members])
    return {label or f"model={runs[0].result['model']}": runs for label, runs in zip(labels, members, strict=True)}


def _labels_of_folders(groups: list[list[Finished]]) -> list[str] | None:
    """What the slugs of a sweep say beside the seed, where it tells every group from the others."""
    labels = []
    for runs in groups:
        said = {_label_of_folder(run.directory.resolve().name) for run in runs}
        labels.append(said.pop() if len(said) == 1 else None)
    return [label for label in labels if label] if all(labels) and len(set(labels)) == len(labels) else None


def _label_of_folder(name: str) -> str | None:
    settings = settings_in(name)
    return None if settings is None else " ".join(f"{key}={value}" for key, value in settings.items() if key != "seed")


def _labels_of_settings(groups: list[dict[str, Any]]) -> list[str]:
    """For each group the settings in which it differs from those that are of the same classes."""
    labels = []
    for settings in groups:
        parts = []
        for key in dict.fromkeys(key for other in groups for key in other):
            value = settings.get(key)
            peers = [other for other in groups if all(other.get(target) == settings.get(target) for target in _classes(key))]
            if any(other.get(key) != value for other in peers):
                is_class = key.endswith("._target_")
                parts.append(
                    f"{key.removesuffix('._target_')}={str(value).rpartition('.')[2].lower()}"
                    if is_class
                    else f"{key}={as_typed(value)}"
                )
        labels.append(" ".join(parts))
    return labels


def _classes(key: str) -> list[str]:
    """The keys of the classes that a key belongs to, from the outermost on, itself left out."""
    names = key.split(".")[:-1]
    targets = [".".join([*names[: length + 1], "_target_"]) for length in range(len(names))]
    return [target for target in targets if target != key]
