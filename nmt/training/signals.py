"""What the operating system asks of a training: to end (SIGTERM, SIGINT), or to write a checkpoint (SIGUSR1)."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from nmt.errors import Interrupted
from nmt.training import distributed

ENDING = (signal.SIGTERM, signal.SIGINT)
REPEATED = 1.0
"""Seconds in which the same signal counts once: SLURM and torchrun send it to a group, and to each of its members."""


class Signals:
    """While it is open, signals are noted for the loop to ask for; a second one that asks for the end gets it at once.

    Wherever training has nothing to save, `at_once` is open, and the first one ends it there.

    Attributes:
        ending: the signal that asked for the end, or 0.
        checkpoint: whether a checkpoint was asked for.
    """

    def __init__(self) -> None:
        self.ending = 0
        self._since = 0.0
        self.checkpoint = False
        self._at_once = True
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        for number in (*ENDING, signal.SIGUSR1):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """While it is open, signals wait to be asked for."""
        self._at_once = False
        try:
            yield
            (ending,) = distributed.highest([self.ending])  # one that came too late for the loop
            if ending:
                raise Interrupted(ending, "after the last update")
        finally:
            self._at_once = True

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """While it is open, a signal ends what runs, unless other processes would wait for this one."""
        self._at_once = distributed.size() == 1
        try:
            if self._at_once and self.ending:
                raise Interrupted(self.ending)
            yield
        finally:
            self._at_once = False

    def agreed(self) -> tuple[int, bool]:
        """The signal that ends training, or 0, and whether a checkpoint is wanted: the same in all processes."""
        ending, checkpoint = distributed.highest([self.ending, self.checkpoint])
        self.checkpoint = False
        return ending, bool(checkpoint)

    def _note(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self.checkpoint = True
        elif self.ending:
            if number != self.ending or time.monotonic() - self._since > REPEATED:
                os._exit(128 + number)
        else:
            self.ending, self._since = number, time.monotonic()
            if self._at_once:
                raise Interrupted(number)
            name = signal.Signals(number).name
            os.write(2, f"\n{name}: ending after this update with a checkpoint; a second signal ends at once\n".encode())
