"""What an evaluation leaves in a folder: the texts it scored, and the scores."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from nmt.evaluation.metrics import References, Score, as_json, reference_sets
from nmt.saved import Number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORES = "scores.json"
PICTURE = "breakdown.png"


class SavedScore(TypedDict):
    """A score in `scores.json`."""

    score: Number


class Scores(TypedDict):
    """What is read of `scores.json`."""

    bleu: SavedScore


def write_evaluation(
    directory: Path,
    *,
    sources: Sequence[str],
    references: References,
    hypotheses: Sequence[str],
    scores: dict[str, Score],
    more: Mapping[str, Any] | None = None,
    picture: "Figure | None" = None,
) -> None:
    """Write `sources.txt`, `references.txt` and `hypotheses.txt`, a sentence a line, and `scores.json`, which comes last.

    Further references are `references-2.txt` and so on. What an earlier evaluation has left goes first, so that no score
    stands beside a text that it is not of.

    Args:
        directory: is made where it is not there.
        sources, references, hypotheses: the texts.
        scores: by metric.
        more: what `scores.json` holds beside them.
        picture: for `breakdown.png`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for old in (directory / SCORES, directory / PICTURE, *directory.glob("references-*.txt")):
        old.unlink(missing_ok=True)
    texts = {"sources": sources, "hypotheses": hypotheses}
    for number, several in enumerate(reference_sets(references), start=1):
        texts["references" if number == 1 else f"references-{number}"] = several
    for name, lines in texts.items():
        with (directory / f"{name}.txt").open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(line + "\n" for line in lines)
    if picture is not None:
        picture.savefig(directory / PICTURE, dpi=120)
    content = as_json(scores) | dict(more or {})
    scratch = directory / f".{SCORES}"
    scratch.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    scratch.replace(directory / SCORES)
