"""`train.profile=true`: where the time of a few updates goes, as a trace and as a table."""

import logging
import warnings
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from nmt.errors import UserError
from nmt.files import inside, scratch_folder, written_whole

log = logging.getLogger("nmt")

WAIT, WARM_UP, ACTIVE = 5, 3, 3
"""Updates that are left alone, that the profiler warms up in, and that it records."""

ROWS = 30
"""Of the table."""


class Profiler:
    """Records a few updates once, and writes what it recorded when there is time.

    Args:
        directory: of the run: the trace goes to its tensorboard/, the table to profile.txt.
        updates: made so far.
        ahead: updates until training stops for something else (a validation, the end), which the trace leaves out.
        device: of the training.
    """

    def __init__(self, directory: Path, *, updates: int, ahead: int, device: torch.device) -> None:
        self._directory = directory
        active = min(ACTIVE, max(ahead // 2, 1))
        warm_up = min(WARM_UP, ahead - active)
        wait = min(WAIT, ahead - active - warm_up)
        self._first, self._last = updates + wait + warm_up + 1, updates + wait + warm_up + active
        on_gpu = device.type == "cuda"
        self._sort_by = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Profiler won't be using warmup")  # where there is but one update
            self._profile = profile(
                activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])],
                schedule=schedule(wait=wait, warmup=warm_up, active=active, repeat=1),
                on_trace_ready=self._keep,
                record_shapes=True,
                acc_events=True,
            )
        self._recorded: profile | None = None
        self._running = True
        self._profile.start()

    def update(self, updates: int) -> None:
        """So many updates are made."""
        if self._running:
            self._profile.step()
            if updates == self._last:
                self.stop(updates)

    def stop(self, updates: int) -> None:
        """Record no more, now that so many updates are made."""
        if self._running:
            self._running = False
            self._last = updates
            self._profile.stop()

    def write(self) -> None:
        """Write what is recorded: once, and in a moment that does not count as training, for it takes seconds."""
        if self._recorded is None:
            return
        recorded, self._recorded = self._recorded, None
        trace = inside(self._directory, "tensorboard", f"updates_{self._first}_to_{self._last}.pt.trace.json")
        with scratch_folder(trace) as scratch:
            recorded.export_chrome_trace(str(scratch / trace.name))
            if not (scratch / trace.name).exists():  # it says nothing when it cannot write
                raise UserError(f"the profile cannot be written to {trace}: is the disk full?")
            (scratch / trace.name).replace(trace)
        table = recorded.key_averages().table(sort_by=self._sort_by, row_limit=ROWS, max_name_column_width=60)
        path = inside(self._directory, "profile.txt")
        with written_whole(path) as file:
            file.write(f"updates {self._first} to {self._last}\n\n{table}")
        log.info(f"updates {self._first:,} to {self._last:,} profiled: {path}, and for TensorBoard or ui.perfetto.dev {trace}")

    def _keep(self, recorded: profile) -> None:
        self._recorded = recorded
