"""Minimum Bayes risk: of several translations the one that the others, as samples of what is probable, agree with most."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from nmt.data.tokenizer import Tokenizer
from nmt.decoding.search import Hypothesis
from nmt.errors import UserError
from nmt.tokenisation import Tokenisation

Utility = BLEU | CHRF
"""A metric of sacreBLEU's for single sentences, 0 to 100."""


def sentence_metric(name: str, tokenisation: Callable[[], Tokenisation] = Tokenisation) -> Utility:
    """The utility of a name: `chrf`, or `bleu` of the orders that a short sentence has.

    Args:
        name: of the metric.
        tokenisation: tells how BLEU cuts words; is asked for BLEU only.

    Raises:
        UserError: if nothing cuts words in this language, or what does needs a package that is not there.
    """
    if name == "chrf":
        return CHRF()
    chosen = tokenisation()
    if chosen.leading == "chrf":
        raise UserError(
            f"decode.utility=bleu needs words, but sacreBLEU has no tokenizer for {chosen.language}: set decode.utility=chrf"
        )
    return chosen.bleu(effective_order=True)


def least_risk(samples: Sequence[Hypothesis], tokenizer: Tokenizer, utility: Utility) -> list[Hypothesis]:
    """The different translations among samples, that of the highest expected utility first, which is its score.

    Of those with the same text the likeliest pieces are kept.
    """
    texts = [tokenizer.decode(sample.ids) for sample in samples]
    likeliest = sorted(zip(texts, samples, strict=True), key=lambda pair: pair[1].log_prob)
    utilities = expected_utilities(texts, utility)
    different = [replace(sample, score=utilities[text]) for text, sample in dict(likeliest).items()]
    return sorted(different, key=lambda hypothesis: (-hypothesis.score, -hypothesis.log_prob))


def expected_utilities(texts: Sequence[str], utility: Utility) -> dict[str, float]:
    """1/N Σ_n u(y, y_n) of each different text y among y_1 … y_N (Eikema and Aziz 2020).

    Args:
        texts: the samples; one that was drawn several times counts as often.
        utility: u.
    """
    counts = Counter(texts)
    return {
        text: sum(n * utility.sentence_score(text, [other]).score for other, n in counts.items()) / len(texts)
        for text in counts
    }
