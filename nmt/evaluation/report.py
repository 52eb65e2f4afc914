"""What an evaluation leaves in a folder: the texts it scored, and the scores."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from nmt.errors import naming
from nmt.evaluation.metrics import References, Score, as_json, reference_sets
from nmt.files import write_text
from nmt.published import Published
from nmt.saved import Number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORES = "scores.json"
PICTURE = "breakdown.png"


class SavedScore(TypedDict):
    """A score in `scores.json`."""

    score: Number
    signature: str


class Scores(TypedDict):
    """What is read of `scores.json`."""

    bleu: SavedScore
    chrf: SavedScore


def evaluation_in(directory: Path, *, run: Path | None = None) -> Published:
    """A folder for an evaluation.

    Args:
        directory: the folder.
        run: the run that it is in, if it is in one.
    """
    usual = r"(sources|hypotheses|references(-\d+)?)\.txt|scores\.json|breakdown\.png"
    return Published(directory, "evaluation", usual=usual, last=SCORES, within=run)


def names_of(references: References, *, picture: bool) -> list[str]:
    """The names of the files of an evaluation."""
    texts = [f"{name}.txt" for name in ("sources", "hypotheses", *_texts(references))]
    return [*texts, SCORES, *([PICTURE] if picture else [])]


def write_evaluation(
    directory: Path,
    *,
    run: Path | None = None,
    sources: Sequence[str],
    references: References,
    hypotheses: Sequence[str],
    scores: dict[str, Score],
    more: Mapping[str, Any] | None = None,
    picture: "Figure | None" = None,
) -> None:
    """Write `sources.txt`, `references.txt` and `hypotheses.txt`, one sentence per line, and `scores.json`.

    Further references are `references-2.txt` and so on. They take the place of an earlier evaluation as a whole, when all of
    them are written, so that no score stands beside a text that it is not of.

    Args:
        directory: is made where it is not there.
        run: the run that it is in, if it is in one.
        sources, references, hypotheses: the texts.
        scores: by metric.
        more: what `scores.json` holds beside them.
        picture: for `breakdown.png`.

    Raises:
        UserError: if something is in the way, as `Published.check`.
    """
    content = as_json(scores) | dict(more or {})
    with evaluation_in(directory, run=run).writing() as folder:
        for name, lines in {"sources": sources, "hypotheses": hypotheses, **_texts(references)}.items():
            write_text(folder / f"{name}.txt", "".join(f"{line}\n" for line in lines))
        if picture is not None:
            with naming(folder / PICTURE):
                picture.savefig(folder / PICTURE, dpi=120)
        write_text(folder / SCORES, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _texts(references: References) -> dict[str, Sequence[str]]:
    """The references by the name of their file."""
    numbered = enumerate(reference_sets(references), start=1)
    return {"references" if number == 1 else f"references-{number}": several for number, several in numbered}
