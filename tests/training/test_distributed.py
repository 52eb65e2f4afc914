"""Many processes make the updates of one."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

PROGRAM = Path(__file__).with_name("dealt_updates.py")
UPDATES = 50
TRAIN = [
    *("model=transformer_tiny", "data.train_pairs=300", "data.dev_pairs=7", "data.test_pairs=3", "tokenizer.vocab_size=500"),
    *("train.tokens_per_batch=200", "train.accumulate=2", "train.threads=1", "train.checkpoint_every=5", "train.log_every=1"),
    *("decode.beam=2", "decode.max_length=20", "train.validate_every=10"),
]


def torchrun(processes: int, *command: str) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes), *command]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def parameters(model: str, parallel: str, processes: int, folder: Path) -> dict[str, torch.Tensor]:
    output = folder / f"{model}-{parallel}-{processes}.safetensors"
    if not output.exists():
        command = [str(PROGRAM), model, parallel, str(UPDATES), str(folder / "cache"), str(output)]
        done = subprocess.run(torchrun(processes, *command), env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    return load_file(output)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dealt")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("model", "parallel", "processes"),
    [
        *(("transformer_tiny", "ddp", 2), ("transformer_tiny", "ddp", 4), ("transformer_tiny", "fsdp", 2)),
        ("luong_tiny", "fsdp", 2),
        *(pytest.param("luong_tiny", "ddp", processes, marks=pytest.mark.slow) for processes in (2, 4)),
    ],
)
def test_any_number_of_processes_ends_in_the_parameters_of_one(model: str, parallel: str, processes: int, folder: Path) -> None:
    one, many = parameters(model, "ddp", 1, folder), parameters(model, parallel, processes, folder)
    assert one.keys() == many.keys()
    assert all(value.dtype == torch.float64 for value in one.values())
    for name, value in one.items():
        torch.testing.assert_close(many[name], value, rtol=0, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


def train(processes: int, run: Path, updates: int, *more: str) -> "subprocess.CompletedProcess[str]":
    keys = [*TRAIN, f"run_dir={run}", f"paths.cache={run.parent / 'cache'}", f"train.max_updates={updates}", *more]
    done = subprocess.run(
        torchrun(processes, "-m", "nmt", "train", *keys), env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.mark.integration
@pytest.mark.parametrize("parallel", [pytest.param("ddp", marks=pytest.mark.slow), "fsdp"])
def test_a_run_of_two_processes_continues_with_one_and_then_with_four(tmp_path: Path, parallel: str) -> None:
    # Not Adam, which would make updates of the rounding errors that key biases have for a gradient
    rate = ["schedule=constant", "optimizer=sgd", "optimizer.lr=0.3", "optimizer.momentum=0.9", "optimizer.fused=false"]
    keys = [f"train.parallel={parallel}", "model.dropout=0", "train.ema_decay=0.9", *rate]
    mixed, alone = tmp_path / "mixed", tmp_path / "alone"
    train(2, mixed, 7, *keys)
    assert "processes (2 → 1)" in train(1, mixed, 13, *keys).stderr
    assert "continuing" in train(4, mixed, 20, *keys).stderr
    train(1, alone, 20, "model.dropout=0", "train.ema_decay=0.9", *rate)
    for name in ("model.safetensors", "ema.safetensors"):
        ends = [load_file(run / "checkpoints" / "last" / name) for run in (mixed, alone)]
        for key, value in ends[1].items():
            torch.testing.assert_close(ends[0][key], value, rtol=0, atol=2e-5)  # in float32


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        port: int = listener.getsockname()[1]
        return port


def start_both(folder: Path) -> "list[subprocess.Popen[str]]":
    """An endless training of two processes, without torchrun, which would end one of them itself."""
    keys = [*TRAIN, f"run_dir={folder / 'run'}", f"paths.cache={folder / 'cache'}", "train.max_updates=100000"]
    shared = environment() | {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port())}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "nmt", "train", *keys],
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


@pytest.mark.integration
def test_when_one_of_two_processes_dies_the_other_ends_with_an_error(tmp_path: Path) -> None:
    both = start_both(tmp_path)
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        assert all(process.poll() is None for process in both)
        time.sleep(0.05)
    both[1].send_signal(signal.SIGKILL)
    _, said = both[0].communicate(timeout=60)  # not after minutes, by a timeout of its own
    both[1].communicate()
    assert both[0].returncode not in (0, -signal.SIGKILL)
    assert "another process of this training has ended" in said.strip().splitlines()[-1]


@pytest.mark.integration
def test_a_signal_to_one_of_two_processes_ends_both_after_the_same_update_with_a_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    both = start_both(tmp_path)
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    both[1].send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [128 + signal.SIGTERM] * 2, said
    assert (run / "checkpoints" / "last" / "manifest.json").exists()
    last = [words.strip().splitlines()[-1].partition("; to continue")[0] for words in said]
    assert last[0] == last[1]
    assert "ended by SIGTERM after" in last[0]


@pytest.mark.integration
@pytest.mark.parametrize("parallel", ["ddp", pytest.param("fsdp", marks=pytest.mark.slow)])
def test_four_processes_that_were_interrupted_end_in_the_bits_of_four_that_were_not(tmp_path: Path, parallel: str) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    keys = [f"train.parallel={parallel}", "model.dropout=0.2", "tokenizer.sampling=0.1"]
    train(4, whole, 12, *keys)
    train(4, broken, 5, *keys)
    train(4, broken, 12, *keys)
    ends = [load_file(run / "checkpoints" / "last" / "model.safetensors") for run in (whole, broken)]
    assert all(torch.equal(ends[1][name], value) for name, value in ends[0].items())
