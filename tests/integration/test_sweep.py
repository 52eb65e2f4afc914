"""A sweep that is killed and continued ends in the table of one that was left alone; one that fails in part tables the rest."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SMALL = [
    *(
        "data.train_pairs=400",
        "data.dev_pairs=6",
        "data.test_pairs=8",
        "tokenizer.vocab_size=450",
        "train.tokens_per_batch=250",
    ),
    *("train.max_updates=30", "train.validate_every=15", "train.checkpoint_every=3", "train.log_every=1", "train.threads=1"),
    *("decode.beam=1", "decode.max_length=12", "optimizer.lr=3e-3", "schedule.warmup=10"),
]


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "nmt", "train", "-m", *SMALL, f"paths.cache={folder / 'cache'}", *arguments]


def nmt(arguments: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command in a folder of its own, as a user would; the package is the one under test."""
    package = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": package, "OMP_NUM_THREADS": "1"}
    return subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def kill_during_third_run(arguments: list[str], sweep: Path) -> None:
    """SIGKILL a sweep when its third run has logged an update."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        logs = [path for path in sweep.glob("*/metrics.jsonl") if path.stat().st_size]
        if len(logs) == 3:
            break
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def table(sweep: Path) -> list[dict[str, str]]:
    """Its table without what no two runs share: time."""
    rows = list(csv.DictReader((sweep / "table.csv").read_text(encoding="utf-8").splitlines()))
    return [{key: value for key, value in row.items() if key not in ("seconds", "target_tokens_per_second")} for row in rows]


def test_a_sweep_that_was_killed_and_continued_ends_in_the_table_of_an_undisturbed_one(tmp_path: Path) -> None:
    swept = ["model=luong_tiny,transformer_tiny", "seed=1,2"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = nmt(command(tmp_path, *swept, f"sweep_dir={whole}"), tmp_path)
    assert done.returncode == 0, done.stderr
    again = command(tmp_path, *swept, f"sweep_dir={killed}")
    kill_during_third_run(again, killed)
    finished = {path.parent.name: path.stat().st_mtime_ns for path in killed.glob("*/result.json")}
    assert set(finished) == {"model=luong_tiny,seed=1", "model=luong_tiny,seed=2"}
    assert not (killed / "table.csv").exists()
    continued = nmt(again, tmp_path)
    assert continued.returncode == 0, continued.stderr
    assert continued.stderr.count("is finished") == 2
    assert {name: (killed / name / "result.json").stat().st_mtime_ns for name in finished} == finished
    assert [row["setting"] for row in table(whole)] == ["model=luong_tiny", "model=transformer_tiny"]
    assert [row["runs"] for row in table(whole)] == ["2", "2"]
    assert float(table(whole)[0]["test_chrf_mean"]) > 0
    assert table(killed) == table(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "killed", "whole"]


def test_joblib_runs_side_by_side_and_names_what_failed_while_the_rest_is_tabled(tmp_path: Path) -> None:
    arguments = command(tmp_path, "model=luong_tiny", "model.dropout=0.1,7", "seed=1,2", "hydra/launcher=joblib")
    done = nmt(arguments, tmp_path)
    assert done.returncode == 1, done.stderr
    sweep = tmp_path / "sweeps" / "model.dropout+seed"
    for seed in (1, 2):
        assert f"failed: model.dropout=7,seed={seed}: model.dropout must be" in done.stderr
        assert f"model.dropout=0.1,seed={seed} begins" in done.stderr
        assert f"model.dropout=0.1,seed={seed} ends: dev BLEU" in done.stderr
    assert [(row["setting"], row["runs"]) for row in table(sweep)] == [("model.dropout=0.1", "2")]
    assert "model.dropout=0.1" in done.stdout
    written = (sweep / "table.md").read_text(encoding="utf-8")
    report = nmt([sys.executable, "-m", "nmt", "report", "sweeps/model.dropout+seed"], tmp_path)
    assert report.returncode == 0, report.stderr
    assert report.stdout in done.stdout
    assert (sweep / "table.md").read_text(encoding="utf-8") == written
    assert (sweep / "plot.png").stat().st_size > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "sweeps"]
