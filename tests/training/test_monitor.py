"""What a run tells while it trains."""

import json
import logging
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from nmt import console
from nmt.config import TrainSettings
from nmt.data.batches import Position
from nmt.training.loop import Sums
from nmt.training.memory import memory
from nmt.training.monitor import RunMonitor
from nmt.training.progress import Progress
from nmt.training.samples import Sample

DOCUMENT = Path(__file__).parents[2] / "docs" / "watching.md"


@pytest.fixture
def monitor_of(tmp_path: Path) -> Callable[..., RunMonitor]:
    def make(*, updates: int = 0, validated: int | None = None, **settings: Any) -> RunMonitor:
        chosen = TrainSettings(**settings)
        progress = Progress(updates=updates, validated=updates if validated is None else validated)
        return RunMonitor(tmp_path, chosen, progress=progress, epoch_tokens=1000, device=torch.device("cpu"))

    return make


@pytest.fixture
def said() -> Iterator[list[logging.LogRecord]]:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    log = logging.getLogger("nmt")
    log.addHandler(handler)
    level = log.level
    log.setLevel(logging.INFO)
    yield records
    log.removeHandler(handler)
    log.setLevel(level)


def update(monitor: RunMonitor, number: int, loss: float = 20.0, device: str = "cpu") -> None:
    progress = Progress(updates=number, position=Position(0, number), tokens=10 * number, seconds=2.5 * number)
    values = [torch.tensor(value, device=device) for value in (loss, loss / 2, 3.0)]
    monitor.update(progress, Sums(*values, finite=torch.tensor(True), tokens=10, padding=0.25), 1e-3)


def lines(run: Path, kind: str) -> list[dict[str, Any]]:
    every = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in every if line["kind"] == kind]


def board(run: Path) -> EventAccumulator:
    return EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "histograms": 0}).Reload()


def test_figures_are_means_over_the_updates_since_the_last_ones(monitor_of: Callable[..., RunMonitor], tmp_path: Path) -> None:
    with monitor_of(log_every=2) as monitor:
        for number, loss in enumerate((10.0, 30.0, 40.0, 60.0), 1):
            update(monitor, number, loss)
    assert [(line["update"], line["train/loss"]) for line in lines(tmp_path, "train")] == [(2, 2.0), (4, 5.0)]
    line = lines(tmp_path, "train")[1]
    assert line["train/perplexity"] == pytest.approx(torch.tensor(2.5).exp().item())
    wanted = {"gradient_norm": 3.0, "padding": 0.25, "learning_rate": 1e-3, "tokens": 40, "epoch": 1, "seconds": 10.0}
    assert {name: line[f"train/{name}"] for name in wanted} == wanted


def test_the_device_is_asked_only_where_figures_are_due(monitor_of: Callable[..., RunMonitor]) -> None:
    with monitor_of(log_every=10) as monitor:
        for number in range(1, 10):
            update(monitor, number, device="meta")  # where there is no figure to be had
        with pytest.raises(RuntimeError, match="meta"):
            update(monitor, 10, device="meta")


def test_tensorboard_and_the_lines_hold_the_same_numbers(monitor_of: Callable[..., RunMonitor], tmp_path: Path) -> None:
    with monitor_of(log_every=1) as monitor:
        update(monitor, 1)
        with monitor.paused():
            monitor.validation(1, {"valid/loss": 3.0, "valid/bleu": 12.5}, [], {})
    shown = {name: [(e.step, e.value) for e in board(tmp_path).Scalars(name)] for name in board(tmp_path).Tags()["scalars"]}
    told = {
        name: [(line["update"], value)]
        for kind in ("train", "valid", "speed")
        for line in lines(tmp_path, kind)
        for name, value in line.items()
        if name not in ("kind", "update")
    }
    assert shown.keys() == told.keys()
    for name, ((step, value),) in shown.items():
        assert (step, pytest.approx(value, rel=1e-6)) == told[name][0]


def test_every_name_of_an_update_is_documented(monitor_of: Callable[..., RunMonitor], tmp_path: Path) -> None:
    with monitor_of(log_every=1) as monitor:
        update(monitor, 1)
    names = lines(tmp_path, "train")[0].keys() - {"kind", "update"}
    document = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name in sorted(names) if f"| `{name}` |" not in document] == []


def test_a_validation_leaves_its_samples_pictures_and_time(monitor_of: Callable[..., RunMonitor], tmp_path: Path) -> None:
    with monitor_of() as monitor, monitor.paused():
        figure = Figure()
        monitor.validation(5, {"valid/bleu": 12.5}, [Sample("q | <b>", "r", "t", 50.0)], {"attention/dev_1": figure})
    assert lines(tmp_path, "samples")[0]["samples"] == [
        {"source": "q | <b>", "reference": "r", "translation": "t", "chrf": 50.0}
    ]
    assert lines(tmp_path, "speed")[0]["speed/validation_seconds"] >= 0
    tags = board(tmp_path).Tags()
    assert (tags["tensors"], tags["images"]) == (["valid/samples"], ["attention/dev_1"])


def test_what_an_interruption_took_back_is_forgotten(monitor_of: Callable[..., RunMonitor], tmp_path: Path) -> None:
    for begin, value in ((0, 10.0), (2, 50.0)):
        with monitor_of(updates=begin, log_every=1) as monitor:
            for number in range(begin + 1, begin + 4):
                update(monitor, number, value)
    wanted = [(1, 1.0), (2, 1.0), (3, 5.0), (4, 5.0), (5, 5.0)]
    assert [(line["update"], line["train/loss"]) for line in lines(tmp_path, "train")] == wanted
    assert [(event.step, event.value) for event in board(tmp_path).Scalars("train/loss")] == wanted
    assert [(line["update"], line["event"]) for line in lines(tmp_path, "event")] == [(0, "begin"), (2, "continue")]


