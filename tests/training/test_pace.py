"""The time that is left."""

import pytest

from nmt.config import TrainSettings
from nmt.training.pace import Pace, in_words
from nmt.training.progress import Progress


def test_it_is_the_updates_to_come_at_the_latest_speed_and_their_validations() -> None:
    pace = Pace(TrainSettings(max_updates=100, validate_every=30), epoch_tokens=1)
    assert pace.seconds_left(Progress(updates=10)) is None  # nothing is known of the speed yet
    pace.took(10, 5000, 20.0)
    assert pace.seconds_left(Progress(updates=10)) == pytest.approx(90 * 2.0)
    pace.validated(7.0)
    assert pace.seconds_left(Progress(updates=10)) == pytest.approx(90 * 2.0 + 4 * 7.0)  # after 30, 60, 90 and at the end
    assert pace.seconds_left(Progress(updates=95)) == pytest.approx(5 * 2.0 + 7.0)
    assert pace.seconds_left(Progress(updates=90)) == pytest.approx(10 * 2.0 + 2 * 7.0)  # that of update 90 is to come
    assert pace.seconds_left(Progress(updates=100)) == pytest.approx(7.0)


def test_what_was_slow_long_ago_does_not_count() -> None:
    pace = Pace(TrainSettings(max_updates=1000), epoch_tokens=1)
    pace.took(10, 5000, 9999.0)
    for _ in range(10):
        pace.took(10, 5000, 5.0)
    assert pace.seconds_left(Progress(updates=900)) == pytest.approx(100 * 0.5)


def test_epochs_end_where_their_tokens_are_trained_on() -> None:
    pace = Pace(TrainSettings(max_epochs=3), epoch_tokens=1000)
    assert pace.updates_left(Progress()) is None  # how much an update takes is not known yet
    assert pace.updates_left(Progress(updates=10, tokens=500)) == 50
    assert pace.updates_left(Progress(updates=61, tokens=3001)) == 0


def test_the_nearer_end_counts_and_patience_alone_leaves_it_open() -> None:
    progress = Progress(updates=10, tokens=500)
    assert Pace(TrainSettings(max_updates=20, max_epochs=3), epoch_tokens=1000).updates_left(progress) == 10
    assert Pace(TrainSettings(max_updates=900, max_epochs=3), epoch_tokens=1000).updates_left(progress) == 50
    pace = Pace(TrainSettings(patience=5), epoch_tokens=1000)
    pace.took(10, 500, 1.0)
    assert pace.updates_left(progress) is None
    assert pace.seconds_left(progress) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((None, "end open"), (0.2, "0 s left"), (59.4, "59 s left"), (60, "1 min left"), (3540, "59 min left")),
        *((3600, "1 h 0 min left"), (12_000, "3 h 20 min left"), (3 * 86_400 + 7200, "3 d 2 h left")),
    ],
)
def test_a_time_is_told_in_the_units_that_matter(seconds: float | None, words: str) -> None:
    assert in_words(seconds) == words
