"""The profile of a few updates."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nmt.training.profile import Profiler


def updates(directory: Path, *, ahead: int, made: int, first: int = 0) -> None:
    """Some updates of a small model under a profiler that knows how many come before something else does."""
    (directory / "tensorboard").mkdir(exist_ok=True)
    model = nn.Linear(5, 3)
    optimizer = torch.optim.Adam(model.parameters())
    profiler = Profiler(directory, updates=first, ahead=ahead, device=torch.device("cpu"))
    for number in range(first + 1, first + made + 1):
        model(torch.randn(7, 5)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        profiler.update(number)
        profiler.write()
    profiler.stop(first + made)
    profiler.write()


def trace(directory: Path) -> tuple[str, list[dict[str, Any]]]:
    (path,) = (directory / "tensorboard").iterdir()
    return path.name, json.loads(path.read_text(encoding="utf-8"))["traceEvents"]


@pytest.mark.parametrize(
    ("ahead", "made", "name", "recorded"),
    [
        (500, 20, "updates_9_to_11", 3),
        (11, 11, "updates_9_to_11", 3),
        (4, 4, "updates_3_to_4", 2),
        (1, 1, "updates_1_to_1", 1),
        (500, 10, "updates_9_to_10", 2),  # training ends within what was to be recorded
    ],
)
def test_a_trace_has_the_updates_that_its_name_says(tmp_path: Path, ahead: int, made: int, name: str, recorded: int) -> None:
    updates(tmp_path, ahead=ahead, made=made)
    found, events = trace(tmp_path)
    assert found == f"{name}.pt.trace.json"
    assert sum("Adam.step" in event["name"] for event in events) == recorded
    products = [event for event in events if event["name"] == "aten::addmm" or event["name"] == "aten::linear"]
    assert any("Input Dims" in event.get("args", {}) for event in products)
    table = (tmp_path / "profile.txt").read_text(encoding="utf-8")
    assert "Self CPU" in table
    assert "aten::addmm" in table or "aten::linear" in table  # whichever took longest


def test_a_continued_run_counts_its_updates_from_where_it_was(tmp_path: Path) -> None:
    updates(tmp_path, ahead=500, made=12, first=100)
    assert trace(tmp_path)[0] == "updates_109_to_111.pt.trace.json"


def test_training_that_ends_too_early_leaves_no_trace(tmp_path: Path) -> None:
    updates(tmp_path, ahead=500, made=7)
    assert list((tmp_path / "tensorboard").iterdir()) == []
    updates(tmp_path, ahead=500, made=12)  # and another training can be recorded
    assert trace(tmp_path)[0] == "updates_9_to_11.pt.trace.json"
