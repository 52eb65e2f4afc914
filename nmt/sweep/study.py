"""A search by Optuna: what it says, and where one that is kept in a database stands when it is continued."""

import logging
import os
import warnings
from collections.abc import Mapping
from typing import Any

from nmt.errors import UserError


def prepare_search(sweeper: Mapping[str, Any]) -> list[str]:
    """Make Optuna speak only of what is wrong; returns the overrides with which a stored search goes on.

    It goes on for as many trials as still lack a score. First it tries what was interrupted, with the same values; then a
    sampler with a seed must not begin anew, since it would repeat itself.

    Raises:
        UserError: if a stored study has no name, or its database cannot be opened.
    """
    os.environ.setdefault("SQLALCHEMY_SILENCE_UBER_WARNING", "1")
    import optuna
    from optuna.trial import TrialState
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    if not sweeper.get("storage"):
        return []
    if not sweeper.get("study_name"):
        raise UserError("hydra.sweeper.storage needs a name to find the search by: set hydra.sweeper.study_name=NAME")
    direction = str(sweeper["direction"]).rpartition(".")[2]
    try:
        study = optuna.create_study(
            study_name=sweeper["study_name"], storage=sweeper["storage"], direction=direction, load_if_exists=True
        )
    except (SQLAlchemyError, ImportError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"hydra.sweeper.storage={sweeper['storage']} cannot be opened: {reason}") from error
    trials = study.get_trials(deepcopy=False)
    for trial in trials:
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
            if trial.params:
                study.enqueue_trial(trial.params)
    scored = sum(trial.state == TrialState.COMPLETE for trial in trials)
    overrides = [f"hydra.sweeper.n_trials={max(0, int(sweeper['n_trials']) - scored)}"]
    if (seed := sweeper["sampler"].get("seed")) is not None:
        overrides.append(f"hydra.sweeper.sampler.seed={seed + len(trials)}")
    return overrides
