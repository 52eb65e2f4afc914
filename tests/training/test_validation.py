"""What one validation says of translations that are known."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.decoding.loading import load_translator
from nmt.decoding.translator import Translation, Translator
from nmt.tokenisation import Tokenisation
from nmt.training.progress import Progress
from nmt.training.validation import Validation, validate

SOURCES = ["the dog", "the child"]
CHINESE = ["我喜欢大的红色的狗。", "他看见一只小猫。"]
THAI = ["ผมชอบหมาตัวใหญ่", "เขาเห็นแมวตัวเล็ก"]


@pytest.fixture
def validated(make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Validation]:
    """Validates translations that the search is made to find."""
    translator = load_translator([make_run("transformer_tiny")], device="cpu")

    def measure(found: list[str], references: list[str], tokenisation: Tokenisation) -> Validation:
        monkeypatch.setattr(Translator, "search", lambda *_: [Translation([text], [], False) for text in found])
        return validate(translator, SOURCES, references, 1.0, tokenisation=tokenisation)

    return measure


@pytest.mark.parametrize("language", ["zh", "zh_CN", "cmn_Hans"])
def test_a_perfect_translation_into_chinese_is_100_and_chooses(validated: Callable[..., Validation], language: str) -> None:
    words = Tokenisation(language=language)
    perfect, worse = validated(CHINESE, CHINESE, words), validated([CHINESE[0], "他看见一只小狗。"], CHINESE, words)
    assert perfect.score == pytest.approx(100)
    assert 0 < worse.score < 100
    assert "|tok:zh|" in perfect.signatures["bleu"]
    assert perfect.figures("valid/")["valid/bleu"] == perfect.score
    progress = Progress()
    assert progress.judge(worse.score, math.inf, scheduled=True)
    assert progress.judge(perfect.score, math.inf, scheduled=True)


def test_thai_is_judged_by_chrf_which_tells_translations_apart_that_bleu_does_not(validated: Callable[..., Validation]) -> None:
    thai = Tokenisation(language="tha_Thai")
    near, far = validated([text[:-1] for text in THAI], THAI, thai), validated(["แมว", "หมา"], THAI, thai)
    assert near.scores["bleu"].score == far.scores["bleu"].score == 0
    assert near.score == near.scores["chrf"].score > far.score
    assert validated([text[:-1] for text in THAI], THAI, Tokenisation("char", "th")).score > 50
