"""In which floating-point format products are computed (`train.precision`); parameters and sums stay in fp32."""

from collections.abc import Mapping
from typing import Any

import torch

from nmt.errors import UserError

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check_device(settings: Mapping[str, Any], device: torch.device) -> None:
    """Raise `UserError` if a device cannot do what `train.…` asks of it."""
    precision = settings["precision"]
    if device.type == "cpu" and settings["tokens_per_batch"] == "auto":
        raise UserError("train.tokens_per_batch=auto needs a CUDA GPU, whose memory it fills: on the CPU set a number")
    if device.type == "cuda" and precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise UserError(f"train.precision=bf16 is not what {torch.cuda.get_device_name()} computes in: set fp16 or fp32")
    if device.type == "cpu" and precision == "fp16":
        raise UserError("train.precision=fp16 needs a CUDA GPU: on the CPU set bf16 or fp32")


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """While it is open, products are computed in that format (Micikevicius et al. 2018)."""
    return torch.autocast(device.type, AUTOCAST.get(precision), enabled=precision in AUTOCAST)
