"""What a language is written in, by its BCP 47 tag: with spaces between words or without, and what sacreBLEU has for it."""

import unicodedata
from collections.abc import Iterable
from itertools import islice

CHINESE = {"zh", "zho", "chi", "cmn", "yue", "wuu", "gan", "hak", "hsn", "lzh", "nan", "cdo", "cjy", "cpx", "czh", "czo", "mnp"}
JAPANESE = {"ja", "jpn"}
KOREAN = {"ko", "kor"}
UNSPACED = {"th", "tha", "tts", "nod", "km", "khm", "lo", "lao", "my", "mya", "bur", "shn", "bo", "bod", "tib", "dz", "dzo"}
"""Languages without spaces between words, which no tokenizer of sacreBLEU cuts."""

HAN = {"hani", "hans", "hant", "hanb", "bopo"}
KANA = {"jpan", "hira", "kana", "hrkt"}
HANGUL = {"kore", "hang", "jamo"}
UNSPACED_SCRIPTS = {"thai", "laoo", "khmr", "mymr", "tibt", "lana", "talu", "tale", "java", "bali"}
ROMANISATIONS = {"pinyin", "wadegile", "jyutping", "tongyong", "hepburn", "heploc"}
"""Variants that say that a text is in Latin letters."""

NAMES = ("CJK UNIFIED", "CJK COMPATIBILITY", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
"""How the Unicode names of the letters of these scripts begin."""

READ = 1000
"""Lines that are looked at to tell how a text is written."""


def tokenizer_of(language: str) -> str | None:
    """sacreBLEU's tokenizer for text in a language, as it chooses for its test sets; None where it has none that cuts words.

    Args:
        language: a BCP 47 tag in any case, with `-` or `_`, such as `zh`, `zho_Hant` or `ja-JP`; anything else is `13a`.
    """
    primary, script = _language_and_script(language)
    if primary in CHINESE:
        return "zh" if script in {*HAN, ""} else "13a"
    if primary in JAPANESE:
        return "ja-mecab" if script in {*KANA, *HAN, ""} else "13a"
    if primary in KOREAN:
        return "ko-mecab" if script in {*HANGUL, *HAN, ""} else "13a"
    if script in HAN:
        return "zh"
    if script in UNSPACED_SCRIPTS or (primary in UNSPACED and not script):
        return None
    return "13a"


def leading_metric(tokenize: str | None, language: str) -> str:
    """`bleu`, or `chrf` for a language whose words no tokenizer of sacreBLEU cuts, unless one was chosen.

    The leading metric chooses the best checkpoint and is shown first.
    """
    return "chrf" if tokenize is None and tokenizer_of(language) is None else "bleu"


def mostly_unspaced(lines: Iterable[str]) -> bool:
    """Whether most letters of the first lines of a text are of a script that has no spaces between words."""
    letters = [character for line in islice(lines, READ) for character in line if character.isalpha()]
    return 2 * sum(unicodedata.name(letter, "").startswith(NAMES) for letter in letters) > len(letters)


def _language_and_script(tag: str) -> tuple[str, str]:
    """The first subtag, and that of the script, in lower case; empty where the tag says none."""
    primary, *others = tag.strip().lower().replace("_", "-").split("-")
    script = ""
    for subtag in others:
        if len(subtag) == 1:  # what follows is no longer about the language as such
            break
        if subtag in ROMANISATIONS:
            script = "latn"
        elif len(subtag) == 4 and subtag.isalpha() and not script:
            script = subtag
    return primary, script
