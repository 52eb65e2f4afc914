"""Languages are BCP 47 tags, however they are spelt; what they are written in decides how BLEU can cut them."""

import pytest

from nmt.languages import leading_metric, mostly_unspaced, tokenizer_of

TAGS = {
    "zh": "zh zh-CN zh_TW zh-Hans ZH zh_hant_HK zho chi cmn cmn_Hans zho_Hant zho_Hans zh-cmn-Hans-CN yue yue_Hant wuu zh-yue",
    "ja-mecab": "ja jpn JA ja-JP ja_JP jpn_Jpan ja-Hrkt ja-x-easy",
    "ko-mecab": "ko kor ko_KR KO-kr kor_Hang ko-Kore ko-Hani",
    "13a": "de en en_GB fr pt-BR no sr-Latn deu_Latn xx und vi zu ks kok jam tho lol zh-Latn-pinyin zh_Latn zh-pinyin ja-Latn "
    "ja-Latn-hepburn ja-hepburn ko_Latn th-Latn my_Latn dng-Cyrl de-x-thai en-t-zh-hans",
}
UNSPACED = "th tha TH th-TH tha_Thai km khm khm_Khmr lo lao lo-LA my mya bur mya_Mymr my_MM bo bod tib bod_Tibt dz dzo pi-Thai"


@pytest.mark.parametrize(("tag", "tokenizer"), [(tag, name) for name, tags in TAGS.items() for tag in tags.split()])
def test_a_language_is_known_by_its_tag_in_any_spelling(tag: str, tokenizer: str) -> None:
    assert tokenizer_of(tag) == tokenizer
    assert leading_metric(None, tag) == "bleu"


@pytest.mark.parametrize("tag", UNSPACED.split())
def test_chrf_leads_where_nothing_cuts_words_unless_a_tokenizer_was_chosen(tag: str) -> None:
    assert tokenizer_of(tag) is None
    assert leading_metric(None, tag) == "chrf"
    assert leading_metric("char", tag) == "bleu"


def test_no_language_is_cut_as_a_european_one() -> None:
    assert tokenizer_of("") == "13a"


@pytest.mark.parametrize(
    ("text", "unspaced"),
    [
        ("我喜欢狗。", True),
        ("わたしは犬がすきです。", True),
        ("カタカナ", True),
        ("ผมชอบหมา", True),
        ("ຂ້ອຍມັກໝາ", True),
        ("ខ្ញុំចូលចិត្តឆ្កែ", True),
        ("ငါခွေးကိုကြိုက်တယ်", True),
        ("나는 개를 좋아합니다.", False),
        ("Ich mag Hunde, z. B. 秋田犬.", False),
        ("мне нравятся собаки", False),
        ("3.14 — 2 !", False),
        ("", False),
    ],
)
def test_text_without_spaces_is_known_by_its_letters(text: str, unspaced: bool) -> None:
    assert mostly_unspaced([text]) is unspaced
