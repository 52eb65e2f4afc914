"""A TensorBoard event file, written at once.

torch's `SummaryWriter` queues events for a thread that writes them every two minutes: a killed process loses them, and on
a full disk the thread dies with a traceback of its own. Here an event has left the process when the call returns, and an error
arises in the call that met it.
"""

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import histogram_raw

from nmt.errors import naming
from nmt.files import open_inside
from nmt.training.histograms import Histogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Board:
    """One event file of a run; TensorBoard reads all files of the folder in the order of their names.

    Args:
        directory: the TensorBoard folder in a run; made if need be.
        updates: made so far: what earlier files hold of later ones, TensorBoard forgets. None: forget nothing.
        suffix: of the file's name.
    """

    def __init__(self, directory: Path, *, updates: int | None = None, suffix: str = "") -> None:
        name = f"events.out.tfevents.{time.time():.6f}{suffix}"
        self.path = directory / name
        self._file = open_inside(directory.parent, directory.name, name, mode="xb")
        self._records = RecordWriter(self._file)
        self._write(Event(file_version="brain.Event:2"))
        if updates is not None:
            self._write(Event(session_log=SessionLog(status=SessionLog.START), step=updates + 1))

    def close(self) -> None:
        """Give the file back; nothing is pending but what could not be written."""
        with naming(self.path):
            self._file.close()

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Figures by name."""
        self.add(Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()]), step)

    def text(self, name: str, markdown: str, step: int) -> None:
        """A text in Markdown."""
        self.add(text_pb(name, markdown), step)

    def picture(self, name: str, figure: "Figure", step: int) -> None:
        """A picture, as PNG."""
        png = io.BytesIO()
        figure.savefig(png, format="png")
        width, height = figure.canvas.get_width_height()
        image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png.getvalue())
        self.add(Summary(value=[Summary.Value(tag=name, image=image)]), step)

    def histogram(self, name: str, histogram: Histogram, step: int) -> None:
        """How some values are distributed."""
        h = histogram
        self.add(histogram_raw(name, h.low, h.high, h.values, h.total, h.squares, h.limits, h.counts), step)

    def add(self, summary: Summary, step: int | None = None) -> None:
        """Any summary."""
        self._write(Event(summary=summary, step=step))

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        with naming(self.path):
            self._records.write(event.SerializeToString())
            self._file.flush()
