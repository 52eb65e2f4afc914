"""What the processes of a sweep tell each other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from nmt.errors import Interrupted
from nmt.sweep.job import Job, Stopped
from nmt.sweep.state import SweepState

WORKER = """
import pathlib, sys, time
from nmt.sweep.state import SweepState
with SweepState(pathlib.Path(sys.argv[1])).working_on("seed=1"):
    print("at work", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def state(tmp_path: Path) -> SweepState:
    state = SweepState(tmp_path / "sweep")
    with state.alone():
        return state


def worker(state: SweepState) -> "subprocess.Popen[str]":
    """Another process that works on a run."""
    package = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": package}
    arguments = [sys.executable, "-c", WORKER, str(state.directory.parent)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    return process


def test_a_new_attempt_forgets_failures_and_the_wish_to_stop(state: SweepState) -> None:
    assert state.asked_to_stop() is None
    assert state.fail("seed=1", ValueError("a\nb")) == "ValueError: a b"
    state.ask_to_stop(signal.SIGTERM)
    assert state.asked_to_stop() == signal.SIGTERM
    assert state.failures() == {"seed=1": "ValueError: a b"}
    with state.alone():
        assert state.asked_to_stop() is None
        assert state.failures() == {}


def test_a_run_that_another_process_works_on_is_waited_for(state: SweepState) -> None:
    process = worker(state)
    signal.signal(signal.SIGALRM, lambda *_: process.kill())
    signal.alarm(1)
    with state.working_on("seed=1"):
        assert process.wait() == -signal.SIGKILL
    with state.working_on("seed=2"), state.working_on("seed=3"):
        pass


def test_processes_at_work_are_signalled_and_nobody_else(state: SweepState) -> None:
    process = worker(state)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    (state.directory / "locks" / "seed=2").write_text(f"{os.uname().nodename} {bystander.pid}")  # of a process long gone
    with state.working_on("seed=3"):  # this very process
        state.signal_workers(signal.SIGTERM)
    assert process.wait(timeout=60) == -signal.SIGTERM
    time.sleep(0.1)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_job_elsewhere_does_not_begin_once_the_sweep_was_asked_to_stop(
    state: SweepState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(config: dict[str, object]) -> float:
        raise AssertionError("it began")

    hydra = OmegaConf.create({"overrides": {"task": ["seed=1"]}, "job": {"num": 0}})
    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: hydra))
    job = Job(never, state.directory.parent, frozenset(), total=3, process=os.getppid())
    state.ask_to_stop(signal.SIGTERM)
    stopped = job(OmegaConf.create({}))
    assert isinstance(stopped, Stopped)
    with pytest.raises(Interrupted):  # what a sweeper that optimises asks it for
        float(stopped)
    orphan = Job(never, state.directory.parent, frozenset(), total=3, process=1 if os.getppid() != 1 else 2)
    with state.alone():
        assert isinstance(orphan(OmegaConf.create({})), Stopped)
