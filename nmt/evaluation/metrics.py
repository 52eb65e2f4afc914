"""Scores of translations, by sacreBLEU on detokenised text, never without their signature."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmt.errors import UserError
from nmt.tokenisation import VALIDATION, Tokenisation

References = Sequence[str] | Sequence[Sequence[str]]
"""A reference for each sentence, or several such sequences, each with one for every sentence."""


@dataclass(frozen=True)
class Score:
    """A corpus score.

    Attributes:
        score: unrounded, on the scale of the metric: 0 to 100, TER from 0 upwards, COMET about 0 to 1.
        signature: everything that decides it.
        text: the metric's own line, with its components.
    """

    score: float
    signature: str
    text: str


_METRICS: dict[str, Callable[[Tokenisation], Metric]] = {
    "bleu": lambda tokenisation: tokenisation.bleu(),
    "chrf": lambda _: CHRF(),
    "chrf++": lambda _: CHRF(word_order=2),
    "ter": lambda _: TER(),
}
METRICS = tuple(_METRICS)
"""sacreBLEU's: BLEU (Papineni et al. 2002), chrF (Popović 2015), chrF++ (Popović 2017), TER (Snover et al. 2006)."""


def check_metrics(names: Any, known: Sequence[str] = METRICS) -> list[str]:
    """The metrics that `metrics=…` names, each once, in lower case.

    Raises:
        UserError: if there is none, or one that is unknown.
    """
    listed = names if isinstance(names, list | tuple) else [names]
    chosen = list(dict.fromkeys(str(name).lower() for name in listed))
    if not chosen:
        raise UserError(f"metrics must name at least one of {', '.join(known)}")
    for name in chosen:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UserError(f"there is no metric {name}: {hint}those there are: {', '.join(known)}")
    return chosen


def make_metric(name: str, tokenisation: Tokenisation | None = None) -> Metric:
    """A metric by its name, as the `sacrebleu` program makes it."""
    return _METRICS[name](tokenisation or Tokenisation())


def reference_sets(references: References) -> list[list[str]]:
    """Several sequences of references, whether one or several were given."""
    if all(isinstance(line, str) for line in references):
        return [[str(line) for line in references]]
    return [list(several) for several in references]


def score(
    hypotheses: Sequence[str],
    references: References,
    metrics: Sequence[str] = VALIDATION,
    tokenisation: Tokenisation | None = None,
) -> dict[str, Score]:
    """Scores of a corpus by name, the very ones that the `sacrebleu` program gives for the same lines in files.

    Args:
        hypotheses: detokenised; white space at the end of a line counts for nothing, as in the program.
        references: one for every hypothesis, or several such sequences.
        metrics: names out of `METRICS`.
        tokenisation: of BLEU; None is 13a.
    """
    lines = [line.rstrip() for line in hypotheses]
    against = [[line.rstrip() for line in one] for one in reference_sets(references)]
    scores = {}
    for name in metrics:
        metric = make_metric(name, tokenisation)
        result: Any = metric.corpus_score(lines, against)
        scores[name] = Score(result.score, metric.get_signature().format(), result.format(width=2))
    return scores


def signatures(tokenisation: Tokenisation) -> dict[str, str]:
    """What `score` signs with one reference, by metric, the leading one first."""
    return {name: value.signature for name, value in score([""], [""], tokenisation.ordered(), tokenisation).items()}


def as_json(scores: dict[str, Score]) -> dict[str, dict[str, Any]]:
    """What `scores.json` holds of them."""
    return {name: asdict(value) for name, value in scores.items()}
