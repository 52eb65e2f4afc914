"""How long training still takes."""

from collections import deque

from nmt.config import TrainSettings
from nmt.training.progress import Progress

RECENT = 10
"""Stretches of `train.log_every` updates that the speed is taken from."""


class Pace:
    """What updates and validations have lately taken, and so what is left.

    Args:
        settings: `train.…`.
        epoch_tokens: target tokens of an epoch.
    """

    def __init__(self, settings: TrainSettings, *, epoch_tokens: int) -> None:
        self._settings = settings
        self._epoch_tokens = epoch_tokens
        self._recent: deque[tuple[int, int, float]] = deque(maxlen=RECENT)
        self._validation_seconds = 0.0

    def took(self, updates: int, tokens: int, seconds: float) -> None:
        """So many updates, of so many target tokens, took so long."""
        self._recent.append((updates, tokens, seconds))

    def validated(self, seconds: float) -> None:
        """A validation took so long."""
        self._validation_seconds = seconds

    def updates_left(self, progress: Progress) -> int | None:
        """Updates until `train.max_updates` or `train.max_epochs`; None if neither is set."""
        settings, ends = self._settings, []
        if settings.max_updates is not None:
            ends.append(settings.max_updates - progress.updates)
        if settings.max_epochs is not None and progress.updates:
            tokens_left = settings.max_epochs * self._epoch_tokens - progress.tokens
            ends.append(round(tokens_left * progress.updates / progress.tokens))
        return max(min(ends), 0) if ends else None

    def seconds_left(self, progress: Progress) -> float | None:
        """After an update, before its validation if it has one, at the latest speed; None as long as that is open."""
        left, updates = self.updates_left(progress), sum(updates for updates, _, _ in self._recent)
        if left is None or not updates:
            return None
        every = self._settings.validate_every
        validations = -(-(progress.updates + left) // every) - (progress.updates - 1) // every  # with one at the end
        seconds = sum(seconds for _, _, seconds in self._recent)
        return left * seconds / updates + validations * self._validation_seconds


def in_words(seconds: float | None) -> str:
    """A time that is left, in the two units that matter."""
    if seconds is None:
        return "end open"
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f} s left"
    if minutes < 60:
        return f"{minutes} min left"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min left"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h left"
