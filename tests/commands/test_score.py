"""`nmt score`: what the search reported, it gives back; and what it says when something is wrong."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.commands import streams
from nmt.decoding.translator import Translator

MakeRun = Callable[..., Path]
SOURCES = ["der Hund sieht den Ball .", "", "das Kind", "a\u2028b \0 \U0001f600", "jeder Lehrer kennt die Bücher heute ."]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current one, with sources."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").write_text("".join(f"{line}\n" for line in SOURCES), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("models", [["luong_tiny"], ["transformer_tiny", "luong_tiny", "encdec_tiny"]], ids="+".join)
@pytest.mark.parametrize("settings", [["decode=beam"], ["decode=wu"], ["decode=sample"]], ids=" ".join)
def test_what_a_search_reported_is_what_forced_decoding_finds(
    nmt: Any, make_run: MakeRun, folder: Path, models: list[str], settings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run(model) for model in models]
    asked = ["format=json", "decode.n_best=2", *settings]
    assert nmt("translate", *runs, *asked, "input=src", "output=found").status == 0
    monkeypatch.setattr(streams, "LINES", 2)
    done = nmt("score", *runs, "input=found", *asked)
    assert done.status == 0, done.err
    found = [json.loads(line) for line in (folder / "found").read_text(encoding="utf-8").split("\n")[:-1]]
    again = [json.loads(line) for line in done.lines]
    assert [record["source"] for record in again] == [record["source"] for record in found] == SOURCES
    assert [len(record["translations"]) for record in found] == [2, 0, 2, 2, 2]
    flat = []
    for one, other in zip(found, again, strict=True):
        for old, new in zip(one["translations"], other["translations"], strict=True):
            assert (new["text"], new["pieces"]) == (old["text"], old["pieces"])
            assert new["log_probs"] == pytest.approx(old["log_probs"], abs=1e-4)
            assert new["log_prob"] == pytest.approx(old["log_prob"], abs=1e-4)
            assert new["score"] == pytest.approx(old["score"], abs=1e-4)
            flat.append([old["log_prob"], old["score"]])
    table = nmt("score", *runs, "input=found", *settings).lines
    assert [[float(value) for value in line.split("\t")] for line in table] == [pytest.approx(row, abs=1e-4) for row in flat]


def test_given_text_is_scored_line_by_line_as_in_python(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    run, targets = (
        make_run("transformer_tiny"),
        ["the dog sees the ball .", "x", "", "the\u0085child", "every teacher \U0001f600"],
    )
    (folder / "tgt").write_text("\r\n".join(targets), encoding="utf-8")
    done = nmt("score", run, "src=src", "tgt=tgt")
    assert done.status == 0, done.err
    expected = [scored.hypothesis for scored in Translator.load(run).score(SOURCES, targets)]
    assert done.lines == [f"{one.log_prob:.6f}\t{one.score:.6f}" for one in expected]
    assert all(len(one.log_probs) == len(one.ids) + 1 and one.log_prob < 0 for one in expected)
    total, count = sum(one.log_prob for one in expected), sum(len(one.log_probs) for one in expected)
    assert re.search(rf"^{total / count:.4f} log p per piece, ends of sentence counted \({count}\)$", done.err, re.MULTILINE)
    records = [json.loads(line) for line in nmt("score", run, "src=src", "tgt=tgt", "format=json").lines]
    assert [record["source"] for record in records] == SOURCES
    assert [record["translations"][0]["log_prob"] for record in records] == pytest.approx([one.log_prob for one in expected])


def test_nothing_in_nothing_out(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    (folder / "empty").write_bytes(b"")
    for arguments in (["src=empty", "tgt=empty"], ["input=empty"]):
        done = nmt("score", make_run("transformer_tiny"), *arguments)
        assert (done.status, done.out, done.err) == (0, b"", "")


RECORD = '{"source": "der Hund", "translations": [%s]}\n'


@pytest.mark.parametrize(
    ("written", "arguments", "message"),
    [
        ("", [], r"give src=FILE and tgt=FILE, line by line, or input=FILE"),
        ("", ["src=src"], r"give src=FILE and tgt=FILE"),
        ("", ["src=src", "tgt=src", "input=in"], r"give src=FILE and tgt=FILE"),
        ("", ["src=src", "tgt=src", "format=csv"], r"format must be text or json, but is 'csv'"),
        ("the\n", ["src=src", "tgt=in"], r"src has 5 lines but in has 1$"),
        ("the\n" * 6, ["src=src", "tgt=in"], r"src has 5 lines but in has 6$"),
        ("", ["src=nowhere", "tgt=in"], r"nowhere cannot be read"),
        ("the dog\n", ["input=in"], r"in: line 1 is no JSON"),
        ("[" * 100_000, ["input=in"], r"in: line 1 is no JSON"),
        ("5\n", ["input=in"], r'in: line 1 must be an object with "source" and "translations"'),
        ('{"source": "x"}\n', ["input=in"], r'in: line 1 must be an object with "source" and "translations"'),
        (
            '{"source": "x", "translations": 5}\n',
            ["input=in"],
            r'in: line 1 must be an object with "source" and "translations"',
        ),
        ('{"source": "\\ud800", "translations": []}\n', ["input=in"], r"in: line 1: \"source\" holds half of a surrogate pair"),
        (RECORD % '{"text": "the"}', ["input=in"], r'in: line 1: every translation needs "pieces", a list of strings'),
        (RECORD % '{"pieces": [4]}', ["input=in"], r'in: line 1: every translation needs "pieces", a list of strings'),
        (RECORD % '{"pieces": ["▁xyz"]}', ["input=in"], r"in: line 1: '▁xyz' is no piece of the run's vocabulary"),
        (RECORD % '{"pieces": ["\\ud800"]}', ["input=in"], r"in: line 1: .* is no piece of the run's vocabulary"),
        (RECORD % '{"pieces": ["</s>"]}', ["input=in"], r"in: line 1: '</s>' is no piece of the run's vocabulary"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else " ".join(value),
)
def test_what_is_wrong_is_said_in_a_line(
    nmt: Any, make_run: MakeRun, folder: Path, monkeypatch: pytest.MonkeyPatch, written: str, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr(streams, "LINES", 5)
    (folder / "in").write_text(written, encoding="utf-8")
    done = nmt("score", make_run("transformer_tiny"), *arguments, "output=out")
    assert (done.status, done.out, done.err.count("\n")) == (2, b"", 1), done
    assert re.search(message, done.err), done.err
    assert not (folder / "out").exists()


def test_an_ensemble_of_runs_with_other_pieces_is_refused(nmt: Any, make_run: MakeRun) -> None:
    runs = [make_run("transformer_tiny"), make_run("transformer_tiny", byte_fallback=False)]
    for command in ("score", "translate"):
        done = nmt(command, *runs, *(["src=a", "tgt=b"] if command == "score" else []))
        assert done.status == 2
        assert re.search(r"cannot form an ensemble: they do not have the same pieces; train both on the same text", done.err)
