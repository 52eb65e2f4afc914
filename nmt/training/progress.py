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
    validated: int
    best: list[dict[str, float]]
    unscheduled: dict[str, float] | None
    bad_validations: Count
    history: list[float]
    non_finite: Count


RANKED = "best_updates"
"""In `state.json`, the updates of the validations that are remembered, the best first."""
_RENAMED = {"bleu": "score"}
"""Fields of `Best`, by what an older nmt called them."""


@dataclass(frozen=True)
class Best:
    """One of the best validations: after which update, its dev score by the leading metric, and its dev loss."""

    update: int
    score: float
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
        validated: the update of the last validation; -1 where that of the parameters that training begins with is still due.
        best: the scheduled validations with the highest dev score, ties by lower dev loss; the best first.
        unscheduled: the validation of the last update where only the end of training brought it: it may be the best of all, but
            training that goes on forgets it, so that it goes on as if it had never ended.
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
    unscheduled: Best | None = None
    bad_validations: int = 0
    history: list[float] = field(default_factory=list)
    non_finite: int = 0

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Progress":
        """From what `state.json` holds; raises `UserError` where it holds anything else."""
        where = "the state.json of a checkpoint"
        try:
            best, last = [_best(one) for one in state["best"]], state.get("unscheduled")
            values = {name: value for name, value in state.items() if name != RANKED} | {"best": best}
            values["unscheduled"] = None if last is None else _best(last)
            progress = cls(**(values | {"position": Position(**state["position"])}))
        except (KeyError, TypeError, AttributeError) as error:
            raise damaged(where, str(error)) from error
        checked(progress.as_state(), _Counted, where)
        return progress

    def as_state(self) -> dict[str, Any]:
        """The content of `state.json`: all fields, and the updates of the best validations, whose checkpoints are kept."""
        return asdict(self) | {RANKED: [one.update for one in self.ranked]}

    @property
    def epoch(self) -> int:
        """The epoch of the last update, from 1."""
        return self.position.epoch + (self.position.update > 0)

    @property
    def ranked(self) -> list[Best]:
        """All validations that are remembered, the best first."""
        return _ranked([*self.best, *([self.unscheduled] if self.unscheduled else [])])

    @property
    def best_score(self) -> float:
        """The highest dev score so far; -1 before the first validation."""
        return self.ranked[0].score if self.ranked else -1.0

    @property
    def best_update(self) -> int:
        """The update that had it."""
        return self.ranked[0].update if self.ranked else 0

    def advance(self, position: Position, tokens: int) -> None:
        """Count an update: the position after it and its target tokens."""
        self.updates += 1
        self.unscheduled = None
        self.position = position
        self.tokens += tokens

    def judge(self, score: float, loss: float, *, scheduled: bool, keep: int = 1) -> bool:
        """Take in a validation; True if it is the best so far. The `keep` best scheduled ones are remembered.

        Only scheduled validations try patience, make history and are compared with later ones: one that comes because training
        stops would not have been, had it gone on.
        """
        found = Best(self.updates, score, loss)
        self.validated = self.updates
        if not scheduled:
            self.unscheduled = found
            return self.ranked[0] is found
        self.best = _ranked([*self.best, found])[:keep]
        is_best = self.best[0] is found
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
            return f"no better dev score in {self.bad_validations} validations (train.patience={settings.patience})"
        return None


def is_scheduled(settings: TrainSettings, update: int) -> bool:
    """Whether a checkpoint is written after an update, whatever else happens: each `train.checkpoint_every` and validation."""
    return update % settings.checkpoint_every == 0 or update % settings.validate_every == 0


def _ranked(validations: list[Best]) -> list[Best]:
    return sorted(validations, key=lambda one: (-one.score, one.loss, one.update))


def _best(saved: dict[str, Any]) -> Best:
    return Best(**{_RENAMED.get(key, key): value for key, value in saved.items()})
