"""A search whose trials are kept in a database: where it stands when it is continued."""

from collections.abc import Mapping
from typing import Any

from nmt.errors import UserError


def trials_to_go(sweeper: Mapping[str, Any]) -> int:
    """How many trials a stored study still lacks; what a kill left unfinished will be tried first, with the same values.

    Raises:
        UserError: if the study has no name, or its database cannot be opened.
    """
    import optuna
    from optuna.trial import TrialState
    from sqlalchemy.exc import SQLAlchemyError

    if not sweeper.get("study_name"):
        raise UserError("hydra.sweeper.storage needs a name to find the study by: set hydra.sweeper.study_name=NAME")
    direction = str(sweeper["direction"]).rpartition(".")[2]
    try:
        study = optuna.create_study(
            study_name=sweeper["study_name"], storage=sweeper["storage"], direction=direction, load_if_exists=True
        )
    except (SQLAlchemyError, ImportError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"hydra.sweeper.storage={sweeper['storage']} cannot be opened: {reason}") from error
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)
    return max(0, int(sweeper["n_trials"]) - len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))))
