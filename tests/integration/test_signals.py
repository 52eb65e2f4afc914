"""What the operating system asks of a training."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

pytestmark = pytest.mark.integration


class Training:
    """A training that is started and watched."""

    def __init__(self, folder: Path, name: str = "run", *keys: str) -> None:
        self.run = folder / name
        self.command = [
            *(
                sys.executable,
                "-m",
                "nmt",
                "train",
                "model=bahdanau_tiny",
                f"run_dir={self.run}",
                f"paths.cache={folder / 'cache'}",
            ),
            *("data.train_pairs=600", "data.test_pairs=4", "tokenizer.vocab_size=500", "model.dropout=0.2", "train.threads=1"),
            *("train.tokens_per_batch=300", "train.checkpoint_every=1000", "train.log_every=1", "decode.beam=2"),
            *keys,
        ]
        self.command = list({argument.partition("=")[0]: argument for argument in self.command}.values())  # the last of a key

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait(self, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not until():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def logged(self) -> int:
        try:
            lines = (self.run / "metrics.jsonl").read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return 0
        return max((json.loads(line)["update"] for line in lines[:-1]), default=0)

    def end(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=120)
        return self.process.returncode, said.strip()

    def state(self) -> dict[str, object]:
        text = (self.run / "checkpoints" / "last" / "state.json").read_text(encoding="utf-8")
        return {key: value for key, value in json.loads(text).items() if "seconds" not in key}

    def checkpoints(self) -> dict[str, bytes]:
        """The parameters in every checkpoint that was kept."""
        files = sorted((self.run / "checkpoints").glob("step-*/model.safetensors"))
        return {file.parent.name: file.read_bytes() for file in files}

    def validations(self) -> list[tuple[int, float]]:
        """The update and the score of every validation in the record."""
        lines = map(json.loads, (self.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
        return [(line["update"], line["valid/chrf"]) for line in lines if line["kind"] == "valid"]


ENDLESS = ("data.dev_pairs=4", "train.max_updates=100000", "train.validate_every=50000", "decode.max_length=20")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_training_with_a_checkpoint_and_a_line_that_says_how_to_continue(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    training = Training(tmp_path, "with space", *ENDLESS)
    training.start()
    training.wait(lambda: training.logged() >= 3)
    training.process.send_signal(number)
    found, said = training.end()
    assert found == status, said
    updates = training.state()["updates"]
    assert isinstance(updates, int)
    assert updates >= 3
    last = said.splitlines()[-1]
    assert last.startswith(
        f"nmt train: ended by {number.name} after {updates} updates; to continue: nmt train model=bahdanau_tiny"
    )
    assert f"'run_dir={training.run}'" in last  # as a shell wants it
    training.command[-3] = f"train.max_updates={updates + 2}"
    training.start()
    found, said = training.end()
    assert (found, training.state()["updates"]) == (0, updates + 2), said
    assert f"continuing {training.run} after {updates} updates" in said


def test_sigusr1_writes_a_checkpoint_and_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    training = Training(tmp_path, "run", *ENDLESS)
    training.start()
    training.wait(lambda: training.logged() >= 3)
    training.process.send_signal(signal.SIGUSR1)
    training.wait(lambda: (training.run / "checkpoints" / "last").is_dir())
    saved = training.state()["updates"]
    assert isinstance(saved, int)
    training.wait(lambda: training.logged() >= saved + 2)
    os.kill(training.process.pid, signal.SIGSTOP)  # so that both come before the next update
    os.kill(training.process.pid, signal.SIGTERM)
    os.kill(training.process.pid, signal.SIGINT)
    os.kill(training.process.pid, signal.SIGCONT)
    found, _ = training.end()
    assert found in (130, 143)
    assert training.state()["updates"] == saved


def test_a_validation_that_a_signal_breaks_off_is_made_when_training_continues(tmp_path: Path) -> None:
    keys = ("data.dev_pairs=300", "train.max_updates=9", "train.validate_every=6", "decode.max_length=60", "decode.beam=5")
    alone, broken = Training(tmp_path, "alone", *keys), Training(tmp_path, "broken", *keys)
    alone.start()
    assert alone.end()[0] == 0
    broken.start()
    broken.wait(lambda: broken.logged() >= 6)
    time.sleep(0.3)
    broken.process.send_signal(signal.SIGTERM)
    assert broken.end()[0] == 143
    assert (broken.state()["updates"], broken.state()["validated"]) == (6, 0)
    broken.start()
    assert broken.end()[0] == 0
    assert broken.state() == alone.state()
    last = [load_file(training.run / "checkpoints" / "last" / "model.safetensors") for training in (alone, broken)]
    assert all(last[1][name].equal(value) for name, value in last[0].items())


SCHEDULED = (
    *("data.dev_pairs=8", "train.validate_every=4", "train.checkpoint_every=2", "train.keep=2", "train.keep_best=9"),
    *("train.patience=2", "decode.max_length=20", "decode.beam=1"),
)


def test_training_in_two_parts_ends_as_training_at_once_whatever_patience_and_an_early_end_have_seen(tmp_path: Path) -> None:
    at_once = Training(tmp_path, "at_once", *SCHEDULED, "train.max_updates=18")
    in_two = [Training(tmp_path, "in_two", *SCHEDULED, f"train.max_updates={updates}") for updates in (9, 18)]
    for training in (at_once, *in_two):
        training.start()
        assert training.end()[0] == 0
    assert in_two[1].state() == at_once.state()
    assert in_two[1].checkpoints() == at_once.checkpoints()


def test_an_interruption_decides_neither_which_checkpoints_stay_nor_what_is_written_of_validations(tmp_path: Path) -> None:
    keys = (*SCHEDULED, "data.dev_pairs=300", "train.max_updates=13", "train.patience=null", "decode.max_length=60")
    alone, disturbed = Training(tmp_path, "alone", *keys), Training(tmp_path, "disturbed", *keys)
    alone.start()
    assert alone.end()[0] == 0
    for updates, wait in ((3, 0.0), (4, 0.2), (4, 1.0), (8, 0.2), (11, 0.0)):
        disturbed.start()
        disturbed.wait(lambda: disturbed.logged() >= updates)  # noqa: B023 - waited for at once
        time.sleep(wait)
        disturbed.process.send_signal(signal.SIGKILL if wait == 1.0 else signal.SIGTERM)
        assert disturbed.end()[0] in (143, -signal.SIGKILL)
    disturbed.start()
    assert disturbed.end()[0] == 0
    assert disturbed.checkpoints() == alone.checkpoints()
    assert disturbed.state() == alone.state()
    assert disturbed.validations() == alone.validations()


def test_sigusr1_before_training_begins_does_no_harm(tmp_path: Path) -> None:
    training = Training(tmp_path, "run", "data.dev_pairs=4", "train.max_updates=3", "decode.max_length=20")
    training.start()
    time.sleep(1.5)  # by then it reads its config
    training.process.send_signal(signal.SIGUSR1)
    assert training.end()[0] == 0
    assert training.state()["updates"] == 3


def test_fewer_updates_than_a_run_has_made_are_refused_and_leave_it_alone(tmp_path: Path) -> None:
    keys = ("data.dev_pairs=4", "train.max_updates=5", "decode.max_length=20")
    training, fewer = Training(tmp_path, "run", *keys), Training(tmp_path, "run", *keys, "train.max_updates=2")
    training.start()
    assert training.end()[0] == 0
    before = (training.run / "config.yaml").read_text(encoding="utf-8")
    fewer.start()
    found, said = fewer.end()
    assert found == 2
    assert "has made 5 updates: train.max_updates=2 must be no less" in said
    assert (training.run / "config.yaml").read_text(encoding="utf-8") == before


def test_two_processes_cannot_train_one_run(tmp_path: Path) -> None:
    training, second = Training(tmp_path, "run", *ENDLESS), Training(tmp_path, "run", *ENDLESS, "train.max_updates=99")
    training.start()
    training.wait(lambda: training.logged() >= 1)
    second.start()
    found, said = second.end()
    assert found == 2
    assert f"another process is training {training.run}" in said
    assert "max_updates: 100000" in (training.run / "config.yaml").read_text(encoding="utf-8")
    training.process.kill()
    training.process.communicate()
