"""What `nmt train` leaves to be watched, by the names that docs/watching.md promises."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

pytestmark = pytest.mark.integration

SMALL = [
    *("model=luong_tiny", "data.train_pairs=600", "data.dev_pairs=8", "data.test_pairs=4", "tokenizer.vocab_size=500"),
    *(
        "train.tokens_per_batch=300",
        "train.validate_every=20",
        "train.log_every=10",
        "model.dropout=0.2",
        "train.ema_decay=0.9",
    ),
    *("decode.beam=2", "decode.max_length=20", "train.threads=1", "device=cpu"),
]
WATCHED = ["train.histograms=true", "train.profile=true"]


def train(folder: Path, name: str, *more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "nmt", "train", *SMALL, f"run_dir={folder / name}", f"paths.cache={folder / 'cache'}"]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, subprocess.CompletedProcess[str]]":
    """A run of 25 updates that was continued to 50."""
    folder = tmp_path_factory.mktemp("watching")
    train(folder, "run", *WATCHED, "train.max_updates=25")
    return folder / "run", train(folder, "run", *WATCHED, "train.max_updates=50")


def board(run: Path) -> EventAccumulator:
    sizes = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0}
    return EventAccumulator(str(run / "tensorboard"), size_guidance=sizes).Reload()


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_scalars_of_a_run_are_those_of_the_document(watched) -> None:
    run, _ = watched
    document = (Path(__file__).parents[2] / "docs" / "watching.md").read_text(encoding="utf-8")
    promised = set(re.findall(r"^\| `((?:train|valid|speed|memory|final)/\w+)` \|", document, re.MULTILINE))
    if not Path("/proc/self/status").exists():
        promised.discard("memory/host")
    assert "`attention_entropy/KIND_layer_L_head_H`" in document
    promised.add("attention_entropy/cross_layer_1_head_1")  # Luong's one layer of attention with its one head
    without_gpu = {name for name in promised if not name.startswith("memory/device")}
    assert set(board(run).Tags()["scalars"]) == without_gpu
    told = {
        name for line in lines(run) for name in line if re.match(r"(train|valid|speed|memory|final|attention_entropy)/", name)
    }
    assert told == without_gpu


def test_a_continued_run_shows_every_update_once_in_both_records(watched) -> None:
    run, _ = watched
    shown = board(run)
    for name in shown.Tags()["scalars"]:
        told = [(line["update"], line[name]) for line in lines(run) if name in line]
        assert [(event.step, event.value) for event in shown.Scalars(name)] == [
            (update, pytest.approx(value, rel=1e-6)) for update, value in told
        ], name
    assert [event.step for event in shown.Scalars("train/loss")] == [10, 20, 30, 40, 50]
    assert [event.step for event in shown.Scalars("valid/bleu")] == [20, 25, 40, 50]
    assert [event.step for event in shown.Tensors("valid/samples")] == [20, 25, 40, 50]
    assert [event.step for event in shown.Histograms("gradients/src_embedding.weight")] == [20, 40]
    assert [event.step for event in shown.Histograms("parameters/src_embedding.weight")] == [20, 25, 40, 50]
    assert [event.step for event in shown.Scalars("final/dev_bleu")] == [25, 50]
    events = [(line["update"], line["event"]) for line in lines(run) if line["kind"] == "event"]
    assert events == [(0, "begin"), (25, "stop"), (25, "continue"), (50, "stop")]


def test_watching_changes_no_bit_of_the_model(watched) -> None:
    run, _ = watched
    train(run.parent, "plain", "train.max_updates=50")
    a, b = (load_file(folder / "checkpoints" / "step-0000050" / "model.safetensors") for folder in (run, run.parent / "plain"))
    assert a.keys() == b.keys()
    assert all(a[name].equal(b[name]) for name in a)
    assert not (run.parent / "plain" / "profile.txt").exists()
    assert board(run.parent / "plain").Tags()["histograms"] == []


def test_the_trace_of_an_update_has_its_forward_backward_and_step(watched) -> None:
    run, done = watched
    traces = sorted(path.name for path in (run / "tensorboard").glob("*.pt.trace.json"))
    assert traces == ["updates_34_to_36.pt.trace.json", "updates_9_to_11.pt.trace.json"]
    events = json.loads((run / "tensorboard" / traces[0]).read_text(encoding="utf-8"))["traceEvents"]
    names = {event["name"] for event in events}
    assert {"Optimizer.step#Adam.step", "ProfilerStep#8"} <= names
    assert any("Backward" in name for name in names)
    assert "beam" not in " ".join(names)
    assert traces[0] in done.stderr
    assert "profile.txt" in done.stderr
    assert "USDT" not in done.stderr


def test_without_a_terminal_a_line_now_and_then_says_how_it_goes(watched) -> None:
    run, done = watched
    pattern = r"update 30/50  epoch \d  loss \d\.\d{3}  [\d,]+ tokens/s  \d+ s left"
    assert re.search(f"^{pattern}$", done.stderr, re.MULTILINE), done.stderr
    assert re.search(f"^[-\\d]+ [:\\d]+ {pattern}$", (run / "train.log").read_text(encoding="utf-8"), re.MULTILINE)
