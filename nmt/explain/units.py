"""From matrices of pieces to matrices of words."""

from collections.abc import Sequence

import torch
from torch import Tensor


def merged(weights: Tensor, rows: Sequence[int], columns: Sequence[int], size: tuple[int, int]) -> Tensor:
    """Weights (…, T, S) between pieces as weights between words, (…, `size`).

    What a word looks at is the mean of what its pieces look at; it is looked at as much as all its pieces together. So rows
    that sum to 1 still do. A word without pieces has zeros.

    Args:
        weights: of pieces.
        rows: the word of each of the T pieces, from 0.
        columns: the word of each of the S pieces.
        size: words of either side.
    """
    return rows_of_words(weights, rows, size[0]) @ _members(columns, size[1], weights).t()


def rows_of_words(weights: Tensor, rows: Sequence[int], count: int | None = None) -> Tensor:
    """The mean over the pieces of each word of weights (…, T, S), (…, count, S); `rows` has the word of each piece."""
    mean = _members(rows, max(rows, default=-1) + 1 if count is None else count, weights)
    return mean / mean.sum(1, keepdim=True).clamp(min=1) @ weights


def _members(numbers: Sequence[int], count: int, like: Tensor) -> Tensor:
    """Which pieces each word has, (words, pieces)."""
    words = torch.arange(count, device=like.device).unsqueeze(1)
    return (words == torch.tensor(list(numbers), dtype=torch.long, device=like.device)).to(like.dtype)
