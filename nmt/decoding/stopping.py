"""When the search of a sentence is done: rules over what has finished and what still lives.

Letters: B sentences still searched, W width of the search, n translations that are asked for.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from nmt.config import DecodeSettings
from nmt.decoding.scoring import Scoring


@dataclass(frozen=True)
class Standing:
    """How the searches stand after a step.

    Attributes:
        scores: of the best finished hypotheses, best first, -inf where there is none yet, (B, W).
        counts: hypotheses that have finished so far, (B,).
        live: the largest log p of a live hypothesis, (B,).
        length: pieces of a live hypothesis.
        longest: most pieces that a translation may have, (B,).
        wanted: n, at most W.
    """

    scores: Tensor
    counts: Tensor
    live: Tensor
    length: int
    longest: Tensor
    wanted: int

    @property
    def worst_wanted(self) -> Tensor:
        """The score of the n-th best finished hypothesis, (B,)."""
        return self.scores[:, self.wanted - 1]


class Stop(ABC):
    """A rule that says of which sentences the search is done.

    Args:
        scoring: what finished hypotheses are ranked by.
    """

    def __init__(self, scoring: Scoring) -> None:
        self.scoring = scoring

    @abstractmethod
    def done(self, standing: Standing) -> Tensor:
        """Which of the searches are done, (B,)."""


class Ahead(Stop):
    """Done when W hypotheses have finished and no live one is ahead of any of the n best of them.

    A live hypothesis of t pieces counts as if it ended at once and its end were certain: log p / lp(t + 1). So a hypothesis is
    never returned while a live one is ahead of it, and few hypotheses that ended early, such as an empty one, end nothing.
    """

    def done(self, standing: Standing) -> Tensor:
        next_length = standing.live.new_tensor(standing.length + 1)
        enough = standing.counts >= standing.scores.size(1)
        return enough & (standing.worst_wanted >= standing.live / self.scoring.lp(next_length))


class Exact(Stop):
    """Done when no live hypothesis can still be among the n best, whatever follows: the whole search.

    log p only falls and the coverage penalty is at most 0, so that no live hypothesis comes to score more than log p over the
    largest lp, that of the most pieces. Of Hugging Face's rules it is `early_stopping="never"`.
    """

    def done(self, standing: Standing) -> Tensor:
        return standing.worst_wanted >= standing.live / self.scoring.lp(standing.longest.to(standing.live.dtype) + 1)


class Count(Exact):
    """Done when patience · W hypotheses have finished, and at least n, whatever they are (Kasai et al. 2022, section 2.2).

    With a patience of 1 it is first come, first served, as in fairseq and in Hugging Face's `early_stopping=True`.

    Args:
        scoring: what finished hypotheses are ranked by.
        patience: more than 0.
    """

    def __init__(self, scoring: Scoring, patience: float) -> None:
        super().__init__(scoring)
        self.patience = patience

    def done(self, standing: Standing) -> Tensor:
        enough = max(self.patience * standing.scores.size(1), standing.wanted)
        return (standing.counts >= enough) | super().done(standing)


def stop_of(settings: DecodeSettings, scoring: Scoring) -> Stop:
    """The rule that settings choose; samples are all wanted, so theirs always come to their end."""
    if settings.search != "beam" or settings.stop == "exact":
        return Exact(scoring)
    return Count(scoring, settings.patience) if settings.stop == "count" else Ahead(scoring)
