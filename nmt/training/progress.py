"""What training counts, and when it validates, saves and stops."""

from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict

from nmt.config import TrainSettings
from nmt.data.batches import Position
from nmt.saved import Amount, Count, checked, damaged


class _Counted(TypedDict):
    """What `state.json` may hold. A loss may be no number."""

    updates: Count
    position: dict[str, Count]
    tokens: Count
    seconds: Amount
    update_seconds: Amount
    validated: Count
    best: list[dict[str, float]]
    bad_validations: Count
    history: list[float]
    non_finite: Count


@dataclass(frozen=True)
class Best:
    """One of the best validations: after which update, its dev BLEU and dev loss."""

    update: int
    bleu: float
    loss: float


@dataclass
class Progress:
    """How far training has come: everything that it counts.

    Attributes:
        updates: updates made, those left out because their gradient was not finite among them.
        position: where the next one begins in the data.
        tokens: target tokens trained on.
        seconds: of training, validation included, over all continuations.
        update_seconds: of these, what the updates took.
        validated: the update of the last validation.
        best: the validations with the highest dev BLEU, ties by lower dev loss; the best first.
        bad_validations: scheduled validations since the best.
        history: dev losses of the scheduled validations.
        non_finite: updates in a row, up to the last, whose loss or gradient was not finite.
    """

    updates: int = 0
    position: Position = field(default_factory=lambda: Position(0, 0))
    tokens: int = 0
    seconds: float = 0.0
    update_seconds: float = 0.0
    validated: int = 0
    best: list[Best] = field(default_factory=list)
    bad_validations: int = 0
    history: list[float] = field(default_factory=list)
    non_finite: int = 0

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Progress":
        """From what `state.json` holds; raises `UserError` where it holds anything else."""
        where = "the state.json of a checkpoint"
        try:
            best = [Best(**one) for one in state["best"]]
            progress = cls(**(state | {"position": Position(**state["position"]), "best": best}))
        except (KeyError, TypeError) as error:
            raise damaged(where, str(error)) from error
        checked(progress.as_state(), _Counted, where)
        return progress

    def as_state(self) -> dict[str, Any]:
        """What `state.json` holds."""
        return asdict(self)

    @property
    def epoch(self) -> int:
        """The epoch of the last update, from 1."""
        return self.position.epoch + (self.position.update > 0)

    @property
    def best_bleu(self) -> float:
        """The highest dev BLEU so far; -1 before the first validation."""
        return self.best[0].bleu if self.best else -1.0

    @property
    def best_update(self) -> int:
        """The update that had it."""
        return self.best[0].update if self.best else 0

    def advance(self, position: Position, tokens: int) -> None:
        """Count an update: the position after it and its target tokens."""
        self.updates += 1
        self.position = position
        self.tokens += tokens

    def judge(self, bleu: float, loss: float, *, scheduled: bool, keep: int = 1) -> bool:
        """Take in a validation; True if it is the best so far. The `keep` best are remembered.

        Only scheduled validations try patience and make history: one that comes because training stops would not have been,
        had it gone on.
        """
        found = Best(self.updates, bleu, loss)
        self.best = sorted([*self.best, found], key=lambda one: (-one.bleu, one.loss, one.update))[:keep]
        self.validated = self.updates
        is_best = self.best[0] is found
        if scheduled:
            self.history.append(loss)
            self.bad_validations = 0 if is_best else self.bad_validations + 1
        return is_best

    def scheduled(self, settings: TrainSettings) -> bool:
        """Whether a validation belongs to the last update, whatever else happens."""
        return self.updates % settings.validate_every == 0

    def validation_due(self, settings: TrainSettings) -> bool:
        """Whether there is to be one now."""
        return self.validated < self.updates and (self.scheduled(settings) or self.reason_to_stop(settings) is not None)

    def reason_to_stop(self, settings: TrainSettings) -> str | None:
        """Why training is over, or None."""
        if settings.max_updates is not None and self.updates >= settings.max_updates:
            return f"train.max_updates={settings.max_updates}"
        if settings.max_epochs is not None and self.position.epoch >= settings.max_epochs:
            return f"train.max_epochs={settings.max_epochs}"
        if settings.patience is not None and self.bad_validations >= settings.patience:
            return f"no better dev BLEU in {self.bad_validations} validations (train.patience={settings.patience})"
        return None
