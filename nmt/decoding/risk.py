"""Minimum Bayes risk: of several translations the one that the others, as samples of what is probable, agree with most."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from nmt.data.tokenizer import Tokenizer
from nmt.decoding.search import Hypothesis

UTILITIES: dict[str, Callable[[], BLEU | CHRF]] = {"chrf": CHRF, "bleu": lambda: BLEU(effective_order=True)}
"""Sentence metrics of sacreBLEU, 0 to 100; BLEU of the orders that a short sentence has."""


def least_risk(samples: Sequence[Hypothesis], tokenizer: Tokenizer, utility: str) -> list[Hypothesis]:
    """The different translations among samples, that of the highest expected utility first, which is its score.

    Of those with the same text the likeliest pieces are kept.
    """
    texts = [tokenizer.decode(sample.ids) for sample in samples]
    likeliest = sorted(zip(texts, samples, strict=True), key=lambda pair: pair[1].log_prob)
    utilities = expected_utilities(texts, utility)
    different = [replace(sample, score=utilities[text]) for text, sample in dict(likeliest).items()]
    return sorted(different, key=lambda hypothesis: (-hypothesis.score, -hypothesis.log_prob))


def expected_utilities(texts: Sequence[str], utility: str) -> dict[str, float]:
    """1/N Σ_n u(y, y_n) of each different text y among y_1 … y_N (Eikema and Aziz 2020).

    Args:
        texts: the samples; one that was drawn several times counts as often.
        utility: `chrf` or `bleu`.
    """
    metric = UTILITIES[utility]()
    counts = Counter(texts)
    return {
        text: sum(n * metric.sentence_score(text, [other]).score for other, n in counts.items()) / len(texts) for text in counts
    }
