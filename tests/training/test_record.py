"""metrics.jsonl: what it keeps, and what it forgets."""

import json
from pathlib import Path

import pytest

from nmt.errors import UserError
from nmt.training.record import Record, write_once


def lines(path: Path) -> list[dict[str, object]]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text(encoding="utf-8").splitlines()]


def test_lines_after_the_continued_update_and_broken_ones_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    record = Record(tmp_path, updates=0, validated=0)
    for update in (1, 2, 3):
        record.write("train", update, {"train/loss": float(update)})
    with path.open("ab") as file:
        file.write(b'5\n{}\n\xff\xfe\n{"kind": "train", "upd')
    record = Record(tmp_path, updates=2, validated=0)
    record.write("train", 3, {"train/loss": 30.0})
    assert [(line["update"], line["train/loss"]) for line in lines(path)] == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_a_validation_that_will_be_made_again_is_forgotten_and_nothing_else_is(tmp_path: Path) -> None:
    record = Record(tmp_path, updates=0, validated=0)
    for update in (3, 6):
        record.write("train", update, {"train/loss": 1.5, "train/epoch": 1})
        record.write("histograms", update, {"gradients/w": {"mean": 0.0}})
        record.write("valid", update, {"valid/bleu": 9.0})
        record.write("speed", update, {"speed/validation_seconds": 1.0})
        record.write("samples", update, {"samples": []})
        record.write("histograms", update, {"parameters/w": {"mean": 0.0}})
    record.event(6, "interrupted", reason="Interrupted")
    record = Record(tmp_path, updates=6, validated=3)
    kept = [(line["kind"], line["update"]) for line in lines(tmp_path / "metrics.jsonl")]
    before = ["train", "histograms", "valid", "speed", "samples", "histograms"]
    assert kept == [*((kind, 3) for kind in before), ("train", 6), ("histograms", 6), ("event", 6)]
    assert record.figures("train", 6) == {"train/loss": 1.5, "train/epoch": 1}


def test_a_number_that_json_lacks_is_null_at_any_depth(tmp_path: Path) -> None:
    record = Record(tmp_path, updates=0, validated=0)
    nan, infinity = float("nan"), float("inf")
    record.write("train", 1, {"a": nan, "b": {"c": [infinity, 1.5, -infinity]}, "d": 2})
    assert lines(tmp_path / "metrics.jsonl") == [
        {"kind": "train", "update": 1, "a": None, "b": {"c": [None, 1.5, None]}, "d": 2}
    ]


def test_text_that_splits_lines_elsewhere_stays_on_one(tmp_path: Path) -> None:
    odd = "a\nb\u2028c\u0085d\x0b\ud800 |"
    record = Record(tmp_path, updates=0, validated=0)
    record.write("samples", 1, {"samples": [{"source": odd}]})
    assert lines(tmp_path / "metrics.jsonl")[0]["samples"] == [{"source": odd}]


def test_an_event_says_what_when_and_why(tmp_path: Path) -> None:
    record = Record(tmp_path, updates=0, validated=0)
    record.event(7, "stop", reason="train.max_updates=7")
    (line,) = lines(tmp_path / "metrics.jsonl")
    assert line["time"]
    assert {**line, "time": ""} == {
        **{"kind": "event", "update": 7, "event": "stop", "time": "", "reason": "train.max_updates=7"},
    }


def test_a_line_that_is_written_once_stays_the_first_of_its_update(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    written = [
        write_once(tmp_path, "final", update, {"final/dev_bleu": bleu}) for update, bleu in ((7, 1.0), (7, 2.0), (9, 3.0))
    ]
    assert written == [True, False, True]
    assert [(line["update"], line["final/dev_bleu"]) for line in lines(path)] == [(7, 1.0), (9, 3.0)]


def test_it_is_a_line_of_its_own_after_one_that_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "train", "update": 1}\n{"kind": "tra', encoding="utf-8")
    write_once(tmp_path, "final", 1, {})
    assert [line["kind"] for line in lines(path)] == ["train", "final"]


def test_a_record_without_line_ends_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    with (tmp_path / "metrics.jsonl").open("wb") as file:
        file.truncate(2**40)  # a sparse file
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged.*a line has more than 16,777,216 bytes"):
        Record(tmp_path, updates=1, validated=1)
