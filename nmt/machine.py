"""The machine: which device, how many threads, and what of it decides the bits of a result."""

import ctypes
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import nmt
from nmt.errors import UserError


def choose_device(name: str) -> torch.device:
    """The device of `device=…`: `auto` takes the first CUDA GPU if there is one.

    Raises:
        UserError: if it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"device must be auto, cpu, cuda or cuda:N, but is {name!r}") from error
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and (device.index or 0) >= count):
        raise UserError(f"device={name} is not there: this machine has the CPU and {count} CUDA GPUs; try device=auto")
    return device


def physical_memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


_TOO_LITTLE_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|Cannot allocate memory|bad_alloc|out of memory|STATUS_ALLOC_FAILED"
    r"|could not create a (?:primitive(?! descriptor)|memory)"  # which is all that oneDNN says
    r"|Resource temporarily unavailable|can't start new thread",  # threads, which have no room for their stacks
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device could not give the memory that was asked for."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and _TOO_LITTLE_MEMORY.search(str(error)) is not None


def use_threads(count: int | None) -> None:
    """Let torch use so many CPU threads, and keep the memory that it gives back.

    Activations of a few megabytes come and go at every update; given back to the system each time, they would be fetched page
    by page again, a tenth of the time of small models.
    """
    _keep_freed_memory()
    # oneDNN keeps the code that it makes for each shape; sentences come in so many that 1,024, its default, are a gigabyte
    for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(cache, "64")
    if count is not None and not 1 <= count <= MOST_THREADS:
        raise UserError(f"threads must be from 1 to {MOST_THREADS}, or null for torch's choice, but is {count}")
    torch.set_num_threads(count or _THREADS)


MOST_THREADS = 4096
_THREADS = torch.get_num_threads()
"""torch's own choice, for the runs of a sweep come one after the other in one process."""


def use_deterministic_kernels(wanted: bool) -> None:
    """Let torch take only kernels that give the same bits again, on a GPU, too, or any; on the CPU all of them do."""
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which cuBLAS asks for
    torch.use_deterministic_algorithms(wanted)


def _keep_freed_memory() -> None:
    """Let glibc serve blocks of up to 32 MiB from its heap, and shrink that only where a gigabyte lies free at its end."""
    if platform.libc_ver()[0] == "glibc":
        mmap_threshold, trim_threshold = -3, -1  # their numbers in malloc.h
        libc = ctypes.CDLL(None)
        libc.mallopt(mmap_threshold, 32 << 20)
        libc.mallopt(trim_threshold, 1 << 30)


def environment(device: torch.device, processes: int) -> dict[str, Any]:
    """Versions and hardware: what else decides the bits of a result."""
    return {
        "nmt": nmt.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "system": platform.platform(),
        **{name: version(name) for name in ("torch", "numpy", "sentencepiece")},
        "cpu": _cpu_model(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processes": processes,
    }


DECIDING = ("torch", "numpy", "sentencepiece", "cpu", "cpu_capability", "threads", "device", "processes")
"""What of an environment decides the bits."""


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What decides the bits and differs between two environments, each as `name (old → new)`."""
    return [f"{name} ({old.get(name)} → {new[name]})" for name in DECIDING if old.get(name) != new[name]]


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n")
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def _commit() -> str | None:
    """The commit of the code, where it runs from a checkout."""
    root = Path(nmt.__file__).parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
