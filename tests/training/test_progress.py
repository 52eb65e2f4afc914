"""What training counts, and when it stops."""

import pytest

from nmt.config import TrainSettings
from nmt.data.batches import Position
from nmt.errors import UserError
from nmt.training.progress import Best, Progress


def test_best_is_the_highest_bleu_and_ties_go_to_the_lower_loss() -> None:
    progress = Progress()
    results = [(10.0, 3.0), (9.0, 1.0), (10.0, 3.0), (10.0, 2.9), (10.0, 2.95), (11.0, 4.0)]
    judged = []
    for number, (bleu, loss) in enumerate(results):
        progress.updates = number
        judged.append(progress.judge(bleu, loss, scheduled=True))
    assert judged == [True, False, False, True, False, True]
    assert progress.best == [Best(5, 11.0, 4.0)]


def test_patience_counts_validations_since_the_best() -> None:
    settings = TrainSettings(patience=3)
    progress = Progress()
    progress.judge(10.0, 1.0, scheduled=True)
    for _ in range(2):
        progress.judge(9.0, 1.0, scheduled=True)
        assert progress.reason_to_stop(settings) is None
    progress.judge(9.0, 1.0, scheduled=True)
    assert "train.patience=3" in str(progress.reason_to_stop(settings))
    progress.judge(12.0, 1.0, scheduled=True)
    assert progress.reason_to_stop(settings) is None


def test_a_validation_that_only_the_end_brought_does_not_try_patience() -> None:
    progress = Progress()
    progress.judge(10.0, 1.0, scheduled=True)
    progress.judge(9.0, 1.0, scheduled=False)
    assert progress.bad_validations == 0


def test_training_stops_at_the_asked_for_update_or_epoch() -> None:
    progress = Progress(updates=7, position=Position(2, 0))
    assert progress.reason_to_stop(TrainSettings(max_updates=8, max_epochs=3)) is None
    assert progress.reason_to_stop(TrainSettings(max_updates=7)) == "train.max_updates=7"
    assert progress.reason_to_stop(TrainSettings(max_epochs=2)) == "train.max_epochs=2"


@pytest.mark.parametrize(("position", "epoch"), [(Position(0, 5), 1), (Position(1, 0), 1), (Position(1, 1), 2)])
def test_the_epoch_is_that_of_the_last_update(position: Position, epoch: int) -> None:
    assert Progress(position=position).epoch == epoch


def test_a_best_validation_that_only_the_end_brought_is_remembered_and_leaves_patience_alone() -> None:
    progress = Progress()
    progress.judge(10.0, 1.0, scheduled=True)
    progress.judge(9.0, 1.0, scheduled=True)
    assert progress.judge(11.0, 1.0, scheduled=False)
    assert (progress.best_bleu, progress.bad_validations, progress.history) == (11.0, 1, [1.0, 1.0])


def test_a_state_of_another_shape_is_named() -> None:
    for state in ({}, {"best": 3, "position": {}}, Progress().as_state() | {"more": 1}):
        with pytest.raises(UserError, match=r"state\.json of a checkpoint is damaged, or is not what nmt writes"):
            Progress.from_state(state)


def test_progress_survives_its_state() -> None:
    progress = Progress(updates=7, position=Position(2, 3), tokens=99, seconds=1.5, best=[Best(5, 12.25, 1.5)], history=[1.5])
    assert Progress.from_state(progress.as_state()) == progress
