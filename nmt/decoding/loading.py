"""From run directories to a translator."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt.decoding.ensemble import Ensemble
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.machine import choose_device
from nmt.run import Run


def load_translator(
    runs: Sequence[Path],
    *,
    checkpoint: str = "best",
    weights: str = "auto",
    device: str = "auto",
    decode: Mapping[str, Any] | None = None,
) -> Translator:
    """The translator of a run, or of several as an ensemble, with the decoding settings of the first.

    Args:
        runs: run directories.
        checkpoint: of each: `best`, `last`, `averaged` or a number of updates.
        weights: `raw`, `ema` or `auto`: ema where there are some.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        decode: changes to the decoding settings; None keeps one.

    Raises:
        UserError: if a run or checkpoint is missing, damaged or not to be trusted, or the runs differ in their pieces.
    """
    if not runs:
        raise UserError("no run: give a directory that `nmt train` has written (run=DIR), or several, which form an ensemble")
    opened = [Run.open(run) for run in runs]
    first, *others = opened
    for other in others:
        if other.tokenizer.models != first.tokenizer.models:
            raise UserError(
                f"{other.directory} and {first.directory} cannot form an ensemble: they do not have the same pieces; "
                "train both on the same text with the same tokenizer settings, or one with init_from=OTHER"
            )
    chosen = choose_device(device)
    found = [run.checkpoints.find(checkpoint) for run in opened]
    models = [run.load_found(one, chosen, weights) for run, one in zip(opened, found, strict=True)]
    translator = first.translator_of(models[0] if len(models) == 1 else Ensemble(models).eval(), chosen, decode)
    translator.origin = [
        {"run": str(run.directory), "checkpoint": one.directory.name, "weights": Path(one.file_of(weights)).stem}
        for run, one in zip(opened, found, strict=True)
    ]
    return translator
