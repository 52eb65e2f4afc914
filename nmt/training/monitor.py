"""What a run tells while it trains: TensorBoard, metrics.jsonl, and a progress bar or lines.

docs/watching.md has every name.
"""

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import nn

from nmt.config import TrainSettings
from nmt.console import BESIDE_A_BAR, console
from nmt.training.board import Board
from nmt.training.histograms import Histogram, gradients, parameters
from nmt.training.loop import Sums
from nmt.training.memory import memory
from nmt.training.pace import Pace, in_words
from nmt.training.profile import Profiler
from nmt.training.progress import Progress as TrainingProgress
from nmt.training.record import Record
from nmt.training.samples import Sample, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger("nmt")


class RunMonitor:
    """Writes what training measures into a run; shows a bar on a terminal, and says a line now and then elsewhere.

    Args:
        directory: of the run.
        settings: `train.…`.
        progress: so far; what was written of what came after is forgotten.
        epoch_tokens: target tokens of an epoch, to know what is left.
        device: of the training.
    """

    def __init__(
        self, directory: Path, settings: TrainSettings, *, progress: TrainingProgress, epoch_tokens: int, device: torch.device
    ) -> None:
        updates = progress.updates
        self._settings = settings
        self._device = device
        self._updates = updates
        self._record = Record(directory, updates=updates, validated=progress.validated)
        again = 0 <= progress.validated < updates and progress.scheduled(settings)  # its validation is made again
        self._board = Board(directory / "tensorboard", updates=updates - again)
        if again:
            self._board.scalars(self._record.figures("train", updates), updates)
        self._pace = Pace(settings, epoch_tokens=epoch_tokens)
        self._profiler = None
        if settings.profile:
            ahead = settings.validate_every - updates % settings.validate_every
            ahead = min(ahead, settings.max_updates - updates) if settings.max_updates else ahead
            if ahead > 0:  # else only a validation is left
                self._profiler = Profiler(directory, updates=updates, ahead=ahead, device=device)
        self._model: nn.Module | None = None
        self._bar = _bar()
        self._task = self._bar.add_task("training", total=settings.max_updates, completed=updates, figures="")
        self._sums: list[Sums] = []
        self._since = self._paused_at = time.perf_counter()

    def __enter__(self) -> "RunMonitor":
        self.event("continue" if self._updates else "begin")
        self._bar.start()
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        with ExitStack() as closing:
            closing.callback(self._record.close)
            closing.callback(self._board.close)
            self._bar.stop()
            if self._profiler:
                self._profiler.stop(self._updates)
                if error is None:
                    self._profiler.write()
            if error is not None:
                with suppress(OSError):  # where nothing can be written, that very error is under way
                    self.event("interrupted", reason=type(error).__name__)

    def draw_histograms(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """From now on, draw the parameters at every validation, and the gradients, clipped, of the update before it."""
        self._model = model
        optimizer.register_step_pre_hook(lambda *_: self._draw_gradients(model))

    def update(self, progress: TrainingProgress, sums: Sums, learning_rate: float) -> None:
        """After every update; asks the device for figures only every `train.log_every`."""
        self._updates = progress.updates
        self._sums.append(sums)
        self._bar.update(self._task, completed=progress.updates)
        if progress.updates % self._settings.log_every == 0:
            self._figures(progress, learning_rate)
        if self._profiler:
            self._profiler.update(progress.updates)

    def _figures(self, progress: TrainingProgress, learning_rate: float) -> None:
        tokens, updates = sum(s.tokens for s in self._sums), len(self._sums)
        # (3,), the only wait for the device
        sums = torch.stack([torch.stack([s.loss, s.nll, s.gradient_norm]) for s in self._sums]).sum(0).tolist()
        loss, nll, norm = sums
        seconds = (now := time.perf_counter()) - self._since
        figures = {
            "train/loss": loss / tokens,
            "train/perplexity": math.exp(min(nll / tokens, 100.0)),
            "train/learning_rate": learning_rate,
            "train/gradient_norm": norm / updates,
            "train/padding": sum(s.padding for s in self._sums) / updates,
            "train/epoch": progress.epoch,
            "train/tokens": progress.tokens,
            "train/seconds": progress.seconds,
            "speed/target_tokens_per_second": tokens / seconds,
            "speed/seconds_per_update": seconds / updates,
            "speed/waiting_for_data": sum(s.waiting for s in self._sums) / seconds,
            **memory(self._device),
        }
        self._sums, self._since = [], now
        self.write("train", progress.updates, figures)
        self._pace.took(updates, tokens, seconds)
        self._say(progress, loss / tokens, tokens / seconds)

    def _say(self, progress: TrainingProgress, loss: float, speed: float) -> None:
        left = self._pace.updates_left(progress)
        total = None if left is None else progress.updates + left
        figures = f"loss {loss:.3f}  {speed:,.0f} tokens/s  {in_words(self._pace.seconds_left(progress))}"
        self._bar.update(self._task, total=total, figures=f"epoch {progress.epoch}  {figures}")
        updates = f"{progress.updates:,}" + ("" if total is None else f"/{total:,}")
        log.info(f"update {updates}  epoch {progress.epoch}  {figures}", extra=BESIDE_A_BAR)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While it is open, time does not count as training."""
        begun = time.perf_counter()
        if self._profiler:
            self._profiler.write()
        self._paused_at = time.perf_counter()
        yield
        self._since += time.perf_counter() - begun

    def validation(
        self,
        updates: int,
        figures: Mapping[str, float],
        samples: Sequence[Sample],
        pictures: "Mapping[str, Figure]",
        signatures: Mapping[str, str] | None = None,
    ) -> None:
        """A validation, inside `paused`: figures, samples, attention pictures and the scores' signatures by name."""
        seconds = time.perf_counter() - self._paused_at
        self._pace.validated(seconds)
        self._record.write("valid", updates, figures if signatures is None else {**figures, "signatures": signatures})
        self._board.scalars(figures, updates)
        self.write("speed", updates, {"speed/validation_seconds": seconds})
        self._record.write("samples", updates, {"samples": [asdict(sample) for sample in samples]})
        self._board.text("valid/samples", table(samples), updates)
        for name, figure in pictures.items():
            self._board.picture(name, figure, updates)
        if self._model is not None:
            self._draw(updates, parameters(self._model))

    def _draw_gradients(self, model: nn.Module) -> None:
        update = self._updates + 1
        if update % self._settings.validate_every == 0:
            self._draw(update, gradients(model))

    def _draw(self, updates: int, histograms: Iterator[tuple[str, Histogram]]) -> None:
        drawn = dict(histograms)
        for name, histogram in drawn.items():
            self._board.histogram(name, histogram, updates)
        self._record.write("histograms", updates, {name: histogram.summary() for name, histogram in drawn.items()})

    def write(self, kind: str, updates: int, figures: Mapping[str, float]) -> None:
        """One line in metrics.jsonl, and its numbers in TensorBoard."""
        self._record.write(kind, updates, figures)
        self._board.scalars(figures, updates)

    def event(self, event: str, **details: Any) -> None:
        """A line in metrics.jsonl that says what happened after the latest update, and when."""
        self._record.event(self._updates, event, **details)


class Unwatched:
    """The monitor of a process that leaves watching to another."""

    def update(self, progress: TrainingProgress, sums: Sums, learning_rate: float) -> None:
        """Nothing."""

    def paused(self) -> AbstractContextManager[None]:
        """Nothing."""
        return nullcontext()

    def validation(
        self,
        updates: int,
        figures: Mapping[str, float],
        samples: Sequence[Sample],
        pictures: "Mapping[str, Figure]",
        signatures: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing."""

    def event(self, event: str, **details: Any) -> None:
        """Nothing."""


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}"),
        console=console,
        disable=not console.is_interactive,
        transient=True,
    )
