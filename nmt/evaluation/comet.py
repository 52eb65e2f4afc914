"""COMET (Rei et al. 2020): a score learnt from people's judgements. Needs the package and a model of some gigabytes."""

import importlib
import importlib.util
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from nmt.errors import UserError
from nmt.evaluation.metrics import Score


def check_comet(model: str) -> None:
    """Raise `UserError` unless COMET can be computed, and say what it needs."""
    if importlib.util.find_spec("comet") is None:
        raise UserError(
            "metrics=[…,comet] needs the package unbabel-comet: pip install 'nmt[comet]'; the first use downloads the model "
            f"{model} from the Hugging Face Hub (wmt22-comet-da: 2.3 GB, and about as much memory); comet_model=FILE.ckpt "
            "names one that is here already"
        )
    if model.endswith(".ckpt") and not Path(model).is_file():
        raise UserError(f"comet_model: {model} does not exist")


def comet(
    sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], *, model: str, device: torch.device
) -> Score:
    """The mean of a COMET model's scores of the sentences, on the model's own scale (about 0 to 1; higher is better).

    Args:
        sources, hypotheses, references: one of each for every sentence.
        model: a name on the Hugging Face Hub, or a checkpoint file.
        device: where to compute.

    Raises:
        UserError: if the model cannot be fetched or read.
    """
    package: Any = importlib.import_module("comet")
    try:
        path = model if model.endswith(".ckpt") else package.download_model(model)
        scorer = package.load_from_checkpoint(path)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"COMET's model {model} cannot be loaded: {reason}; without a network, copy its folder of the Hugging Face cache "
            "from a machine that has it, or set comet_model=FILE.ckpt"
        ) from error
    rows = [{"src": s, "mt": h, "ref": r} for s, h, r in zip(sources, hypotheses, references, strict=True)]
    found = float(scorer.predict(rows, batch_size=16, gpus=int(device.type == "cuda"), progress_bar=False).system_score)
    signature = f"nrefs:1|model:{model}|version:{_version()}"
    return Score(found, signature, f"COMET = {found:.4f}")


def _version() -> str:
    try:
        return version("unbabel-comet")
    except PackageNotFoundError:
        return "unknown"
