"""From pieces to words."""

from collections.abc import Sequence

import torch
from torch import Tensor


def words_of(pieces: Sequence[str]) -> list[int]:
    """The number, from 0, of the word that each piece belongs to: ▁, SentencePiece's mark of a space, begins one.

    What has nothing but such marks is no word: it belongs to the word after it, or at the end to the one before.
    """
    numbers: list[int] = []
    number, filled = 0, False  # whether the word has more than marks so far
    for piece in pieces:
        if piece.startswith("▁") and filled:
            number, filled = number + 1, False
        filled = filled or bool(piece.strip("▁"))
        numbers.append(number)
    return numbers if filled or not number else [min(n, number - 1) for n in numbers]


def source_words(surfaces: Sequence[tuple[str, str]]) -> list[str]:
    """The words of a sentence, given its pieces and their text, as `words_of` numbers them."""
    numbers = words_of([piece for piece, _ in surfaces])
    words = [""] * (numbers[-1] + 1 if numbers else 0)
    for number, (_, text) in zip(numbers, surfaces, strict=True):
        words[number] += text
    return [word.strip() for word in words]


def by_word(attention: Tensor, words: Sequence[int]) -> Tensor:
    """Attention (T, S …) to S source pieces, EOS and padding as that to source words and, last, EOS: (T, words + 1).

    That to a word is the sum of that to its pieces, of which `words` (S) says to which word each belongs.
    """
    count = max(words, default=-1) + 1
    numbers = torch.tensor([*words, count], device=attention.device)
    return attention.new_zeros(len(attention), count + 1).index_add_(1, numbers, attention[:, : len(numbers)])
