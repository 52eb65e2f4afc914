"""Everything that decides what comes next in a training: gathered for a checkpoint, and put back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save as write

from nmt.errors import UserError
from nmt.training import distributed
from nmt.training.checkpoint import EMA, MODEL, Checkpoint, Contents
from nmt.training.checkpoints import CheckpointWriter
from nmt.training.loop import Trainer
from nmt.training.progress import Progress
from nmt.training.randomness import random_state, restore_random_state

SHARDS = "optimizer"
"""The folder of a checkpoint for an optimizer whose state is split among processes."""


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
    """Put a trainer, whose model has the checkpoint's parameters already, where the checkpoint was made."""
    training = checkpoint.training()
    if missing := {"optimizer", "random", "scaler", "environment"} - training.keys():
        raise UserError(f"{checkpoint.directory / 'training.pt'} lacks {', '.join(sorted(missing))}: it is not what nmt writes")
    if (checkpoint.directory / SHARDS).is_dir():
        _read_shards(trainer, checkpoint.directory / SHARDS, training["optimizer"])
    elif trainer.settings.parallel != "fsdp":  # else nothing had been updated yet
        trainer.optimizer.load_state_dict(training["optimizer"])
    trainer.scaler.load_state_dict(training["scaler"])
    if trainer.averages is not None:
        trainer.averages.load(load_file(checkpoint.directory / EMA))
    return Restored(Progress.from_state(checkpoint.state()), training["environment"], training["random"])


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


def _read_shards(trainer: Trainer, folder: Path, rest: dict[str, Any]) -> None:
    """Read them, however many processes wrote them and however many read."""
    optimizer: dict[str, Any] = get_optimizer_state_dict(trainer.trained, trainer.optimizer)
    tensors, _ = _split(optimizer)
    load(tensors, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=not dist.is_initialized())
    for name, values in optimizer["state"].items():
        for key in values:
            values[key] = tensors.get(f"{name}/{key}", rest["state"].get(name, {}).get(key))
    set_optimizer_state_dict(
        trainer.trained, trainer.optimizer, {"state": optimizer["state"], "param_groups": rest["param_groups"]}
    )


def _split(optimizer: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of an optimizer's state by name, and everything else of it."""
    flat = {(name, key): value for name, values in optimizer["state"].items() for key, value in values.items()}
    tensors = {f"{name}/{key}": value for (name, key), value in flat.items() if isinstance(value, Tensor)}
    others: dict[str, dict[str, Any]] = {}
    for (name, key), value in flat.items():
        if not isinstance(value, Tensor):
            others.setdefault(name, {})[key] = value
    return tensors, {"state": others, "param_groups": optimizer["param_groups"]}
