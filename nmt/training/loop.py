"""The training loop, from any position on."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nmt.config import TrainSettings
from nmt.data.batches import Batch, Position, TrainingData
from nmt.training.loss import TrainedModel
from nmt.training.schedules import Schedule


@dataclass
class Progress:
    """How far training has come: everything that it counts.

    Attributes:
        updates: updates made.
        position: where the next one begins in the data.
        tokens: target tokens trained on.
        seconds: of training, validation included, over all continuations.
        update_seconds: of these, what the updates took.
        best_bleu: highest dev BLEU; `best_loss` its dev loss and `best_update` when.
        bad_validations: validations since then.
        history: dev losses of the scheduled validations.
    """

    updates: int = 0
    position: Position = field(default_factory=lambda: Position(0, 0))
    tokens: int = 0
    seconds: float = 0.0
    update_seconds: float = 0.0
    best_bleu: float = -1.0
    best_loss: float = float("inf")
    best_update: int = 0
    bad_validations: int = 0
    history: list[float] = field(default_factory=list)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Progress":
        """From what `state.json` holds."""
        return cls(**(state | {"position": Position(**state["position"])}))

    def as_state(self) -> dict[str, Any]:
        """What `state.json` holds."""
        return asdict(self)

    @property
    def epoch(self) -> int:
        """The epoch of the last update, from 1."""
        return self.position.epoch + (self.position.update > 0)

    def judge(self, bleu: float, loss: float, *, scheduled: bool) -> bool:
        """Take in a validation; True if it is the best so far: the highest dev BLEU, ties by lower dev loss.

        Only scheduled validations try patience: one that comes because training stops would not have been, had it gone on.
        """
        if scheduled:
            self.history.append(loss)
        if (bleu, -loss) > (self.best_bleu, -self.best_loss):
            self.best_bleu, self.best_loss, self.best_update, self.bad_validations = bleu, loss, self.updates, 0
            return True
        self.bad_validations += scheduled
        return False

    def reason_to_stop(self, settings: TrainSettings) -> str | None:
        """Why training is over, or None."""
        if settings.max_updates is not None and self.updates >= settings.max_updates:
            return f"train.max_updates={settings.max_updates}"
        if settings.max_epochs is not None and self.position.epoch >= settings.max_epochs:
            return f"train.max_epochs={settings.max_epochs}"
        if settings.patience is not None and self.bad_validations >= settings.patience:
            return f"no better dev BLEU in {self.bad_validations} validations (train.patience={settings.patience})"
        return None


class Monitor(Protocol):
    """Who watches training."""

    def update(self, progress: Progress, sums: "Sums", learning_rate: float) -> None:
        """After every update."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """While it is open, time does not count as training."""
        ...


@dataclass
class Sums:
    """What one update gave, left on the device: nothing here waits for it."""

    loss: Tensor
    nll: Tensor
    gradient_norm: Tensor
    tokens: int  # real target tokens
    padding: float  # share of padding among source and target positions


@dataclass
class Trainer:
    """Everything that an update needs.

    Attributes:
        trained: the model with its loss.
        optimizer: over its parameters.
        schedule: number of the update, from 1, and the dev losses so far, to a factor on the learning rate.
        settings: `train.…`.
        device: where it runs.
    """

    trained: TrainedModel
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    settings: TrainSettings
    device: torch.device

    def __post_init__(self) -> None:
        self._peak_rates = [group["lr"] for group in self.optimizer.param_groups]

    def train(
        self,
        data: TrainingData,
        progress: Progress,
        *,
        monitor: Monitor,
        validate: Callable[[bool], None],
        save: Callable[[], None],
    ) -> str:
        """Update until there is a reason to stop, which is returned.

        Args:
            data: the sequence of updates.
            progress: where to begin; kept up to date.
            monitor: told of every update.
            validate: called every `validate_every` updates with True, and at any other end with False.
            save: called every `checkpoint_every` updates and after each validation.
        """
        settings = self.settings
        begun, before = time.perf_counter(), progress.seconds
        updates = data.updates(progress.position, self.device)
        while (reason := progress.reason_to_stop(settings)) is None:
            update_begun = time.perf_counter()
            batches, position = next(updates)
            rate = self.set_rate(progress.updates + 1, progress.history)
            sums = self.update(batches)
            progress.updates += 1
            progress.position = position
            progress.tokens += sums.tokens
            monitor.update(progress, sums, rate)
            progress.update_seconds += time.perf_counter() - update_begun

            scheduled = progress.updates % settings.validate_every == 0
            validated = scheduled or progress.reason_to_stop(settings) is not None
            with monitor.paused():
                if validated:
                    validate(scheduled)
                progress.seconds = before + time.perf_counter() - begun
                if validated or progress.updates % settings.checkpoint_every == 0:
                    save()
        updates.close()
        return reason

    def update(self, batches: list[Batch]) -> Sums:
        """One update of the parameters: the gradient of the mean loss over all target tokens of the batches."""
        self.trained.train()
        tokens = sum(batch.tokens for batch in batches)
        losses, nlls = [], []
        for batch in batches:
            with self.autocast():
                loss, nll = self.trained(batch)
            (loss / tokens).backward()
            losses.append(loss.detach())
            nlls.append(nll)
        norm = nn.utils.clip_grad_norm_(self.trained.parameters(), self.settings.clip_norm or float("inf"))
        self.optimizer.step()
        self.optimizer.zero_grad()
        real = tokens + sum(batch.src_tokens for batch in batches)
        padding = 1 - real / sum(batch.src.numel() + batch.tgt_in.numel() for batch in batches)
        return Sums(torch.stack(losses).sum(), torch.stack(nlls).sum(), norm, tokens, padding)

    def set_rate(self, update: int, history: Sequence[float]) -> float:
        """Set the learning rate of an update, given the dev losses so far, and say it."""
        for group, peak in zip(self.optimizer.param_groups, self._peak_rates, strict=True):
            group["lr"] = peak * self.schedule(update, history)
        return float(self.optimizer.param_groups[0]["lr"])

    def autocast(self) -> torch.autocast:
        """bf16 where `train.precision` asks for it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16")

    @torch.inference_mode()
    def mean_nll(self, batches: Iterator[Batch]) -> float:
        """-log p per target token, in nats, without dropout or smoothing."""
        self.trained.eval()
        total, tokens = torch.zeros((), device=self.device), 0
        for batch in batches:
            with self.autocast():
                total += self.trained(batch.to(self.device))[1]
            tokens += batch.tokens
        return float(total) / tokens
