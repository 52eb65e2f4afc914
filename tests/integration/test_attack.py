"""No run that a stranger has poisoned does harm: `scripts/attack.py`, in short."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ATTACK = Path(__file__).parents[2] / "scripts" / "attack.py"


def test_one_poisoned_run_of_every_kind_does_no_harm() -> None:
    done = subprocess.run([sys.executable, str(ATTACK), "--short"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["broken"] == 0
    assert found["attacks"] >= 20
