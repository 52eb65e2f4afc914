"""What an evaluation leaves in a run: the texts it scored, and the scores."""

import json
from collections.abc import Sequence
from pathlib import Path

from nmt.evaluation.metrics import Score, as_json


def write_evaluation(
    directory: Path,
    *,
    sources: Sequence[str],
    references: Sequence[str],
    hypotheses: Sequence[str],
    scores: dict[str, Score],
) -> None:
    """Write `sources.txt`, `references.txt` and `hypotheses.txt`, a sentence a line, and `scores.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = {"sources": sources, "references": references, "hypotheses": hypotheses}
    for name, lines in texts.items():
        with (directory / f"{name}.txt").open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(line + "\n" for line in lines)
    (directory / "scores.json").write_text(json.dumps(as_json(scores), indent=2) + "\n", encoding="utf-8")
