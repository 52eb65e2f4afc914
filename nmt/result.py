"""`result.json`: what came of a finished training, in its run directory."""

import json
import os
from pathlib import Path
from typing import Any, TypedDict

from nmt.config import TrainSettings
from nmt.saved import MEBIBYTE, Amount, Count, Number, checked, read_json
from nmt.training.progress import Progress

Result = dict[str, Any]
"""What `result.json` holds:

    {"model": name, "parameters": count, "updates": made, "best_update": of these, "reason": why it stopped,
     "tokens": target tokens trained on, "seconds": validation included, "target_tokens_per_second": of the updates,
     "dev": {"bleu": best}, "test": {"bleu": …, "chrf": …} or null}
"""

_NAME = "result.json"
_ADVICE = "remove it, and `nmt train` with this run_dir writes it again"


class _Saved(TypedDict):
    """What is read of it."""

    model: str
    parameters: Count
    updates: Count
    seconds: Amount
    target_tokens_per_second: Amount
    dev: "_Dev"
    test: "_Test | None"


class _Dev(TypedDict):
    bleu: Number


class _Test(TypedDict):
    bleu: Number
    chrf: Number


def result_of(
    progress: Progress, settings: TrainSettings, *, model: str, parameters: int, test: dict[str, float] | None
) -> Result:
    """What came of a training that has ended, with its best checkpoint's scores on the test split, if there is one."""
    return {
        "model": model,
        "parameters": parameters,
        "updates": progress.updates,
        "best_update": progress.best_update,
        "reason": progress.reason_to_stop(settings),
        "tokens": progress.tokens,
        "seconds": progress.seconds,
        "target_tokens_per_second": progress.tokens / max(progress.update_seconds, 1e-9),
        "dev": {"bleu": progress.best_bleu},
        "test": test,
    }


def write_result(directory: Path, result: Result) -> None:
    """Write it into a run: all of it or nothing."""
    scratch = directory / f".{_NAME}"
    with scratch.open("w", encoding="utf-8") as file:
        file.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(directory / _NAME)


def read_result(directory: Path) -> Result | None:
    """That of a run, or None where training has not come to its end.

    Raises:
        UserError: if the file cannot be read.
    """
    path = directory / _NAME
    try:
        result = read_json(path, dict[str, Any], most=MEBIBYTE, advice=_ADVICE)
    except FileNotFoundError:
        return None
    checked(result, _Saved, path, advice=_ADVICE)
    return result
