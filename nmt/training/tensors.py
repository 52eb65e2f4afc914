"""Tensors that somebody saved: looked at before they are believed, and before they take memory."""

import copy
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
import torch
from torch import Tensor
from torch.optim import Optimizer

from nmt.errors import UserError
from nmt.files import open_regular
from nmt.machine import physical_memory
from nmt.saved import MEBIBYTE, checked, damaged

Size = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""What a parameter may be saved as, and its bytes."""


class SavedTensor(TypedDict):
    """What the header of a safetensors file says of a tensor; its bytes lie between the offsets."""

    dtype: str
    shape: list[Size]
    data_offsets: tuple[Size, Size]


def saved_tensors(path: Path) -> dict[str, SavedTensor]:
    """What the header of a file of parameters says, which must be true of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        UserError: if it is none, holds other things than floating point tensors, or is larger or smaller than these.
    """
    with open_regular(path, most=physical_memory()) as file:
        size = path.stat().st_size
        length = int.from_bytes(file.read(8), "little")
        if length > min(size - 8, 16 * MEBIBYTE):
            raise _altered(path)
        try:
            header = msgspec.json.decode(file.read(length), type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise _altered(path) from error
    header.pop("__metadata__", None)
    tensors = checked(header, dict[str, SavedTensor], path)
    for name, tensor in tensors.items():
        begin, end = tensor["data_offsets"]
        wanted = FLOATS.get(tensor["dtype"], 0)
        for dimension in tensor["shape"]:
            wanted *= dimension
        if tensor["dtype"] not in FLOATS or end - begin != wanted:
            raise damaged(path, f"{name!r:.80} has {end - begin:,} bytes, but is {tensor['dtype']:.20} {tensor['shape'][:9]}")
    if size != 8 + length + sum(tensor["data_offsets"][1] - tensor["data_offsets"][0] for tensor in tensors.values()):
        raise _altered(path)
    return tensors


def _altered(path: Path) -> UserError:
    return UserError(f"{path} was cut short or altered")


def check_fits(path: Path, wanted: Mapping[str, Tensor], *, whole: bool = True) -> None:
    """Raise `UserError` if a file of parameters does not hold what is wanted, all of it or, but for missing names, a part."""
    found = saved_tensors(path)
    strange = [name for name in found if name not in wanted] if not whole else []
    if missing := [*strange, *(name for name in wanted if whole and name not in found)]:
        raise UserError(f"{path} does not fit the run's config.yaml: {missing[0]!r:.80} is only in one of them")
    for name, tensor in found.items():
        if name in wanted and tuple(tensor["shape"]) != wanted[name].shape:
            has, must = tensor["shape"][:9], list(wanted[name].shape)
            raise UserError(f"{path} does not fit the run's config.yaml: {name!r:.80} has shape {has}, but must have {must}")


def check_archive(path: Path, *, most: int) -> None:
    """Raise `UserError` if a file of torch is not one of its present format, or one that becomes larger when it is read."""
    try:
        with open_regular(path, most=most) as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        if isinstance(error, UserError):
            raise
        raise _altered(path) from error
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    larger = sum(entry.file_size for entry in entries) > path.stat().st_size
    named = sum(entry.file_size for entry in entries if entry.filename.endswith(".pkl"))
    if packed or larger or named > MEBIBYTE + 1024 * len(entries):  # some hundred bytes tell of a tensor
        raise damaged(path, "its archive is not as torch writes it")


def checked_optimizer_state(saved: Any, optimizer: Optimizer, where: Path) -> dict[str, Any]:
    """The state of an optimizer as it may be loaded: each value of the type, dtype and shape that this optimizer would make.

    Its settings, such as the learning rate, are those of the optimizer at hand, not of the file.

    Args:
        saved: what the file holds.
        optimizer: that shall go on; nothing of it changes.
        where: the file.

    Raises:
        UserError: if anything in it does not fit.
    """
    own = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = saved.get("state") if type(saved) is dict else None
    if type(state) is not dict or not state.keys() <= set(range(len(parameters))):
        raise damaged(where, "its optimizer is not the state of one over these parameters")
    members = [group["params"] for group in own["param_groups"]]
    groups = saved.get("param_groups")
    if type(groups) is not list or [type(group) is dict and group.get("params") for group in groups] != members:
        raise damaged(where, "its optimizer has other groups of parameters")
    known: dict[Any, dict[str, Any]] = {}
    memory: set[int] = set()
    for number, values in state.items():
        parameter = parameters[number]
        kind = parameter.shape, parameter.dtype
        if kind not in known:
            known[kind] = fresh_state(optimizer, parameter)
        _check_like(values, known[kind], parameter.ndim, memory, f"state {number} of its optimizer", where)
    return {"state": state, "param_groups": own["param_groups"]}


def fresh_state(optimizer: Optimizer, parameter: Tensor) -> dict[str, Any]:
    """What an optimizer keeps of a parameter: now, or, where that is nothing, after a first step, made with zeros."""
    existing: dict[str, Any] = optimizer.state.get(parameter, {})
    if existing:
        return existing
    group = next(group for group in optimizer.param_groups if any(one is parameter for one in group["params"]))
    probe = torch.zeros_like(parameter).requires_grad_()
    probe.grad = torch.zeros_like(probe)
    twin = copy.copy(optimizer)
    twin.state = defaultdict(dict)
    twin.param_groups = [group | {"params": [probe]}]
    twin.step()
    state: dict[str, Any] = twin.state[probe]
    return state


def _check_like(values: Any, wanted: dict[str, Any], dimensions: int, memory: set[int], what: str, where: Path) -> None:
    if type(values) is not dict or values.keys() != wanted.keys():
        raise damaged(where, f"{what} does not have the values {', '.join(wanted) or 'none'}")
    for name, like in wanted.items():
        value = values[name]
        if not isinstance(like, Tensor):
            if type(value) is not type(like):
                raise damaged(where, f"{name} in {what} is a {type(value).__name__}, not a {type(like).__name__}")
            continue
        if problem := unlike(value, like):
            raise damaged(where, f"{name} in {what} {problem}")
        if like.numel() and value.data_ptr() in memory:
            raise damaged(where, f"{name} in {what} shares its memory with another one")
        memory.add(value.data_ptr())
        if like.ndim == 0 < dimensions and not (value.isfinite() and value >= 0):  # it counts, or is a factor
            raise damaged(where, f"{name} in {what} is {float(value)}")


def unlike(value: Any, like: Tensor) -> str | None:
    """Why a value cannot take the place of a dense tensor, or None."""
    if type(value) is not Tensor:
        return f"is a {type(value).__name__:.40}, not a tensor"
    plain = value.layout is torch.strided and value.device.type == "cpu"
    if not plain or value.is_quantized or value.is_conj() or value.is_neg():
        return "is no plain tensor"
    if value.dtype is not like.dtype or value.shape != like.shape:
        return f"is {value.dtype} {list(value.shape)[:9]}, but must be {like.dtype} {list(like.shape)}"
    if not value.is_contiguous() or value.requires_grad or value.untyped_storage().nbytes() != value.nbytes:
        return "is only a view of a tensor"
    return None
