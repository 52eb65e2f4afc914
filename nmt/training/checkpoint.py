"""A checkpoint: what is in it, and that it is checked before it is believed."""

import hashlib
import pickle
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, load_model
from torch import Tensor, nn

from nmt.errors import UserError, is_of_the_system
from nmt.files import open_regular
from nmt.machine import physical_memory
from nmt.saved import MEBIBYTE, Count, checked, damaged, read_json
from nmt.training.tensors import check_archive, check_fits, saved_tensors

FORMAT = 2
AVERAGED = "averaged"
"""The checkpoint that `nmt average` leaves."""

MODEL, EMA = "model.safetensors", "ema.safetensors"
MANIFEST = "manifest.json"
STATE, TRAINING = "state.json", "training.pt"
SHARDS = "optimizer"
"""The folder of a checkpoint for an optimizer whose state is split among processes."""

_NAME = re.compile(rf"{re.escape(MODEL)}|{re.escape(EMA)}|{STATE}|{TRAINING}|{SHARDS}/(?!\.\.?$)[\w.-]+", re.ASCII)
_ANY = 16 * MEBIBYTE
"""Bytes of a file that holds no tensors, or of what a file holds beside them."""


class NewerFormatError(UserError):
    """A checkpoint is of a newer nmt."""


class Manifest(TypedDict):
    """What `manifest.json` holds: for each other file, by its plain name, the SHA-256 of its content."""

    format: Annotated[int, msgspec.Meta(ge=1)]
    sha256: dict[str, Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]]


_UNREADABLE: tuple[type[Exception], ...]
_UNREADABLE = (pickle.UnpicklingError, EOFError, RuntimeError, LookupError, AttributeError, TypeError, ValueError)
_UNREADABLE += (AssertionError, ArithmeticError, NotImplementedError, struct.error)
"""What `torch.load` raises for a file whose content it cannot make sense of: its unpickler passes on whatever it meets."""


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
        if name.isdecimal():
            return int(name)
        return checked(self.state().get("updates"), Count, self.directory / STATE)  # a copy that followed last and best

    def manifest(self) -> Manifest:
        """Its files and their checksums.

        Raises:
            FileNotFoundError: if there is none.
            UserError: if it has a newer format, or is damaged.
        """
        path = self.directory / MANIFEST
        found = read_json(path, dict[str, Any], most=MEBIBYTE)
        if isinstance(form := found.get("format"), int) and form > FORMAT:
            raise NewerFormatError(
                f"{self.directory} has checkpoint format {form}, but this nmt reads up to {FORMAT}: install a newer nmt"
            )
        manifest = checked(found, Manifest, path)
        if strange := [name for name in manifest["sha256"] if not _NAME.fullmatch(name)]:
            raise damaged(path, f"{strange[0]!r:.80} is not the name of a file in a checkpoint")
        return manifest

    def damage(self) -> str | None:
        """What is wrong with it, or None.

        Raises:
            UserError: if it has a newer format, or the system cannot read it now.
        """
        try:
            sums = self.manifest()["sha256"]
            shards = {f"{SHARDS}/{path.name}" for path in (self.directory / SHARDS).glob("*")}
            for name in sorted({MODEL, STATE, *shards} | sums.keys()):
                if name in (MODEL, EMA):
                    saved_tensors(self.directory / name)
                if name not in sums or sha256(self.directory / name, most=self._most(name)) != sums[name]:
                    return f"{self.directory / name} was cut short or altered"
        except NewerFormatError:
            raise
        except UserError as error:
            if is_of_the_system(error):
                raise
            return str(error)
        except (FileNotFoundError, NotADirectoryError) as error:
            return f"{error.filename} is missing"
        return None

    def _most(self, name: str) -> int:
        """The bytes that a file of it may have, known before it is read."""
        if name in (MODEL, EMA):
            return physical_memory()
        if name in (STATE, MANIFEST):
            return _ANY
        others = sum(path.stat().st_size for path in (self.directory / SHARDS).glob("*") if path.name != Path(name).name)
        return 4 * (self.directory / MODEL).stat().st_size + _ANY - others  # no optimizer keeps more of a parameter

    def file_of(self, weights: str) -> str:
        """The name of the file of `raw` parameters or of their average, `ema`; `auto` is the average where there is one.

        Raises:
            UserError: for any other word.
        """
        if weights not in ("auto", "raw", "ema"):
            raise UserError(f"weights must be auto, raw or ema, but is {weights!r}")
        return EMA if weights == "ema" or (weights == "auto" and (self.directory / EMA).exists()) else MODEL

    def check_model(self, model: nn.Module, name: str = MODEL) -> None:
        """Raise `UserError` if the checkpoint is damaged or a file of it does not fit a model, which may be on `meta`."""
        if problem := self.damage():
            raise UserError(f"{problem}: name another checkpoint with checkpoint=…")
        path = self.directory / name
        if not path.exists():
            raise UserError(f"{path} is not there: only a run with train.ema_decay has averages; set weights=raw")
        check_fits(path, dict(model.state_dict()), whole=False)

    def load_model(self, model: nn.Module, name: str = MODEL) -> None:
        """Fill a model with the parameters in one of its files.

        Raises:
            UserError: if the checkpoint is damaged, has no such file or belongs to another model.
        """
        self.check_model(model, name)
        self.fill(model, name)

    def fill(self, model: nn.Module, name: str) -> None:
        """The same after `check_model`."""
        path = self.directory / name
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
        path = self.directory / TRAINING
        if self.manifest()["format"] < FORMAT:
            raise UserError(
                f"{self.directory} was written by an older nmt: it can be evaluated and translated with, but not continued; "
                "train in another run_dir"
            )
        check_archive(path, most=self._most(TRAINING))
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except _UNREADABLE as error:
            raise UserError(f"{path} is damaged, or holds more than tensors and plain values: it is not loaded") from error
        if type(state) is not dict:
            raise damaged(path, f"it holds a {type(state).__name__}")
        return state

    def averages(self, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The exponential moving averages of parameters.

        Raises:
            UserError: if they are not those of these parameters.
        """
        check_fits(self.directory / EMA, wanted)
        return load_file(self.directory / EMA)

    def state(self) -> dict[str, Any]:
        """What was counted.

        Raises:
            UserError: if that cannot be read.
        """
        return read_json(self.directory / STATE, dict[str, Any], most=_ANY)


def sha256(path: Path, *, most: int = 2**63) -> str:
    """The checksum of a regular file.

    Raises:
        UserError: if it is none, or has more bytes than `most`.
    """
    with open_regular(path, most=most) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # BinaryIO has what it needs
