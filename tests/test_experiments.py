"""Every published experiment composes, its parts can be built, and nothing in it contradicts the rest."""

from pathlib import Path

import pytest
import torch

from nmt.checks import check_settings
from nmt.components import build_model, build_optimizer, build_schedule
from nmt.config import compose, config_directory
from nmt.models.seq2seq import Vocabulary
from nmt.training.lengths import check_lengths

FOLDER = config_directory() / "experiment"
NAMES = [str(path.relative_to(FOLDER).with_suffix("")) for path in sorted(FOLDER.rglob("*.yaml")) if path.stem != "common"]


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_could_be_run(name: str) -> None:
    config = compose("train", [f"experiment={name}"])
    check_settings(config)
    size = config["tokenizer"]["vocab_size"]
    with torch.device("meta"):
        model = build_model(config["model"], Vocabulary(size, size, config["tokenizer"]["joint"]))
        build_optimizer(config["optimizer"], model)
    assert 0 < build_schedule(config["schedule"])(1) <= 1
    check_lengths(model, max_length=config["data"]["max_length"], decode=config["decode"])
    total = config["schedule"].get("total")
    assert total is None or total == config["train"]["max_updates"]


@pytest.mark.parametrize("name", NAMES)
def test_its_first_lines_say_how_to_run_it(name: str) -> None:
    text = Path(FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    sweep = " -m" if "\nhydra:\n  sweeper:\n    params:" in text else ""
    assert text.startswith(f"# @package _global_\n# nmt train{sweep} experiment={name}")
