"""What a run tells while it trains: TensorBoard, metrics.jsonl, train.log and a progress bar."""

import json
import logging
import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from nmt.console import console
from nmt.training.loop import Sums
from nmt.training.progress import Progress as TrainingProgress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger("nmt")


class RunMonitor:
    """Writes what training measures into a run, and shows a bar on a terminal.

    Args:
        directory: of the run.
        updates: made so far; what was written after them is forgotten.
        total: updates to come to, for the bar; None if open.
        log_every: updates between two lines of training figures.
    """

    def __init__(self, directory: Path, *, updates: int, total: int | None, log_every: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._log_every = log_every
        _forget_after(directory / "metrics.jsonl", updates)
        self._metrics = (directory / "metrics.jsonl").open("a", encoding="utf-8")
        self._board = SummaryWriter(str(directory / "tensorboard"), purge_step=updates + 1)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("training", total=total, completed=updates, figures="")
        self._sums: list[Sums] = []
        self._since = time.perf_counter()

    def __enter__(self) -> "RunMonitor":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        self._board.close()
        self._metrics.close()

    def update(self, progress: TrainingProgress, sums: Sums, learning_rate: float) -> None:
        """After every update; asks the device for figures only every `log_every`."""
        self._sums.append(sums)
        self._bar.update(self._task, completed=progress.updates)
        if progress.updates % self._log_every:
            return
        tokens = sum(s.tokens for s in self._sums)
        loss, nll, norm = (_total([getattr(s, name) for s in self._sums]) for name in ("loss", "nll", "gradient_norm"))
        figures = {
            "train/loss": loss / tokens,
            "train/perplexity": math.exp(min(nll / tokens, 100.0)),
            "train/learning_rate": learning_rate,
            "train/gradient_norm": norm / len(self._sums),
            "train/padding": sum(s.padding for s in self._sums) / len(self._sums),
            "speed/target_tokens_per_second": tokens / ((now := time.perf_counter()) - self._since),
        }
        self._sums, self._since = [], now
        self.write("train", progress.updates, figures)
        speed = figures["speed/target_tokens_per_second"]
        self._bar.update(self._task, figures=f"loss {figures['train/loss']:.3f}  {speed:,.0f} tokens/s")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While it is open, time does not count as training."""
        begun = time.perf_counter()
        yield
        self._since += time.perf_counter() - begun

    def validation(self, updates: int, figures: dict[str, float], samples: str, pictures: "dict[str, Figure]") -> None:
        """A validation: figures, sample translations and attention pictures by name."""
        self.write("valid", updates, figures)
        self._board.add_text("valid/samples", samples, updates)
        for name, figure in pictures.items():
            self._board.add_figure(name, figure, updates)
        self._board.flush()

    def write(self, kind: str, updates: int, figures: dict[str, Any]) -> None:
        """One line in metrics.jsonl, and its numbers in TensorBoard."""
        self._metrics.write(json.dumps({"kind": kind, "update": updates, **figures}) + "\n")
        self._metrics.flush()
        for name, value in figures.items():
            if isinstance(value, int | float):
                self._board.add_scalar(name, value, updates)


class Unwatched:
    """The monitor of a process that leaves watching to another."""

    def update(self, progress: TrainingProgress, sums: Sums, learning_rate: float) -> None:
        """Nothing."""

    def paused(self) -> AbstractContextManager[None]:
        """Nothing."""
        return nullcontext()

    def validation(self, updates: int, figures: dict[str, float], samples: str, pictures: "dict[str, Figure]") -> None:
        """Nothing."""


def _total(values: list[Tensor]) -> float:
    return float(torch.stack(values).sum())


def _forget_after(path: Path, updates: int) -> None:
    """Drop lines of updates that an interruption took back, and a last line that it cut."""
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().split(b"\n"):
        try:
            if line and json.loads(line)["update"] <= updates:
                kept.append(line + b"\n")
        except (ValueError, KeyError, TypeError):  # cut, or none of ours
            continue
    scratch = path.with_name(f".{path.name}")
    scratch.write_bytes(b"".join(kept))
    scratch.replace(path)
