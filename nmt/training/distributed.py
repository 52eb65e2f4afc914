"""Many processes as one training, under `torchrun`. With one process everything here does nothing, or the plain thing.

Rank 0 prepares, writes and speaks. Host values travel by gloo, tensors by the backend of their device.
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from nmt.data.batches import Batch
from nmt.errors import LostProcessError, UserError
from nmt.training.loss import TrainedModel

log = logging.getLogger("nmt")
Value = TypeVar("Value")
Arguments = ParamSpec("Arguments")
PATIENCE = timedelta(hours=6)
"""How long a process waits for one that lives, such as rank 0 while it reads a large corpus; one that died ends it at once."""


def launched() -> bool:
    """Whether this is one of several processes, or the only one, that `torchrun` started."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """While it is open, the processes that `torchrun` started know each other; gives the device of this one.

    Raises:
        UserError: if there are more processes than GPUs on this machine.
        LostProcessError: if another process has ended while this one waited for it.
    """
    if not launched():
        if device.index is not None:
            torch.cuda.set_device(device)
        yield device
        return
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise UserError(
                f"this machine has {torch.cuda.device_count()} CUDA GPUs, none for process {local + 1}: lower --nproc_per_node"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    log.disabled = rank() > 0
    try:
        with _losses_named():
            yield device
    finally:
        log.disabled = False
        dist.destroy_process_group()


@contextmanager
def _losses_named() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        lost = ("gloo", "Connection closed", "Connection reset", "Broken pipe", "NCCL", "TCPStore")
        if size() > 1 and not isinstance(error, LostProcessError) and any(word in str(error) for word in lost):
            raise LostProcessError from error
        raise


@contextmanager
def first() -> Iterator[bool]:
    """Rank 0 runs the body, then all others do, who find what it has made; gives whether this is rank 0.

    Where rank 0 fails, the others end without a word of their own.
    """
    if size() == 1:
        yield True
    elif rank() > 0:
        if not broadcast(None):
            raise SystemExit(2)
        yield False
    else:
        done = False
        try:
            yield True
            done = True
        finally:
            broadcast(done)


def on_first(function: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """The function on rank 0; on all others nothing."""

    def only_there(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        if rank() == 0:
            function(*args, **kwargs)

    return only_there


def broadcast(value: Value) -> Value:
    """Rank 0's value, which must be plain."""
    if size() == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def gather(value: Value) -> list[Value]:
    """Every process's value, which must be plain, by rank."""
    if size() == 1:
        return [value]
    values: list[Any] = [None] * size()
    dist.all_gather_object(values, value)
    return values


def total(counts: Sequence[int]) -> list[int]:
    """Sums over all processes."""
    return _reduced(counts, dist.ReduceOp.SUM)


def highest(counts: Sequence[int]) -> list[int]:
    """The largest over all processes."""
    return _reduced(counts, dist.ReduceOp.MAX)


def _reduced(counts: Sequence[int], operation: Any) -> list[int]:
    if size() == 1:
        return list(counts)
    tensor = torch.tensor([int(count) for count in counts])
    dist.all_reduce(tensor, operation)
    return [int(count) for count in tensor]


def summed(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all processes, without waiting for the device."""
    if size() > 1:
        dist.all_reduce(tensor)
    return tensor


def shared_out(function: Callable[[list[Any]], list[Value]], items: Sequence[Any]) -> list[Value]:
    """`function(items)`, of which every process computes its share; the results of all, in order, on every one."""
    if size() == 1:
        return function(list(items))
    shares = gather(function(list(items[rank() :: size()])))
    return [shares[n % size()][n // size()] for n in range(len(items))]


def parallel(trained: TrainedModel, device: torch.device, *, sharded: bool) -> nn.Module:
    """A module on a device that computes a share of an update and whose gradients become means over all processes.

    Args:
        trained: the model with its loss, in host memory.
        device: of this process.
        sharded: parameters, gradients and optimizer state are split among processes (FSDP2; Zhao et al. 2023), else each
            process has all of them (DDP; Li et al. 2020).
    """
    if sharded and dist.is_initialized():
        mesh = init_device_mesh(device.type, (size(),))
        # torch warns of results that are views, for they must not be written to: nothing here writes to a result in place
        warnings.filterwarnings("ignore", message=r".*returned a view tensor", category=UserWarning)
        for module, verbs in trained.model.blocks():
            fully_shard(module, mesh=mesh)  # moves it to its device, too: one after the other, for all may not fit
            for verb in set(verbs) - {"forward"}:
                register_fsdp_forward_method(module, verb)
        fully_shard(trained, mesh=mesh, reshard_after_forward=True)  # so that parameters can be read between forwards
    elif size() > 1:
        wrapped = DistributedDataParallel(trained.to(device), gradient_as_bucket_view=True)
        # It arranges what it sends anew after the first backward. By this one, it has done so before a run begins or continues,
        # and adds up in the same order in both
        wrapped(Batch.nothing().to(device))[0].backward()
        wrapped.zero_grad()
        return wrapped
    return trained.to(device)


def no_exchange(trained: nn.Module, *, last: bool) -> AbstractContextManager[Any]:
    """While it is open, gradients are only gathered; they are exchanged with the last batch of an update."""
    if isinstance(trained, DistributedDataParallel) and not last:
        return trained.no_sync()
    return nullcontext()  # sharded gradients are exchanged with every batch: no process has room for all of them


def whole(tensor: Tensor) -> Tensor:
    """A tensor of which this process may hold a part only, gathered."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part(tensor: Tensor, like: Tensor) -> Tensor:
    """What this process holds of a whole tensor, if that is split as another one is."""
    return distribute_tensor(tensor, like.device_mesh, like.placements) if isinstance(like, DTensor) else tensor
