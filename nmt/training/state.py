"""Everything that decides what comes next in a training: gathered for a checkpoint, and put back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save as write

from nmt.saved import Amount, checked, damaged
from nmt.training import distributed
from nmt.training.checkpoint import EMA, MODEL, SHARDS, TRAINING, Checkpoint, Contents
from nmt.training.checkpoints import CheckpointWriter
from nmt.training.loop import Trainer
from nmt.training.progress import Progress
from nmt.training.randomness import check_random_state, random_state, restore_random_state
from nmt.training.tensors import checked_optimizer_state, saved_tensors

Environment = dict[Annotated[str, msgspec.Meta(max_length=100)], Annotated[str, msgspec.Meta(max_length=1000)] | int | None]
"""Versions and hardware, by name."""


class Saved(TypedDict):
    """What `training.pt` holds."""

    optimizer: dict[Any, Any]
    random: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1, max_length=100_000)]
    scaler: dict[str, Amount]
    environment: Environment


def save(writer: CheckpointWriter, model: nn.Module, trainer: Trainer, progress: Progress, environment: dict[str, Any]) -> None:
    """Hand a checkpoint of all processes to the writer of the first, which goes on in the background."""
    sharded = trainer.settings.parallel == "fsdp"
    here = distributed.rank() == 0
    weights = {MODEL: whole_weights(model, here=here)}
    if trainer.averages is not None:
        weights[EMA] = whole_weights(model, trainer.averages.values, here=here)
    random = distributed.gather(random_state())
    folder = distributed.broadcast(str(writer.begin(progress.updates)) if here else "")
    optimizer = _write_shards(trainer, Path(folder) / SHARDS) if sharded else trainer.optimizer.state_dict()
    training = {"optimizer": optimizer, "random": random, "scaler": trainer.scaler.state_dict(), "environment": environment}
    if here:
        writer.finish(Path(folder), Contents(weights, copied(training), progress.as_state()))


@dataclass(frozen=True)
class Restored:
    """What a checkpoint says beside parameters and optimizer.

    Attributes:
        progress: what was counted.
        environment: in which it was made.
        random: states of the random generators of each process.
    """

    progress: Progress
    environment: dict[str, Any]
    random: list[dict[str, Any]]

    def continue_random(self) -> None:
        """Put the generators of this process where they were: the last thing before training, for whatever is built draws."""
        if distributed.rank() < len(self.random):  # else there were fewer processes, and this one begins with its seed
            restore_random_state(self.random[distributed.rank()])


def restore(checkpoint: Checkpoint, trainer: Trainer) -> Restored:
    """Put a trainer, whose model has the checkpoint's parameters already, where the checkpoint was made.

    Raises:
        UserError: if the checkpoint holds anything that no such training has written.
    """
    where = checkpoint.directory / TRAINING
    progress = Progress.from_state(checkpoint.state())
    training = checked(checkpoint.training(), Saved, where)
    for random in training["random"]:
        check_random_state(random, where)
    own = trainer.scaler.state_dict()
    if own.keys() != training["scaler"].keys():
        raise damaged(where, f"the scale of its loss has the values {list(training['scaler'])!r:.80}, not {list(own)}")
    if (checkpoint.directory / SHARDS).is_dir():
        _read_shards(trainer, checkpoint.directory / SHARDS, training["optimizer"], where)
    elif trainer.settings.parallel != "fsdp":  # else nothing had been updated yet
        trainer.optimizer.load_state_dict(checked_optimizer_state(training["optimizer"], trainer.optimizer, where))
    if own:
        counted = {name: type(own[name])(training["scaler"][name]) for name in ("scale", "_growth_tracker")}
        trainer.scaler.load_state_dict(own | counted)
    if trainer.averages is not None:
        trainer.averages.load(checkpoint.averages(trainer.averages.values))
    return Restored(progress, training["environment"], training["random"])


def whole_weights(model: nn.Module, values: dict[str, Tensor] | None = None, *, here: bool = True) -> dict[str, Tensor]:
    """Copies, in host memory, of a model's parameters (or of `values` in their place) and buffers, tied ones once.

    All processes call it together; one where they are not wanted `here` gets none.
    """
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()} if values is None else values
    saved = model.state_dict().keys()
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in saved}
    gathered = ((name, distributed.whole(value)) for name, value in (parameters | buffers).items())
    return {name: copied(value) for name, value in gathered if here}


def copied(value: Any) -> Any:
    """A nested value with every tensor in host memory of its own."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True).contiguous()
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(copied(item) for item in value)
    return value


@torch.no_grad()
def fill(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give a model of the same shape what `whole_weights` found."""
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if name in weights:
            value.copy_(weights[name])


def _write_shards(trainer: Trainer, folder: Path) -> dict[str, Any]:
    """Write the optimizer's tensors, each process its part; gives the rest."""
    if not trainer.optimizer.state:  # asked for a state that is not there yet, torch would make it by an update
        return {"state": {}, "param_groups": []}
    tensors, rest = _split(get_optimizer_state_dict(trainer.trained, trainer.optimizer))
    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    write(tensors, storage_writer=writer, no_dist=not dist.is_initialized())
    return rest


def _read_shards(trainer: Trainer, folder: Path, rest: dict[Any, Any], where: Path) -> None:
    """Read them, however many processes wrote them and however many read. Settings stay those of the trainer."""
    optimizer: dict[str, Any] = get_optimizer_state_dict(trainer.trained, trainer.optimizer)
    tensors, others = _split(optimizer)
    for path in folder.glob("*"):
        saved_tensors(path)
    try:
        load(tensors, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=not dist.is_initialized())
    except (CheckpointException, RuntimeError, ValueError, LookupError) as error:
        raise damaged(folder, str(error).strip().splitlines()[-1]) from error
    saved = rest.get("state")
    for name, values in optimizer["state"].items():
        for key in values:
            if f"{name}/{key}" in tensors:
                values[key] = tensors[f"{name}/{key}"]
                continue
            values[key] = saved.get(name, {}).get(key) if isinstance(saved, dict) else None
            if type(values[key]) is not type(others["state"][name][key]):
                raise damaged(where, f"{key} of its optimizer is {values[key]!r:.80}")
    set_optimizer_state_dict(trainer.trained, trainer.optimizer, optimizer)


def _split(optimizer: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of an optimizer's state by name, and everything else of it."""
    flat = {(name, key): value for name, values in optimizer["state"].items() for key, value in values.items()}
    tensors = {f"{name}/{key}": value for (name, key), value in flat.items() if isinstance(value, Tensor)}
    others: dict[str, dict[str, Any]] = {}
    for (name, key), value in flat.items():
        if not isinstance(value, Tensor):
            others.setdefault(name, {})[key] = value
    return tensors, {"state": others, "param_groups": optimizer["param_groups"]}
