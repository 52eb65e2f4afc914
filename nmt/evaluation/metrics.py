"""Scores of translations, by sacreBLEU on detokenised text, never without their signature."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF


@dataclass(frozen=True)
class Score:
    """A corpus score.

    Attributes:
        score: as sacreBLEU prints it, 0 to 100, unrounded.
        signature: everything that decides it.
        text: sacreBLEU's own line, with its components.
    """

    score: float
    signature: str
    text: str


def score(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Score]:
    """BLEU (Papineni et al. 2002) and chrF (Popović 2015) of a corpus, cased, 13a tokenisation inside BLEU."""
    scores = {}
    for name, metric in (("bleu", BLEU()), ("chrf", CHRF())):
        result: Any = metric.corpus_score(list(hypotheses), [list(references)])
        signature: Any = metric.get_signature()
        scores[name] = Score(result.score, signature.format(), result.format(width=2))
    return scores


def as_json(scores: dict[str, Score]) -> dict[str, dict[str, Any]]:
    """What `scores.json` holds."""
    return {name: asdict(value) for name, value in scores.items()}
