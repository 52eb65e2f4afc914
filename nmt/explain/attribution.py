"""What a method of explanation says about a sentence pair."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Attribution:
    """How much every piece that a model had read counts for each piece that it predicts.

    Attributes:
        source: (T, S), EOS last on both sides.
        prefix: (T, T), BOS first; nothing lies above the diagonal. None: the method says nothing of it.
    """

    source: Tensor
    prefix: Tensor | None

    def shares(self) -> "Attribution":
        """Every row scaled so that its absolute values sum to 1, source and prefix together; a row of zeros stays one."""
        total = self.source.abs().sum(1, keepdim=True)
        if self.prefix is not None:
            total = total + self.prefix.abs().sum(1, keepdim=True)
        total = total.masked_fill(total == 0, 1)
        return Attribution(self.source / total, None if self.prefix is None else self.prefix / total)
