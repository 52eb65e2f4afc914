"""`result.json`: what came of a finished training, in its run directory."""

import json
from pathlib import Path
from typing import Any

from nmt.config import TrainSettings
from nmt.errors import UserError
from nmt.files import inside, written_whole
from nmt.training.progress import Progress

Result = dict[str, Any]
"""What `result.json` holds:

    {"model": name, "parameters": count, "updates": made, "best_update": of these, "reason": why it stopped,
     "tokens": target tokens trained on, "seconds": validation included, "target_tokens_per_second": of the updates,
     "dev": {"bleu" or "chrf", whichever leads: best}, "test": {"bleu": …, "chrf": …} or null,
     "signatures": {"bleu": …, "chrf": …} of these scores, unless an older nmt wrote it}
"""

_NAME = "result.json"


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
        result = json.loads(path.read_text(encoding="utf-8"))
        numbers = [result[key] for key in ("parameters", "updates", "seconds", "target_tokens_per_second")]
        numbers += [dev_score(result)[1], *(result["test"] or {}).values()]
        if not all(isinstance(number, int | float) for number in numbers):
            raise TypeError("not a number")
        if not all(isinstance(signature, str) for signature in result.get("signatures", {}).values()):
            raise TypeError("not a signature")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged: remove it, and `nmt train` with this run_dir writes it again") from error
    return Result(result)


def dev_score(result: Result) -> tuple[str, float]:
    """The metric that led in a training, `bleu` or `chrf`, and the best dev score by it."""
    (name,) = [name for name in ("bleu", "chrf") if name in result["dev"]]
    return name, result["dev"][name]
