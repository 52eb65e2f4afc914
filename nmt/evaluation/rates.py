"""How often a translation repeats itself, copies its source or leaves much of it out; references show what is normal."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

COPIED = 0.5
"""Share of its words that a copy takes from the source (Ott et al. 2018, "Analyzing uncertainty in NMT")."""

UNTRANSLATED = 0.5
"""A translation shorter than this share of the length to expect leaves something out."""


LONGEST = 50
"""Words that are looked for a second time."""


@dataclass(frozen=True)
class Rates:
    """Shares of sentences, in per cent.

    Attributes:
        repetition: in which words stand twice in a row: a word, or several (`a man in a man in a hat`), case aside;
            punctuation and numbers alone do not count. A decoder that loops does this.
        copy: at least half of whose words are words of the source too, punctuation, numbers and case aside (after Ott et al.
            2018); a word of the source counts as often as it is there.
        under_translation: with less than half the characters that the length of the source lets one expect, which are r times
            those of the source, r being characters of all references over those of all sources; white space is not counted.
    """

    repetition: float
    copy: float
    under_translation: float


def rates(sources: Sequence[str], targets: Sequence[str], references: Sequence[str]) -> Rates:
    """The rates of translations, or of the references themselves.

    Args:
        sources: at least one.
        targets: what is looked at, one for each source.
        references: by which the length to expect is told.
    """
    ratio = sum(map(_length, references)) / max(sum(map(_length, sources)), 1)
    pairs = list(zip(sources, targets, strict=True))
    return Rates(
        repetition=_percent([repeats(target) for target in targets]),
        copy=_percent([copies(source, target) for source, target in pairs]),
        under_translation=_percent([_length(target) < UNTRANSLATED * ratio * _length(source) for source, target in pairs]),
    )


def words(text: str) -> list[str]:
    """The words of detokenised text: sacreBLEU's 13a tokens, so punctuation stands alone."""
    tokens: list[str] = _tokenizer()(text).split()
    return tokens


def repeats(text: str) -> bool:
    """Whether one or several words, up to `LONGEST`, stand twice in a row."""
    found = [word.casefold() for word in words(text)]
    for length in range(1, min(len(found) // 2, LONGEST) + 1):
        alike = 0  # words up to here that equal the one so many before
        for place in range(length, len(found)):
            alike = alike + 1 if found[place] == found[place - length] else 0
            if alike >= length and any(map(_has_letter, found[place - length + 1 : place + 1])):
                return True
    return False


def copies(source: str, target: str) -> bool:
    """Whether at least half of the words of the target are words of the source; numbers and punctuation are none."""
    ours, theirs = (Counter(word.casefold() for word in words(text) if _has_letter(word)) for text in (target, source))
    return bool(ours) and (ours & theirs).total() >= COPIED * ours.total()


@cache
def _tokenizer() -> Tokenizer13a:
    return Tokenizer13a()  # type: ignore[no-untyped-call]  # sacreBLEU leaves it untyped


def _has_letter(word: str) -> bool:
    return any(map(str.isalpha, word))


def _length(text: str) -> int:
    return sum(map(len, text.split()))


def _percent(flags: Sequence[bool]) -> float:
    return 100 * sum(flags) / max(len(flags), 1)
