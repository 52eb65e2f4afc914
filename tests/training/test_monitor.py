"""The record of a run forgets what an interruption took back."""

import json
from pathlib import Path

from nmt.training.monitor import RunMonitor


def lines(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_lines_after_the_continued_update_and_broken_ones_are_dropped(tmp_path: Path) -> None:
    with RunMonitor(tmp_path, updates=0, total=None, log_every=1) as monitor:
        for update in (1, 2, 3):
            monitor.write("train", update, {"train/loss": float(update)})
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'5\n{}\n\xff\xfe\n{"kind": "train", "upd')
    with RunMonitor(tmp_path, updates=2, total=None, log_every=1) as monitor:
        monitor.write("train", 3, {"train/loss": 30.0})
    assert [(line["update"], line["train/loss"]) for line in lines(tmp_path)] == [(1, 1.0), (2, 2.0), (3, 30.0)]
