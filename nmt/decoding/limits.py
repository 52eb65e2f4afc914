"""What translations must keep to, whatever the model prefers: lengths, and forced beginnings."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.vocabulary import BOS, EOS, PAD


@dataclass(frozen=True)
class Limits:
    """Of each sentence.

    Attributes:
        shortest: fewest pieces, EOS not counted, (B,); no more than `longest`.
        longest: most pieces, (B,); no fewer than the prefix has.
        prefixes: pieces that it begins with, padded, (B, P).
    """

    shortest: Tensor
    longest: Tensor
    prefixes: Tensor

    @classmethod
    def make(cls, longest: Tensor, *, shortest: int = 0, prefixes: Sequence[Sequence[int]] | None = None) -> "Limits":
        """Limits of sentences with at most `longest` pieces each (B,), which give way to longer prefixes."""
        prefixes = prefixes or [[] for _ in longest]
        width = max(map(len, prefixes), default=0)
        ids = torch.tensor([[*prefix, *[PAD] * (width - len(prefix))] for prefix in prefixes], dtype=torch.long)
        ids = ids.view(len(longest), width).to(longest.device)
        longest = torch.maximum(longest, (ids != PAD).sum(1))
        return cls(longest.clamp(max=shortest), longest, ids)

    def apply(self, log_probs: Tensor, length: int) -> Tensor:
        """log p (B, K, V) with -inf, in place, where a piece must not be number `length` of a translation."""
        log_probs[:, :, PAD] = -torch.inf
        log_probs[:, :, BOS] = -torch.inf
        forced = torch.full_like(self.longest, PAD)
        if length <= self.prefixes.size(1):
            forced = self.prefixes[:, length - 1]
        forced = forced.where((forced != PAD) | (self.longest >= length), EOS)  # (B,)
        only = (forced != PAD).nonzero().squeeze(1)
        if len(only):
            kept = log_probs[only, :, forced[only]]
            log_probs[only] = -torch.inf
            log_probs[only, :, forced[only]] = kept
        too_short = (forced == PAD) & (self.shortest >= length)
        log_probs[:, :, EOS] = log_probs[:, :, EOS].masked_fill(too_short.unsqueeze(1), -torch.inf)
        return log_probs

    def of(self, rows: Tensor | slice) -> "Limits":
        """The same for some of the sentences."""
        return Limits(self.shortest[rows], self.longest[rows], self.prefixes[rows])
