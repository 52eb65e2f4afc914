"""`nmt train -m`: the runs of a sweep, begun, continued and counted."""

import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nmt.config import config_directory
from nmt.errors import Interrupted, UserError
from nmt.published import Published
from nmt.saved import checked, read_yaml
from nmt.sweep.identity import keep_identity
from nmt.sweep.job import Job
from nmt.sweep.plan import Plan, make_plan
from nmt.sweep.state import SweepState

log = logging.getLogger("nmt.sweep")

Train = Callable[[dict[str, Any]], float]
Report = Callable[[dict[str, Any]], object]


def sweep(command_line: Sequence[str], *, train: Train, report: Report) -> int:
    """Run what a command line with `-m` asks for.

    Args:
        command_line: Hydra's flags and overrides.
        train: trains the run of a config, or continues it; returns its dev score.
        report: tables the runs of a folder.

    Returns:
        The exit status: 1 if a run failed.

    Raises:
        UserError: for what is wrong before any work starts.
        Interrupted: where a signal ended it; nothing more was begun.
    """
    from hydra._internal.utils import get_args_parser

    flags = get_args_parser().parse_args(list(command_line))
    if flags.cfg or flags.info or flags.shell_completion or flags.run:
        raise UserError("-m runs a sweep and goes with none of --cfg, --info, --run and --shell-completion")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("-m under torchrun would run the sweep in each of its processes: type nmt train -m without torchrun")
    with _hydra(flags) as hydra:
        plan = make_plan(hydra, flags.config_name or "train", [*flags.overrides, "hydra.mode=MULTIRUN"])
        state = SweepState(plan.sweep_dir)
        job = Job(train, plan.sweep_dir, plan.constants, plan.total, os.getpid())

        def check() -> None:
            keep_identity(state.directory / "sweep.json", plan)

        with state.alone(check):
            problem = _launch(hydra, flags.config_name or "train", plan, job, state)
    try:
        _say_best(state.directory / "optimization_results.yaml", plan.sweep_dir)
    except UserError as error:
        log.error(f"no best.yaml: {error}")
    if any(plan.sweep_dir.glob("*/result.json")):
        try:
            report({"run": str(plan.sweep_dir), "output": None})
        except UserError as error:
            log.error(f"no table: {error}")
    failures = state.failures()
    for name, reason in failures.items():
        log.error(f"failed: {name}: {reason}")
    if failures:
        log.error(f"the same command tries what failed again; tracebacks are in {state.directory / 'failed'}")
    elif problem:
        log.error(f"the sweep ended early ({problem}); the same command continues it")
    return 1 if failures or problem else 0


def _say_best(written: Path, sweep_dir: Path) -> None:
    """Put what a search found beside its runs, and say it."""
    if written.exists():
        results = checked(read_yaml(written), dict[str, Any], written)
        with Published(sweep_dir, "search").writing() as scratch:
            shutil.copyfile(written, scratch / "best.yaml")
        found = checked(results.get("best_params") or {}, dict[str, Any], written)
        best = " ".join(f"{key}={value}" for key, value in found.items())
        log.info(f"best of the search, in {sweep_dir / 'best.yaml'}: {best}")


@contextmanager
def _hydra(flags: Any) -> Iterator[Any]:
    """Hydra as its own command line sets it up; the plan and the sweep share it."""
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery
    from hydra.core.global_hydra import GlobalHydra
    from hydra.version import setbase

    setbase("1.3")
    path = create_config_search_path(flags.config_path or str(config_directory()))
    if flags.config_dir is not None:
        if not Path(flags.config_dir).is_dir():
            raise UserError(f"--config-dir {flags.config_dir} is not a folder")
        path.prepend("command-line", f"file://{Path(flags.config_dir).resolve()}", SearchPathQuery(provider="schema"))
    GlobalHydra.instance().clear()
    try:
        yield Hydra.create_main_hydra2("nmt", path)
    finally:
        GlobalHydra.instance().clear()


def _launch(hydra: Any, config_name: str, plan: Plan, job: Job, state: SweepState) -> str | None:
    """Let Hydra's sweeper and launcher do the work; returns what went wrong beside single runs, if anything."""
    if "submitit" in plan.launcher:
        log.info(f"the runs go to processes of their own; what each says is in {state.directory / 'submitit'}")
    try:
        with _winding_down(plan.launcher, state):
            hydra.multirun(config_name=config_name, task_function=job, overrides=plan.overrides)
    except Exception as error:
        # A launcher lost a process, or a search has no score to choose from. The runs have said what happened to them.
        if state.asked_to_stop() is None:
            return f"{type(error).__name__}: {error}".split("\n")[0]
    if number := state.asked_to_stop():
        raise Interrupted(number)
    return None


@contextmanager
def _winding_down(launcher: str, state: SweepState) -> Iterator[None]:
    """While runs are in other processes, let SIGINT and SIGTERM end those at work, and no more begin.

    A second signal ends the command at once. With SLURM the first does: jobs at work are the cluster's, and those that
    wait in its queue will find that they need not begin.
    """
    if launcher.endswith(".BasicLauncher"):
        yield
        return

    def end(number: int, _: object) -> None:
        again = state.asked_to_stop() is not None
        state.ask_to_stop(number)
        if launcher.endswith(".SlurmLauncher"):
            log.warning("jobs at work go on: squeue shows them, scancel ends them; those that wait in the queue will not begin")
            raise Interrupted(number)
        if again:
            raise Interrupted(number)
        if number == signal.SIGTERM or not sys.stdin.isatty():  # a terminal has sent SIGINT to all of them
            state.signal_workers(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
