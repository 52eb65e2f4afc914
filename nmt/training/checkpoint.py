"""Checkpoints: written whole or not at all, checked before they are believed."""

import hashlib
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from nmt.errors import UserError

FORMAT = 1
AVERAGED = "averaged"
"""The checkpoint that `nmt average` leaves."""

_MANIFEST = "manifest.json"
_STEP = re.compile(r"step-\d+")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint directory, `step-0001000`, that holds

    - `model.safetensors`: the parameters;
    - `training.pt`: optimizer and random generators, tensors and plain values only;
    - `state.json`: what `Progress` counts;
    - `manifest.json`: the format and the SHA-256 of the other three;

    or `averaged`, which training does not continue from: it has no `training.pt`, and its state says what it averages.
    """

    directory: Path

    @property
    def updates(self) -> int:
        """The update after which it was written."""
        return int(self.directory.name.removeprefix("step-"))

    def damage(self) -> str | None:
        """What is wrong with it, or None.

        Raises:
            UserError: if it has a newer format.
        """
        try:
            manifest = json.loads((self.directory / _MANIFEST).read_text(encoding="utf-8"))
            if manifest["format"] > FORMAT:
                raise UserError(
                    f"{self.directory} has checkpoint format {manifest['format']}, but this nmt reads up to {FORMAT}: "
                    "install a newer nmt"
                )
            for name in sorted({"model.safetensors", "state.json", *manifest["sha256"]}):
                if _hash(self.directory / name) != manifest["sha256"][name]:
                    return f"{self.directory / name} was cut short or altered"
        except (FileNotFoundError, IsADirectoryError) as error:
            return f"{error.filename} is missing"
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
            return f"{self.directory / _MANIFEST} was cut short or altered"
        return None

    def load_model(self, model: nn.Module) -> None:
        """Fill a model with its parameters.

        Raises:
            UserError: if the file is damaged or belongs to another model.
        """
        if problem := self.damage():
            raise UserError(f"{problem}: name another checkpoint with checkpoint=…")
        try:
            load_model(model, self.directory / "model.safetensors", strict=True)
        except (RuntimeError, SafetensorError) as error:
            message = " ".join(str(error).split())  # torch's goes over several lines
            raise UserError(f"{self.directory / 'model.safetensors'} does not fit the run's config.yaml: {message}") from error

    def training(self) -> dict[str, Any]:
        """Optimizer state and random generators.

        Raises:
            UserError: if the file holds anything but tensors and plain values, which is then not loaded.
        """
        path = self.directory / "training.pt"
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
            raise UserError(f"{path} is damaged, or holds more than tensors and plain values: it is not loaded") from error
        return state

    def state(self) -> dict[str, Any]:
        """What was counted."""
        state: dict[str, Any] = json.loads((self.directory / "state.json").read_text(encoding="utf-8"))
        return state


class Checkpoints:
    """The `checkpoints/` of a run, with the links `last` and `best`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def all(self) -> list[Checkpoint]:
        """All of them, damaged ones too, oldest first."""
        return [Checkpoint(path) for path in sorted(self.directory.glob("step-*")) if _STEP.fullmatch(path.name)]

    def find(self, name: str) -> Checkpoint:
        """The checkpoint called `last`, `best`, `averaged` or by its number of updates.

        Raises:
            UserError: if there is none.
        """
        path = self.directory / (name if name in ("last", "best", AVERAGED) else f"step-{name:0>7}")
        if not path.is_dir():
            there = ", ".join(str(checkpoint.updates) for checkpoint in self.all()) or "none"
            makes = " (`nmt average` makes averaged)" if name == AVERAGED else ""
            raise UserError(f"checkpoint={name} is not in {self.directory}; those there are: best, last, {there}{makes}")
        return Checkpoint(path.resolve())

    def newest_intact(self, report: Callable[[str], None]) -> Checkpoint | None:
        """The newest checkpoint without damage, or None where none was ever written; damaged ones are reported.

        Raises:
            UserError: if there are some but all are damaged.
        """
        problems = []
        for checkpoint in reversed(self.all()):
            problem = checkpoint.damage()
            if problem is None:
                return checkpoint
            problems.append(problem)
            report(f"{problem}: trying the checkpoint before it")
        if problems:
            raise UserError(f"no checkpoint in {self.directory} is intact ({problems[0]}): start anew in another run_dir")
        return None

    def best_intact(self, report: Callable[[str], None]) -> Checkpoint:
        """The best checkpoint; where it is damaged or gone, the newest intact one, and that is reported.

        Raises:
            UserError: if none is intact.
        """
        best = Checkpoint((self.directory / "best").resolve())
        problem = best.damage()
        if problem is None:
            return best
        newest = self.newest_intact(report)
        if newest is None:
            raise UserError(f"there is no checkpoint in {self.directory}")
        report(f"{problem}: taking the newest intact checkpoint, of update {newest.updates}, for the best")
        return newest

    def save(self, model: nn.Module, training: dict[str, Any], state: dict[str, Any], *, keep: int) -> None:
        """Write the checkpoint of `state["updates"]`, point the links where the state says, and remove old ones.

        It is written under another name, flushed to disk and renamed, so that what has its name is whole.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        target = self.directory / f"step-{state['updates']:07d}"
        scratch = self.directory / f".writing-{target.name}"
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            scratch.mkdir()
            save_model(model, str(scratch / "model.safetensors"))
            torch.save(training, scratch / "training.pt")
            (scratch / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
            sums = {path.name: _hash(path) for path in sorted(scratch.iterdir())}
            (scratch / _MANIFEST).write_text(json.dumps({"format": FORMAT, "sha256": sums}, indent=1), encoding="utf-8")
            for path in (*scratch.iterdir(), scratch):
                _flush(path)
            if target.exists():  # a damaged one, or one from before an interruption
                shutil.rmtree(target)
            scratch.rename(target)
        except (SafetensorError, RuntimeError) as error:  # how the two libraries report a file that cannot be written
            raise UserError(f"the checkpoint cannot be written to {self.directory}: {error}; is the disk full?") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        self.point(state)
        self._prune(state["updates"], keep)

    def point(self, state: dict[str, Any]) -> None:
        """Let `last` be the checkpoint of this state, and `best` the best one it knows: a kill may have come between."""
        for name, updates in (("last", state["updates"]), ("best", state["best_update"])):
            target = self.directory / f"step-{updates:07d}"
            if target.is_dir():
                self._link(name, target)
        _flush(self.directory)

    def _link(self, name: str, target: Path) -> None:
        scratch, link = self.directory / f".{name}", self.directory / name
        scratch.unlink(missing_ok=True)
        if link.is_dir() and not link.is_symlink():  # a copy that followed the link
            shutil.rmtree(link)
        scratch.symlink_to(target.name)
        scratch.replace(link)

    def _prune(self, updates: int, keep: int) -> None:
        """Keep the best and the newest up to `updates`; later ones belong to a future that was given up."""
        past = [checkpoint for checkpoint in self.all() if checkpoint.updates <= updates]
        kept = {checkpoint.directory.name for checkpoint in past[-keep:]} | {(self.directory / "best").resolve().name}
        for checkpoint in self.all():
            if checkpoint.directory.name not in kept:
                shutil.rmtree(checkpoint.directory)


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """A folder to write a checkpoint's files into; with their checksums and flushed to disk it then becomes `target`.

    Raises:
        UserError: if a library cannot write its file.
    """
    scratch = target.with_name(f".writing-{target.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir(parents=True)
        yield scratch
        sums = {path.name: _hash(path) for path in sorted(scratch.iterdir())}
        (scratch / _MANIFEST).write_text(json.dumps({"format": FORMAT, "sha256": sums}, indent=1), encoding="utf-8")
        for path in (*scratch.iterdir(), scratch):
            _flush(path)
        if target.exists():  # a damaged one, or one from before
            shutil.rmtree(target)
        scratch.rename(target)
        _flush(target.parent)
    except (SafetensorError, RuntimeError) as error:  # how the libraries report a file that cannot be written
        raise UserError(f"{target} cannot be written: {error}; is the disk full?") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
