"""A run that is killed again and again ends in the very bits of one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.integration

UPDATES = 30


def command(run: Path, cache: Path, model: str) -> list[str]:
    return [
        *(sys.executable, "-m", "nmt", "train", f"model={model}_tiny", f"run_dir={run}", f"paths.cache={cache}"),
        *("data.train_pairs=600", "data.dev_pairs=8", "data.test_pairs=4", "tokenizer.vocab_size=500"),
        *("tokenizer.sampling=0.1", "model.dropout=0.2", "train.tokens_per_batch=300", "train.accumulate=2"),
        *(f"train.max_updates={UPDATES}", "train.validate_every=12", "train.checkpoint_every=5", "train.log_every=1"),
        *("decode.beam=2", "decode.max_length=20", "train.threads=1"),
    ]


def updates_logged(run: Path) -> int:
    try:
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").split("\n")
        return max((json.loads(line)["update"] for line in lines[:-1]), default=0)
    except FileNotFoundError:
        return 0


def kill_after(arguments: list[str], run: Path, updates: int, delay: float) -> None:
    """Start training and SIGKILL it a moment after it has logged an update."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 300
    while updates_logged(run) < updates and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def same(a: object, b: object) -> bool:
    """Whether two nested values hold the same bits."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.mark.parametrize("model", ["bahdanau", "luong", "transformer"])
def test_a_run_killed_at_random_moments_ends_in_the_bits_of_an_uninterrupted_one(tmp_path: Path, model: str) -> None:
    whole, killed, cache = tmp_path / "whole", tmp_path / "killed", tmp_path / "cache"
    subprocess.run(command(whole, cache, model), check=True, capture_output=True)
    moment = random.Random()  # any moment must do
    first = moment.randint(6, 14)
    kill_after(command(killed, cache, model), killed, first, moment.uniform(0, 0.2))
    kill_after(command(killed, cache, model), killed, moment.randint(first + 6, UPDATES - 4), moment.uniform(0, 0.2))
    assert 0 < updates_logged(killed) < UPDATES
    subprocess.run(command(killed, cache, model), check=True, capture_output=True)

    last = [run / "checkpoints" / f"step-{UPDATES:07d}" for run in (whole, killed)]
    parameters = [load_file(path / "model.safetensors") for path in last]
    assert same(*parameters)
    assert len(parameters[0]) > 5
    assert same(*(torch.load(path / "training.pt", weights_only=True) for path in last))
    states = [json.loads((path / "state.json").read_text()) for path in last]
    for state in states:
        del state["seconds"], state["update_seconds"]  # time is not what resumes
    assert states[0] == states[1]
    validations = [
        [line for line in (run / "metrics.jsonl").read_text().split("\n") if '"valid"' in line] for run in (whole, killed)
    ]
    assert len(validations[0]) == 3
    assert validations[0] == validations[1]
