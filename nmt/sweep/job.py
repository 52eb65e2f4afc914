"""One run of a sweep, in whatever process the launcher has chosen for it."""

import functools
import io
import json
import logging
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.console import say_on_console
from nmt.errors import Interrupted, UserError
from nmt.languages import leading_metric
from nmt.sweep.slugs import slug, swept_settings
from nmt.sweep.state import SweepState
from nmt.typed import plain

log = logging.getLogger("nmt.sweep")


class Stopped:
    """What a run returns in a process of its own that was asked to end: a sweeper that wants a number of it ends, too."""

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number

    def __float__(self) -> float:
        raise Interrupted(self.signal_number)


@dataclass
class Job:
    """What Hydra calls with the config of each run; it travels to other processes.

    Attributes:
        train: trains, or continues, the run of a config and returns its dev score.
        sweep_dir: where the runs are.
        constants: keys that do not vary.
        total: number of runs, or None where a search decides.
        process: that of the command.
    """

    train: Callable[[dict[str, Any]], float]
    sweep_dir: Path
    constants: frozenset[str]
    total: int | None
    process: int

    def __call__(self, config: Any) -> float | Stopped | None:
        """The dev score of the run, None if it failed, or `Stopped`."""
        from hydra.core.hydra_config import HydraConfig

        state, job = SweepState(self.sweep_dir), HydraConfig.get()
        name = slug(swept_settings(list(job.overrides.task), self.constants))
        here = os.getpid() == self.process
        if not here:
            # What runs beside others says when it begins and ends; the rest is in its train.log
            os.environ["TTY_COMPATIBLE"] = "0"
            say_on_console(only=log.name)
            if number := self._asked_to_stop(state):
                return Stopped(number)
        what = f"run {job.job.num + 1}{f' of {self.total}' if self.total else ''}: {name}"
        output: AbstractContextManager[Any] = nullcontext() if here else redirect_stdout(io.StringIO())
        try:
            with state.working_on(name), output:
                return self._run(plain(config, "train"), name, what)
        except KeyboardInterrupt as end:
            if here:
                raise
            number = getattr(end, "signal_number", signal.SIGINT)
            if "SUBMITIT_EXECUTOR" in os.environ and not state.asked_to_stop():  # the cluster wants its machine back
                from submitit import JobEnvironment

                signal.raise_signal(JobEnvironment._usr_sig())  # queue this job again; it will continue the run
            state.ask_to_stop(number)
            return Stopped(number)
        except Exception as error:  # whatever it is, the other runs shall have their turn
            log.error(f"{what} failed: {state.fail(name, error)}")
            return None

    def _asked_to_stop(self, state: SweepState) -> int | None:
        """The signal that ended the sweep; a command that was killed cannot say so, but its workers lose their parent."""
        if "SUBMITIT_EXECUTOR" not in os.environ and os.getppid() != self.process:
            return signal.SIGTERM
        return state.asked_to_stop()

    def _run(self, config: Any, name: str, what: str) -> float:
        directory = self.sweep_dir / name
        config |= {"run_dir": str(directory), "sweep_dir": None}
        done = finished_score(directory, config)
        if done is not None:
            log.info(f"{what} is finished: dev {_metric(config)} {done:.2f}")
            return done
        log.info(f"{what} begins in {directory}")
        score = self.train(config)
        log.info(f"{what} ends: dev {_metric(config)} {score:.2f}")
        return score


def _metric(config: dict[str, Any]) -> str:
    """What the dev scores of a config are."""
    return {"bleu": "BLEU", "chrf": "chrF"}[leading_metric(config["tokenize"], config["data"]["tgt"])]


def finished_score(directory: Path, config: dict[str, Any]) -> float | None:
    """The dev score that is stored in a run if it needs no more training for this config, else None.

    Raises:
        UserError: if the run belongs to a config that differs in what decides the result.
    """
    from nmt.config import TrainSettings
    from nmt.result import dev_score, read_result
    from nmt.training.checkpoints import Checkpoints
    from nmt.training.progress import Progress

    if not check_config(directory, config):
        return None
    result = read_result(directory)
    if result is None:
        return None
    try:
        progress = Progress.from_state(Checkpoints(directory / "checkpoints").find("last").state())
    except UserError:  # no checkpoint: training knows what to do about it
        return None
    if found := other_text(directory, config):
        raise UserError(f"{directory} was trained on other text: {', '.join(found)}; choose another sweep_dir")
    if progress.updates != result["updates"] or not progress.reason_to_stop(TrainSettings(**config["train"])):
        return None
    return float(dev_score(result)[1])


def other_text(directory: Path, config: dict[str, Any]) -> list[str]:
    """The splits of a config whose text is not the one that a run was made of."""
    from nmt.run import changed_texts, read_corpus

    saved = read_corpus(directory)
    links = {"links": saved["fingerprints"].get("links")}  # those that two runs have found: training compares them
    return changed_texts(saved, links | _fingerprints(json.dumps(config["data"]), config["guide"]["links"]))


@functools.cache
def _fingerprints(data: str, links: str | None) -> dict[str, str]:
    """Of the splits of a corpus, whose config is given as JSON, and of its links: read once for all runs that have it."""
    from nmt.components import build_corpus
    from nmt.data.guide import links_fingerprint

    corpus = build_corpus(json.loads(data))
    found = {split: corpus.fingerprint(split) for split in corpus.splits()}
    return found if links is None else found | {"links": links_fingerprint(corpus, links)}


def check_config(directory: Path, config: dict[str, Any]) -> bool:
    """Whether a run is there.

    Raises:
        UserError: if it belongs to a config that differs in what decides the result.
    """
    from nmt.run import differences, read_config

    if directory.is_symlink():
        raise UserError(f"{directory} is a link, but the runs of a sweep lie in it: remove it, or choose another sweep_dir")
    if not (directory / "config.yaml").exists():
        return False
    if config["resume"] == "never":
        raise UserError(f"{directory} holds a run already: choose another sweep_dir, or resume=auto to continue it")
    if found := differences(read_config(directory), config):
        raise UserError(
            f"{directory} belongs to another configuration: {', '.join(found)}; "
            "set these back to continue the sweep, or choose another sweep_dir"
        )
    return True
