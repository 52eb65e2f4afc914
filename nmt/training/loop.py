"""The training loop, from any position on."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from nmt.config import TrainSettings
from nmt.data.batches import Batch, TrainingData
from nmt.errors import Interrupted
from nmt.machine import is_out_of_memory
from nmt.training import distributed
from nmt.training.averages import Averages
from nmt.training.faults import BadUpdates, out_of_memory
from nmt.training.precision import autocast
from nmt.training.progress import Progress
from nmt.training.schedules import Schedule
from nmt.training.signals import Signals


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
    """What one update gave, over all processes, left on the device: nothing here waits for it."""

    loss: Tensor
    nll: Tensor
    gradient_norm: Tensor
    finite: Tensor  # whether loss and gradient were: else the update was not applied
    tokens: int  # real target tokens
    padding: float  # share of padding among source and target positions
    waiting: float = 0.0  # seconds that the loop waited for the batches


@dataclass
class Trainer:
    """Everything that an update needs.

    Attributes:
        trained: what is called with a batch: the model with its loss, wrapped as many devices want it.
        optimizer: over its parameters.
        schedule: number of the update, from 1, and the dev losses so far, to a factor on the learning rate.
        settings: `train.…`.
        device: where it runs.
        averages: of the parameters, where they are asked for.
    """

    trained: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    settings: TrainSettings
    device: torch.device
    averages: Averages | None = None

    def __post_init__(self) -> None:
        self._peak_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.settings.precision == "fp16")

    def train(
        self,
        data: TrainingData,
        progress: Progress,
        *,
        monitor: Monitor,
        validate: Callable[[bool], None],
        save: Callable[[], None],
        signals: Signals,
        bad: BadUpdates,
    ) -> str:
        """Update until there is a reason to stop, which is returned.

        Args:
            data: the sequence of updates.
            progress: where to begin; kept up to date.
            monitor: told of every update.
            validate: called every `validate_every` updates with True, and at any other end with False.
            save: called every `checkpoint_every` updates, after each validation, and where a signal asks for it.
            signals: from the operating system.
            bad: told of every update, for those that are not finite.

        Raises:
            Interrupted: after a checkpoint, where a signal asks for the end.
        """
        settings, saved = self.settings, progress.updates
        begun, before = time.perf_counter(), progress.seconds
        updates = data.updates(progress.position, self.device)
        while True:
            ending, wanted = signals.agreed()
            due = progress.validation_due(settings) and not ending
            with monitor.paused():
                if due:
                    try:
                        validate(progress.scheduled(settings))
                    except Interrupted as interrupted:
                        ending = interrupted.signal_number
                if due or ending or wanted or (progress.updates % settings.checkpoint_every == 0 and saved < progress.updates):
                    bad.settle(progress)
                    progress.seconds = before + time.perf_counter() - begun
                    save()
                    saved = progress.updates
            if ending:
                raise Interrupted(ending, f"after {progress.updates:,} updates")
            if reason := progress.reason_to_stop(settings):
                updates.close()
                return reason

            update_begun = time.perf_counter()
            batches, position = next(updates)
            waiting = time.perf_counter() - update_begun
            rate = self.set_rate(progress.updates + 1, progress.history)
            sums = self.update(batches, progress.updates + 1)
            sums.waiting = waiting
            progress.advance(position, sums.tokens)
            progress.seconds = before + time.perf_counter() - begun
            bad.note(progress, sums.finite, batches)
            monitor.update(progress, sums, rate)
            progress.update_seconds += time.perf_counter() - update_begun

    def update(self, batches: list[Batch], number: int) -> Sums:
        """Update `number`, from 1: by the gradient of the mean loss over all target tokens, those of all processes, too.

        Raises:
            OutOfMemoryError: if it does not fit the memory of the device.
        """
        try:
            return self._update(batches, number)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise out_of_memory(max(batches, key=lambda batch: batch.area), self.device) from None
            raise

    def _update(self, batches: list[Batch], number: int) -> Sums:
        self.trained.train()
        tokens, src_tokens, positions = distributed.total(
            [sum(b.tokens for b in batches), sum(b.src_tokens for b in batches), sum(b.area for b in batches)]
        )
        losses = []
        for n, batch in enumerate(batches, start=1):
            with distributed.no_exchange(self.trained, last=n == len(batches)):
                with autocast(self.settings.precision, self.device):
                    loss, nll = self.trained(batch)
                self.scaler.scale(loss * distributed.size() / tokens).backward()  # processes are averaged
            losses.append(torch.stack([loss.detach(), nll]))
        total = distributed.summed(torch.stack(losses).sum(0))
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.trained.parameters(), self.settings.clip_norm or float("inf"))
        norm = distributed.whole(norm)
        finite = (total[0] + norm).isfinite()
        self._step(finite)
        if self.averages is not None:
            self.averages.update(number)
        return Sums(total[0], total[1], norm, finite, tokens, 1 - (tokens + src_tokens) / positions)

    def _step(self, finite: Tensor) -> None:
        """Apply the gradient, if it is finite."""
        if not self.optimizer.state and not finite:
            pass  # a kernel that does nothing would leave its new moments undefined; so the first update waits
        elif self.scaler.is_enabled():  # it looks for itself
            self.scaler.step(self.optimizer)
        elif self.optimizer.param_groups[0].get("fused") and not isinstance(self.trained, FSDPModule):
            self.optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]  # the kernel then does nothing, and nobody waits
            self.optimizer.step()
        elif finite:
            self.optimizer.step()
        self.scaler.update()
        self.optimizer.zero_grad()

    def set_rate(self, update: int, history: Sequence[float] = ()) -> float:
        """Set the learning rate of an update, given the dev losses so far, and say it."""
        for group, peak in zip(self.optimizer.param_groups, self._peak_rates, strict=True):
            group["lr"] = peak * self.schedule(update, history)
        return float(self.optimizer.param_groups[0]["lr"])
