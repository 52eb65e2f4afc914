"""The beginnings of long texts: what a model will not read need not be cut into pieces."""

from collections.abc import Callable
from itertools import takewhile

import sentencepiece

from nmt.data.subwords import SPACE
from nmt.data.visible import is_visible

_CHARACTERS = 16  # per wanted piece that are looked at first; no fewer than …
_FEWEST = 2048
_REACH = 64  # characters that decide together how one of them is normalised: far more than any rule of Unicode needs


def beginning(text: str, most: int, processor: sentencepiece.SentencePieceProcessor, longest: Callable[[], int]) -> str:
    """A beginning of a text that has the same first `most` pieces as the whole, and more than these if the whole has.

    The text itself where it is short, or where nothing shorter is certain.

    Args:
        text: a sentence.
        most: pieces.
        processor: cuts text into pieces.
        longest: gives the number of characters of its longest piece; called only for a text that is not short.
    """
    size = max(_FEWEST, _CHARACTERS * most)
    while size < len(text):
        if is_visible(text[:size]) and _is_settled(text, size, most, processor, longest()):
            return text[:size]
        size *= 2
    return text


def _is_settled(text: str, size: int, most: int, processor: sentencepiece.SentencePieceProcessor, longest: int) -> bool:
    """Whether the first pieces of a beginning are those of the whole text, whatever follows.

    SentencePiece goes from left to right (unigram) or merges neighbours (BPE): where a piece of the whole text ends, the pieces
    up to there are those of the text up to there. One ends before every space. Elsewhere one ends at some of any so many places
    in a row as the longest piece has characters: when the text up to each of these begins with the same pieces, the whole does.
    """
    both = zip(processor.normalize(text[:size]), processor.normalize(text[: size + _REACH]), strict=False)
    normalized = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], both))

    def pieces(text: str) -> list[int]:
        ids: list[int] = processor.encode(text.replace(SPACE, " "))
        return ids

    end, space = len(normalized), normalized.rfind(SPACE)
    if space >= end - longest or len(pieces(normalized[:space])) > most:
        places = [space]
    else:
        places = list(range(end - longest + 1, end + 1))
    found = [pieces(text[:size]), *(pieces(normalized[:place]) for place in places)]
    return all(len(ids) > most and ids[:most] == found[0][:most] for ids in found)
