"""The words of a sentence, and which piece belongs to which."""

import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from nmt.data.links import Gold
from nmt.data.tokenizer import Side, Tokenizer


@dataclass(frozen=True)
class Words:
    """A sentence and where its words are.

    Attributes:
        text: of the sentence.
        spans: the first character of each word, and the one after its last.
    """

    text: str
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def between_spaces(cls, text: str) -> Self:
        """What white space separates, as in files of word alignments."""
        return cls.of_tokens(text, text.split())

    @classmethod
    def of_tokens(cls, text: str, tokens: Sequence[str]) -> Self:
        """Given words, which stand in the text in this order."""
        spans, end = [], 0
        for token in tokens:
            start = text.index(token, end)
            end = start + len(token)
            spans.append((start, end))
        return cls(text, tuple(spans))

    def __len__(self) -> int:
        return len(self.spans)

    def of_pieces(self, tokenizer: Tokenizer, side: Side, most: int | None = None) -> tuple[list[int], list[int]]:
        """The ids of the sentence, and for each piece the number of its word, from 0.

        With `most`, those beyond so many may be missing; if there are more than so many, at least one more is given.

        A piece belongs to the word of the first of its characters that can be seen; one without any to the word that follows,
        or at the end to the last. A word that the tokenizer leaves out, such as a control character, has no piece.
        """
        if not self.spans:
            return [], []
        text = self.text if most is None else tokenizer.beginning(self.text, side, most)
        spans = self.spans[: bisect_left(self.spans, (len(text), 0))]
        of_character = [-1] * len(text)
        for number, (start, end) in enumerate(spans):
            of_character[start:end] = [number] * (min(end, len(text)) - start)
        following = self._first_seen(len(text), len(spans))  # the word of the nearest character from here on that can be seen
        for place in reversed(range(len(text))):
            if of_character[place] >= 0 and _is_seen(text[place]):
                following = of_character[place]
            of_character[place] = following
        ids, starts = tokenizer.places(text, side)
        return ids, [of_character[min(start, len(text) - 1)] for start in starts]

    def _first_seen(self, place: int, begun: int) -> int:
        """The word of the first character from a place on that can be seen, or else the last word; so many begin before it."""
        for number in range(max(begun - 1, 0), len(self.spans)):
            start, end = self.spans[number]
            if any(_is_seen(self.text[n]) for n in range(max(start, place), end)):
                return number
        return len(self.spans) - 1


def _is_seen(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf")


@dataclass(frozen=True)
class AlignedPair:
    """A sentence pair with gold links between its words."""

    src: Words
    tgt: Words
    gold: Gold
