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
    assert (progress.best_score, progress.bad_validations, progress.history) == (11.0, 1, [1.0, 1.0])


def test_training_that_goes_on_forgets_the_validation_that_only_its_end_brought() -> None:
    at_once, in_two_parts = Progress(), Progress()
    for progress in (at_once, in_two_parts):
        for update, bleu in ((3, 10.0), (6, 9.0)):
            progress.updates = update
            progress.judge(bleu, 1.0, scheduled=True)
    in_two_parts.updates = 7
    assert in_two_parts.judge(12.0, 1.0, scheduled=False)
    assert in_two_parts.best_update == 7
    state = in_two_parts.as_state()
    assert state["best_updates"] == [7, 3]
    in_two_parts = Progress.from_state(state)
    assert in_two_parts.best_score == 12.0
    in_two_parts.advance(Position(0, 8), 5)
    at_once.updates = 7
    at_once.advance(Position(0, 8), 5)
    for progress in (at_once, in_two_parts):
        progress.updates = 9
        assert progress.judge(11.0, 1.0, scheduled=True)  # 12.0 would not have been, had training gone on
    assert (in_two_parts.best, in_two_parts.bad_validations) == (at_once.best, at_once.bad_validations)


def test_fine_tuning_validates_what_it_begins_with() -> None:
    settings = TrainSettings(max_updates=9, validate_every=3)
    assert not Progress().validation_due(settings)
    progress = Progress(validated=-1)
    assert progress.validation_due(settings)
    progress.judge(30.0, 1.0, scheduled=True)
    assert not progress.validation_due(settings)
    progress.advance(Position(0, 1), 5)
    progress.judge(2.0, 1.0, scheduled=True)
    assert (progress.best_update, progress.bad_validations) == (0, 1)


def test_a_state_of_another_shape_is_named() -> None:
    for state in ({}, {"best": 3, "position": {}}, Progress().as_state() | {"more": 1}):
        with pytest.raises(UserError, match=r"state\.json of a checkpoint is damaged, or is not what nmt writes"):
            Progress.from_state(state)


def test_progress_survives_its_state() -> None:
    progress = Progress(updates=7, position=Position(2, 3), tokens=99, seconds=1.5, best=[Best(5, 12.25, 1.5)], history=[1.5])
    progress.unscheduled = Best(7, 11.5, 1.25)
    assert Progress.from_state(progress.as_state()) == progress


def test_the_state_of_an_older_nmt_is_read_which_called_the_score_bleu() -> None:
    progress = Progress()
    progress.judge(10.0, 1.0, scheduled=True)
    old = progress.as_state() | {"best": [{"update": 0, "bleu": 10.0, "loss": 1.0}]}
    assert Progress.from_state(old) == progress
    assert progress.as_state()["best"] == [{"update": 0, "score": 10.0, "loss": 1.0}]
    with pytest.raises(UserError, match=r"state\.json"):
        Progress.from_state(old | {"best": [{"update": 0, "ter": 10.0, "loss": 1.0}]})
