"""The state of every random generator, to save and to restore."""

import hashlib
import random
import struct
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import numpy as np
import torch

from nmt.saved import Number, checked, damaged
from nmt.training.tensors import unlike

Word = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Place = Annotated[int, msgspec.Meta(ge=0, le=624)]


class Generators(TypedDict):
    """What `random_state` gives, but for what tensors hold."""

    python: tuple[Literal[3], Annotated[list[Word], msgspec.Meta(min_length=625, max_length=625)], Number | None]
    numpy: tuple[Literal["MT19937"], Any, Place, Literal[0, 1], Number]
    torch: Any
    cuda: list[Any]


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy, torch and every CUDA device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def seed_of_process(seed: int, process: int) -> int:
    """A seed for training that no other process of this run and no run of another seed has."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {process}".encode(), digest_size=7).digest(), "little")


def random_state() -> dict[str, Any]:
    """The state of all generators, in plain values and tensors."""
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(np.asarray(keys, np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def check_random_state(state: Any, where: Path) -> None:
    """Raise `UserError` for what is no state of all generators. They believe what they are given, and would read beyond it."""
    saved = checked(state, Generators, where)
    key, own = saved["numpy"][1], torch.get_rng_state()
    if problem := unlike(key, torch.empty(624, dtype=torch.int64)) or unlike(saved["torch"], own):
        raise damaged(where, f"the state of a random generator {problem}")
    _, left, _, following, *_ = struct.unpack_from("<QiiQ", saved["torch"].numpy().tobytes())
    if (left, following) != (1, 0) and not (1 <= left <= 624 and left + following == 625):
        raise damaged(where, "the state of torch's random generator is none")
    if int(key.min()) < 0 or int(key.max()) >= 2**32:
        raise damaged(where, "the state of NumPy's random generator is none")
    for device in saved["cuda"]:
        if problem := unlike(device, torch.empty(16, dtype=torch.uint8)):
            raise damaged(where, f"the state of the random generator of a GPU {problem}")


def restore_random_state(state: dict[str, Any]) -> None:
    """Put every generator where `random_state` found it."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    for device in range(min(len(state["cuda"]), torch.cuda.device_count())):
        torch.cuda.set_rng_state(state["cuda"][device], device)
