"""A training that meets faults ends in the very bits of one that was left alone: `scripts/soak.py`, in short."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SOAK = Path(__file__).parents[2] / "scripts" / "soak.py"


def soak(model: str, faults: int, updates: int) -> "subprocess.CompletedProcess[str]":
    sizes = ["--faults", str(faults), "--updates", str(updates)]
    return subprocess.run([sys.executable, str(SOAK), "--models", model, *sizes], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("model", [pytest.param("bahdanau", marks=pytest.mark.slow), "luong", "transformer"])
def test_a_training_that_meets_faults_ends_in_the_bits_of_one_that_was_left_alone(model: str) -> None:
    done = soak(model, faults=4, updates=60)  # kinds and moments are drawn anew every time: any must do
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout.splitlines()[-1])["results"]
    assert result["same_bits"] is True
    assert sum(result["kinds"].values()) == 4
