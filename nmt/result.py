"""`result.json`: what came of a finished training, in its run directory."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec

from nmt.config import TrainSettings
from nmt.files import inside, written_whole
from nmt.saved import MEBIBYTE, Amount, Count, Number, checked, read_json
from nmt.training.progress import Progress

Result = dict[str, Any]
"""What `result.json` holds:

    {"model": name, "parameters": count, "updates": made, "best_update": of these, "reason": why it stopped,
     "tokens": target tokens trained on, "seconds": validation included, "target_tokens_per_second": of the updates,
     "dev": {"bleu" or "chrf", whichever leads: best}, "test": {"bleu": …, "chrf": …} or null,
     "signatures": {"bleu": …, "chrf": …} of these scores, unless an older nmt wrote it}
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
    dev: Annotated[dict[Literal["bleu", "chrf"], Number], msgspec.Meta(min_length=1, max_length=1)]
    test: "_Test | None"
    signatures: NotRequired[dict[str, str]]


class _Test(TypedDict):
    bleu: Number
    chrf: Number


def result_of(
    progress: Progress,
    settings: TrainSettings,
    *,
    model: str,
    parameters: int,
    test: dict[str, float] | None,
    signatures: dict[str, str],
) -> Result:
    """What came of a training that has ended, with its best checkpoint's scores on the test split, if there is one.

    Args:
        progress: what it counted.
        settings: of its end.
        model: its name.
        parameters: their number.
        test: scores by metric.
        signatures: by metric, the leading one first.
    """
    return {
        "model": model,
        "parameters": parameters,
        "updates": progress.updates,
        "best_update": progress.best_update,
        "reason": progress.reason_to_stop(settings),
        "tokens": progress.tokens,
        "seconds": progress.seconds,
        "target_tokens_per_second": progress.tokens / max(progress.update_seconds, 1e-9),
        "dev": {next(iter(signatures)): progress.best_score},
        "test": test,
        "signatures": signatures,
    }


def write_result(directory: Path, result: Result) -> None:
    """Write it into a run: all of it or nothing."""
    with written_whole(inside(directory, _NAME)) as file:
        file.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


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


def dev_score(result: Result) -> tuple[str, float]:
    """The metric that led in a training, `bleu` or `chrf`, and the best dev score by it."""
    (name,) = [name for name in ("bleu", "chrf") if name in result["dev"]]
    return name, result["dev"][name]
