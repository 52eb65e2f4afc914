"""Minimum Bayes risk against sacreBLEU called by hand."""

from functools import partial

import pytest
from sacrebleu import sentence_bleu, sentence_chrf

from nmt.data.tokenizer import Tokenizer
from nmt.decoding.risk import expected_utilities, least_risk, sentence_metric
from nmt.decoding.search import Hypothesis
from nmt.errors import UserError
from nmt.tokenisation import Tokenisation

TEXTS = ["the dog sees the ball .", "the dog hears the ball .", "every teacher", "the dog sees the ball ."]
UTILITIES = {"chrf": sentence_chrf, "bleu": partial(sentence_bleu, use_effective_order=True)}


@pytest.mark.parametrize("utility", UTILITIES)
def test_the_expected_utility_is_the_mean_over_all_samples(utility: str) -> None:
    found = expected_utilities(TEXTS, sentence_metric(utility))
    assert set(found) == set(TEXTS)
    for text, value in found.items():
        by_hand = sum(UTILITIES[utility](text, [other]).score for other in TEXTS)
        assert value == pytest.approx(by_hand / len(TEXTS), rel=1e-9)


def hypothesis(tokenizer: Tokenizer, text: str, log_prob: float) -> Hypothesis:
    return Hypothesis(tokenizer.encode([text], "tgt")[0], [log_prob], log_prob, log_prob)


def test_what_most_agree_with_comes_first_though_another_is_likelier(tokenizer: Tokenizer) -> None:
    samples = [hypothesis(tokenizer, text, -n) for n, text in enumerate(["every teacher", *TEXTS])]
    found = least_risk(samples, tokenizer, sentence_metric("chrf"))
    assert [tokenizer.decode(one.ids) for one in found] == [TEXTS[0], TEXTS[1], TEXTS[2]]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert [one.log_prob for one in found] == [-1, -2, 0]  # of the same text, the likeliest


def test_one_sample_and_empty_ones_have_a_utility(tokenizer: Tokenizer) -> None:
    (only,) = least_risk([hypothesis(tokenizer, "the dog", -1.0)], tokenizer, sentence_metric("chrf"))
    assert only.score == pytest.approx(100)
    found = least_risk([hypothesis(tokenizer, text, -1.0) for text in ("", "the dog", "")], tokenizer, sentence_metric("bleu"))
    assert len(found) == 2


def test_bleu_is_of_the_words_of_the_language_and_refused_where_nothing_cuts_them() -> None:
    texts = ["我喜欢大狗。", "我喜欢大猫。", "他走了。"]
    found = expected_utilities(texts, sentence_metric("bleu", lambda: Tokenisation(language="zh-CN")))
    by_hand = sum(sentence_bleu(texts[0], [other], use_effective_order=True, tokenize="zh").score for other in texts) / 3
    assert found[texts[0]] == pytest.approx(by_hand)
    assert found[texts[0]] > found[texts[2]]
    with pytest.raises(UserError, match=r"no tokenizer for th: set decode\.utility=chrf"):
        sentence_metric("bleu", lambda: Tokenisation(language="th"))
    sentence_metric("chrf", lambda: Tokenisation("moses"))  # which chrF never asks for
