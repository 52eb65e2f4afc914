"""What translations are ranked by: their probability, their length, and how much of the source they have looked at."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.models.seq2seq import Memory, State

UNSEEN = 1e-30
"""What a piece counts as that was not looked at at all, as 0 has no logarithm."""

LENGTH_RULES = ("none", "average", "wu")


@dataclass(frozen=True)
class Scoring:
    """s(y, x) = log p(y | x) / lp(y) + cp(x, y).

    With |y| pieces, EOS counted, and α the length penalty, lp(y) is by the rule

    - `none`: 1;
    - `average`: |y|^α, the mean log-probability of a piece with α = 1 (Jean et al. 2015);
    - `wu`: (5 + |y|)^α / (5 + 1)^α (Wu et al. 2016, equation 14).

    cp(x, y) = β Σ_i log min(Σ_j p_ij, 1) over the source pieces i but EOS, where p_ij is the attention of target piece j,
    EOS among them, to i (ibid.; of several layers and heads the mean).

    Attributes:
        rule: one of the three.
        length_penalty: α, at least 0.
        coverage_penalty: β, at least 0; above 0 it needs a model with attention.
    """

    rule: str = "average"
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0

    def lp(self, lengths: Tensor) -> Tensor:
        """lp(y) of numbers of pieces, EOS counted."""
        match self.rule:
            case "none":
                return torch.ones_like(lengths)
            case "average":
                return lengths**self.length_penalty
            case _:
                return ((5 + lengths) / 6) ** self.length_penalty

    def scores(self, totals: Tensor, length: int, parents: Tensor, state: State, memory: Memory) -> Tensor:
        """s (B, C) of candidates that end, with log p (B, C) and hypotheses `parents` (B, C) of the state."""
        scores = totals / self.lp(totals.new_tensor(length))
        if not self.coverage_penalty:
            return scores
        return scores + self.coverage(state["coverage"], memory["mask"]).gather(1, parents)

    def coverage(self, attention: Tensor, mask: Tensor) -> Tensor:
        """cp (B, K) of Σ_j p_ij (B, K, S), given which source pieces are real, EOS last, (B, S)."""
        but_end = mask & torch.nn.functional.pad(mask[:, 1:], (0, 1))
        logs = attention.clamp(min=UNSEEN, max=1.0).log() * but_end.unsqueeze(1)
        return self.coverage_penalty * logs.sum(-1)
