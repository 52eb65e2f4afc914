"""How much memory training takes."""

import sys
from pathlib import Path

import torch


def memory(device: torch.device) -> dict[str, float]:
    """Of this process, in MiB: resident now and at most so far, and the same of torch's tensors on a GPU."""
    figures = _host_memory()
    if device.type == "cuda":
        figures["memory/device"] = torch.cuda.memory_allocated(device) / 2**20
        figures["memory/device_peak"] = torch.cuda.max_memory_allocated(device) / 2**20
    return figures


def _host_memory() -> dict[str, float]:
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").split("\n")
    except OSError:  # not Linux: the peak alone, on macOS in bytes
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"memory/host_peak": peak / (2**20 if sys.platform == "darwin" else 2**10)}
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    names = {"VmRSS": "memory/host", "VmHWM": "memory/host_peak"}  # which some containers lack
    return {name: float(fields[field].split()[0]) / 2**10 for field, name in names.items() if field in fields}
