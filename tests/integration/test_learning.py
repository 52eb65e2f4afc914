"""Every model learns: the embedded corpus, German to English, within a bounded number of updates.

A run is continued in stages until it is good enough or its bound is reached. Models without attention must fit a sentence into
a few vectors and need far longer; for them stands what their size reaches within the bound.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.config import config_directory

pytestmark = pytest.mark.integration
MODELS = sorted(path.stem for path in (config_directory() / "model").glob("*.yaml"))
QUICK = {"luong_tiny", "encdec_tiny", "transformer_tiny"}
GOOD = 60.0
WITHOUT_ATTENTION = {"encdec": 2.0, "cho": 4.0}
"""What is asked of models without attention, by the beginning of their names."""


def recipe(model: str) -> tuple[list[int], list[str]]:
    """The updates at the end of each stage, and the keys of training."""
    if model.endswith("_tiny"):
        return [700, 1400, 2100], ["optimizer.lr=4e-3", "schedule.warmup=100"]
    if model.endswith(("_paper", "_base", "_big")):
        return [1000, 2000, 3000, 4000, 6000, 8000], ["optimizer.lr=5e-4", "schedule.warmup=500"]
    return [1000, 2000, 3000, 4000, 5000], ["optimizer.lr=2e-3", "schedule.warmup=200"]


@pytest.mark.parametrize("model", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in MODELS])
def test_a_model_learns_the_embedded_corpus(model: str, tmp_path: Path) -> None:
    stages, keys = recipe(model)
    target = next((bleu for name, bleu in WITHOUT_ATTENTION.items() if model.startswith(name)), GOOD)
    reached = []
    for updates in stages:
        reached.append(bleu_of(tmp_path / "run", [f"model={model}", f"train.max_updates={updates}", *keys], tmp_path / "cache"))
        if reached[-1] >= target:
            break
    assert reached[-1] >= target, f"BLEU after {stages} updates: {reached}"


def bleu_of(run: Path, keys: list[str], cache: Path) -> float:
    """Train, or train on, and give the test BLEU."""
    small = [
        *("data.src=de", "data.tgt=en", "data.train_pairs=20000", "data.dev_pairs=50", "data.test_pairs=200"),
        *("train.tokens_per_batch=600", "train.validate_every=100000", "train.threads=1", "train.label_smoothing=0.05"),
        *("model.dropout=0", "decode.beam=2", f"paths.cache={cache}", f"run_dir={run}"),
    ]
    done = subprocess.run([sys.executable, "-m", "nmt", "train", *small, *keys], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(json.loads((run / "evaluation" / "test" / "scores.json").read_text(encoding="utf-8"))["bleu"]["score"])
