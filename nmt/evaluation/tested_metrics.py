"""The metrics that significance is tested with, by name."""

from collections.abc import Callable, Sequence

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmt.errors import UserError

METRICS: dict[str, Callable[[], Metric]] = {"bleu": BLEU, "chrf": CHRF, "chrf++": lambda: CHRF(word_order=2), "ter": TER}


def check_metrics(names: Sequence[str]) -> list[str]:
    """The metrics that `metrics=…` names, each once; raises `UserError` for one that is unknown, and for none."""
    for name in names:
        if name not in METRICS:
            raise UserError(f"there is no metric {name}: those there are: {', '.join(METRICS)}")
    if not names:
        raise UserError(f"metrics must name at least one of {', '.join(METRICS)}")
    return list(dict.fromkeys(names))


def make_metric(name: str) -> Metric:
    """A metric by its name, as the `sacrebleu` program makes it."""
    return METRICS[name]()