def test_a_validation_that_is_made_again_stands_once_in_both_records(
    monitor_of: Callable[..., RunMonitor], tmp_path: Path
) -> None:
    for begin, bleu in ((0, 1.0), (2, 7.0)):  # the checkpoint of update 2 was written before its validation had come to its end
        with monitor_of(updates=begin, validated=0, log_every=1, validate_every=2) as monitor:
            for number in range(begin + 1, 3):
                update(monitor, number)
            with monitor.paused():
                monitor.validation(2, {"valid/bleu": bleu}, [], {})
    assert [(line["update"], line["valid/bleu"]) for line in lines(tmp_path, "valid")] == [(2, 7.0)]
    assert [(event.step, event.value) for event in board(tmp_path).Scalars("valid/bleu")] == [(2, 7.0)]
    assert [event.step for event in board(tmp_path).Scalars("train/loss")] == [1, 2]


def test_an_interruption_is_an_event_and_stays_the_error(monitor_of: Callable[..., RunMonitor], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), monitor_of() as monitor:
        update(monitor, 1)
        raise KeyboardInterrupt
    assert [(line["update"], line.get("reason")) for line in lines(tmp_path, "event")] == [
        (0, None),
        (1, "KeyboardInterrupt"),
    ]


def test_a_line_says_how_far_how_good_how_fast_and_how_long(
    monitor_of: Callable[..., RunMonitor], said: list[logging.LogRecord]
) -> None:
    for settings in ({"max_updates": 3000}, {"patience": 3}):
        with monitor_of(log_every=5, **settings) as monitor:
            for number in range(1, 6):
                update(monitor, number)
    texts = [record.getMessage() for record in said]
    assert texts[0].startswith("update 5/3,000  epoch 1  loss 2.000  ")
    assert texts[0].endswith("left")
    assert " tokens/s  " in texts[0]
    assert texts[1].startswith("update 5  epoch 1  loss 2.000  ")
    assert texts[1].endswith("end open")


@pytest.mark.parametrize("interactive", [True, False])
def test_on_a_terminal_the_bar_says_it_and_the_log_file_anyway(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], interactive: bool
) -> None:
    monkeypatch.setattr(console.console, "is_interactive", interactive, raising=False)
    log = logging.getLogger("nmt")
    monkeypatch.setattr(log, "handlers", [])
    console.say_on_console()
    with console.logged_to(tmp_path / "train.log"):
        log.info("update 5", extra=console.BESIDE_A_BAR)
        log.info("validated")
    assert capsys.readouterr().err.split("\n")[:-1] == (["validated"] if interactive else ["update 5", "validated"])
    written = (tmp_path / "train.log").read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 2)[2] for line in written] == ["update 5", "validated"]


def test_histograms_are_of_the_gradient_before_a_validation_and_of_the_parameters_after_it(
    monitor_of: Callable[..., RunMonitor], tmp_path: Path
) -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    seen = []
    with monitor_of(validate_every=2) as monitor:
        monitor.draw_histograms(model, optimizer)
        for number in range(1, 5):
            model(torch.full((1, 3), float(number))).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            update(monitor, number)
            if number % 2 == 0:
                seen.append(model.weight.max().item())
                with monitor.paused():
                    monitor.validation(number, {}, [], {})
    shown = board(tmp_path)
    assert set(shown.Tags()["histograms"]) == {
        f"{kind}/{name}" for kind in ("parameters", "gradients") for name in ("weight", "bias")
    }
    drawn = [(e.step, e.histogram_value.max) for e in shown.Histograms("gradients/weight")]
    assert drawn == [(2, 2.0), (4, 4.0)]
    assert [(e.step, e.histogram_value.max) for e in shown.Histograms("parameters/weight")] == list(
        zip((2, 4), seen, strict=True)
    )
    told = [line["gradients/weight"]["max"] for line in lines(tmp_path, "histograms") if "gradients/weight" in line]
    assert told == [2.0, 4.0]


def test_without_being_asked_nothing_is_drawn(monitor_of: Callable[..., RunMonitor], tmp_path: Path) -> None:
    with monitor_of(validate_every=1) as monitor:
        update(monitor, 1)
        with monitor.paused():
            monitor.validation(1, {"valid/bleu": 1.0}, [], {})
    assert board(tmp_path).Tags()["histograms"] == []
    assert lines(tmp_path, "histograms") == []


def test_memory_grows_with_what_is_held() -> None:
    before = memory(torch.device("cpu"))
    held = mmap.mmap(-1, 64 << 20)  # pages that this process did not have: what it has freed, it may keep
    held.write(b"1" * len(held))
    after = memory(torch.device("cpu"))
    assert after["memory/host"] - before["memory/host"] > 50
    assert after["memory/host_peak"] >= after["memory/host"]
    held.close()


def test_a_validation_leaves_the_signatures_of_its_scores_in_its_line(
    monitor_of: Callable[..., RunMonitor], tmp_path: Path
) -> None:
    signed = {"bleu": "nrefs:1|tok:zh", "chrf": "nrefs:1"}
    with monitor_of() as monitor, monitor.paused():
        monitor.validation(5, {"valid/bleu": 12.5}, [], {}, signed)
    (line,) = lines(tmp_path, "valid")
    assert (line["valid/bleu"], line["signatures"]) == (12.5, signed)
    assert "signatures" not in board(tmp_path).Tags()["scalars"]
