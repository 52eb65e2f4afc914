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
from nmt.paths import check_home


def fetch_comet(model: str) -> str:
    """The checkpoint file of a COMET model, downloaded where it is not there yet.

    Args:
        model: a name on the Hugging Face Hub, or a checkpoint file.

    Raises:
        UserError: if the package or the model is missing; it says what is needed.
    """
    if importlib.util.find_spec("comet") is None:
        raise UserError(
            "metrics=[…,comet] needs the package unbabel-comet: pip install 'nmt[comet]'; the first use downloads the model "
            f"{model} from the Hugging Face Hub (wmt22-comet-da: 2.3 GB, and about as much memory); comet_model=FILE.ckpt "
            "names one that is here already"
        )
    try:
        package: Any = importlib.import_module("comet")
    except ImportError as error:
        raise UserError(
            f"unbabel-comet is here but does not work ({error}): pip install 'nmt[comet]' puts that right"
        ) from error
    if model.endswith(".ckpt"):
        if not Path(model).is_file():
            raise UserError(f"comet_model: {model} does not exist")
        return model
    check_home("the Hugging Face Hub", "HF_HOME", "XDG_CACHE_HOME")
    try:
        return str(package.download_model(model))
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            f"COMET's model {model} is not here and cannot be fetched: comet_model must name one of the Hugging Face Hub, or a "
            "FILE.ckpt; without a network, copy the Hub's cache (HF_HOME) from a machine that has the model"
        ) from error


def comet(
    sources: Sequence[str],
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    model: str,
    checkpoint: str,
    device: torch.device,
) -> Score:
    """The mean of a COMET model's scores of the sentences, on the model's own scale (about 0 to 1; higher is better).

    Args:
        sources, hypotheses, references: one of each for every sentence.
        model: its name, for the signature.
        checkpoint: its file.
        device: where to compute.

    Raises:
        UserError: if the file is no model of COMET's.
    """
    package: Any = importlib.import_module("comet")
    try:
        scorer = package.load_from_checkpoint(checkpoint)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"COMET's model {checkpoint} cannot be loaded: {reason}") from error
    rows = [{"src": s, "mt": h, "ref": r} for s, h, r in zip(sources, hypotheses, references, strict=True)]
    devices = [device.index or 0] if device.type == "cuda" else None
    predicted = scorer.predict(rows, batch_size=16, gpus=int(device.type == "cuda"), devices=devices, progress_bar=False)
    found = float(predicted.system_score)
    signature = f"nrefs:1|model:{model}|version:{_version()}"
    return Score(found, signature, f"COMET = {found:.4f}")


def _version() -> str:
    try:
        return version("unbabel-comet")
    except PackageNotFoundError:
        return "unknown"
