"""A checkpoint: what is in it, and that it is checked before it is believed."""

import hashlib
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model
from torch import Tensor, nn

from nmt.errors import UserError

FORMAT = 2
AVERAGED = "averaged"
"""The checkpoint that `nmt average` leaves."""

MODEL, EMA = "model.safetensors", "ema.safetensors"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Contents:
    """What a checkpoint is to hold, in memory of its own.

    Attributes:
        weights: for each file, such as `model.safetensors`, the parameters by name.
        training: everything else that decides what comes next, tensors and plain values only; None where nothing does.
        state: what `Progress` counts.
    """

    weights: dict[str, dict[str, Tensor]]
    training: dict[str, Any] | None
    state: dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint directory, `step-0001000`, that holds

    - `model.safetensors`: the parameters, and `ema.safetensors` their exponential moving average where there is one;
    - `training.pt`: optimizer, gradient scaler and random generators, tensors and plain values only;
    - `optimizer/`: where training is sharded, the optimizer's tensors, in a file or more a process;
    - `state.json`: what `Progress` counts;
    - `manifest.json`: the format and the SHA-256 of all other files;

    or `averaged`, which training does not continue from: it has no `training.pt`, and its state says what it averages.
    """

    directory: Path

    @property
    def updates(self) -> int:
        """The update after which it was written."""
        name = self.directory.name.removeprefix("step-")
        return int(name) if name.isdecimal() else int(self.state()["updates"])  # a copy that followed the links last and best

    def damage(self) -> str | None:
        """What is wrong with it, or None.

        Raises:
            UserError: if it has a newer format.
        """
        try:
            manifest = json.loads((self.directory / MANIFEST).read_text(encoding="utf-8"))
            if manifest["format"] > FORMAT:
                raise UserError(
                    f"{self.directory} has checkpoint format {manifest['format']}, but this nmt reads up to {FORMAT}: "
                    "install a newer nmt"
                )
            for name in {MODEL, "state.json"} | manifest["sha256"].keys():
                if sha256(self.directory / name) != manifest["sha256"][name]:
                    return f"{self.directory / name} was cut short or altered"
        except (FileNotFoundError, IsADirectoryError) as error:
            return f"{error.filename} is missing"
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
            return f"{self.directory / MANIFEST} was cut short or altered"
        return None

    def file_of(self, weights: str) -> str:
        """The name of the file of `raw` parameters or of their average, `ema`; `auto` is the average where there is one.

        Raises:
            UserError: for any other word.
        """
        if weights not in ("auto", "raw", "ema"):
            raise UserError(f"weights must be auto, raw or ema, but is {weights!r}")
        return EMA if weights == "ema" or (weights == "auto" and (self.directory / EMA).exists()) else MODEL

    def load_model(self, model: nn.Module, name: str = MODEL) -> None:
        """Fill a model with the parameters in one of its files.

        Raises:
            UserError: if the checkpoint is damaged, has no such file or belongs to another model.
        """
        if problem := self.damage():
            raise UserError(f"{problem}: name another checkpoint with checkpoint=…")
        path = self.directory / name
        if not path.exists():
            raise UserError(f"{path} is not there: only a run with train.ema_decay has averages; set weights=raw")
        try:
            load_model(model, path, strict=True)
        except (RuntimeError, SafetensorError) as error:
            message = " ".join(str(error).split())  # torch's goes over several lines
            raise UserError(f"{path} does not fit the run's config.yaml: {message}") from error

    def training(self) -> dict[str, Any]:
        """Optimizer state, random generators and whatever else is not counted.

        Raises:
            UserError: if the file holds anything but tensors and plain values, which is then not loaded; or is of an older nmt.
        """
        path = self.directory / "training.pt"
        if json.loads((self.directory / MANIFEST).read_text(encoding="utf-8"))["format"] < FORMAT:
            raise UserError(
                f"{self.directory} was written by an older nmt: it can be evaluated and translated with, but not continued; "
                "train in another run_dir"
            )
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
            raise UserError(f"{path} is damaged, or holds more than tensors and plain values: it is not loaded") from error
        return state

    def state(self) -> dict[str, Any]:
        """What was counted."""
        path = self.directory / "state.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise UserError(f"{path} is not what nmt writes") from error


def sha256(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
