"""`nmt align`: a line of links for every pair, how good they are, and what bad input gets."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.data.words import Words
from nmt.decoding.aligner import Aligner
from nmt.decoding.translator import Translator
from nmt.evaluation.alignment import grow_diag_final_and, intersection
from nmt.explain.alignment import AlignmentRule

MakeRun = Callable[..., Path]
SOURCES = ["the dog sees the ball .", "", "a\u00a0child \u200b \U0001f600", "every teacher knows the books today .", "word"]
TARGETS = ["der Hund sieht den Ball .", "x", "ein Kind", "jeder Lehrer kennt heute die Bücher .", ""]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current one, with sentence pairs and gold links."""
    monkeypatch.chdir(tmp_path)
    for name, lines in {"src": SOURCES, "tgt": TARGETS, "gold": ["0-0 1-1 2p2", "", "0-0", "6-6", ""]}.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tmp_path


def links_in(lines: list[str]) -> list[list[tuple[int, int]]]:
    return [[(int(i), int(j)) for i, j in (link.split("-") for link in line.split())] for line in lines]


@pytest.mark.parametrize("model", ["bahdanau_tiny", "luong_tiny", "transformer_tiny", "decoder_only_tiny", "hybrid_tiny"])
def test_every_pair_has_a_line_and_every_target_word_at_most_one_link_within_its_sentence(
    nmt: Any, make_run: MakeRun, folder: Path, model: str
) -> None:
    run = make_run(model)
    done = nmt("align", run, "src=src", "tgt=tgt")
    assert done.status == 0, done.err
    found = links_in(done.lines)
    assert len(found) == len(SOURCES)
    assert found[1] == found[4] == []
    assert any(found)
    for src, tgt, links in zip(SOURCES, TARGETS, found, strict=True):
        targets = [j for _, j in links]
        assert len(set(targets)) == len(targets)
        assert all(i < len(src.split()) and j < len(tgt.split()) for i, j in links)
    aligner = Aligner(Translator.load(run))
    sides = [[Words.between_spaces(line) for line in lines] for lines in (SOURCES, TARGETS)]
    assert found == [sorted(links) for links in aligner.align(sides[0], sides[1])]


def test_keys_choose_what_is_read_off(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    run = make_run("transformer_tiny")
    aligner = Aligner(Translator.load(run))
    sides = [[Words.between_spaces(line) for line in lines] for lines in (SOURCES, TARGETS)]
    for keys, rule in (
        (["layer=2", "head=1", "shift=true", "threshold=0.1"], AlignmentRule(2, 1, True, 0.1)),
        (["layer=mean", "shift=false"], AlignmentRule(None, None, False, 0.0)),
        (["layer=1", "end=false"], AlignmentRule(1, None, False, 0.0, end=False)),
    ):
        done = nmt("align", run, "src=src", "tgt=tgt", *keys)
        assert links_in(done.lines) == [sorted(links) for links in aligner.align(sides[0], sides[1], rule)]


def test_gold_links_give_the_error_rate_of_every_layer(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    done = nmt("align", make_run("transformer_tiny"), "src=src", "tgt=tgt", "gold=gold", "output=links")
    assert done.status == 0, done.err
    for row in ("layer 1 ", "layer 1, shifted", "layer 2 ", "layer 2, shifted", "mean of layers ", "mean of layers, shifted"):
        assert row in done.err
    assert re.search(r"written: AER [01]\.\d{4} \(95 % of resamples .*\), precision \d\.\d{4}, recall \d\.\d{4}", done.err)
    assert len((folder / "links").read_text(encoding="utf-8").split("\n")) == len(SOURCES) + 1


def test_two_directions_are_symmetrised(nmt: Any, make_run: MakeRun, turned: Callable[[Path], Path], folder: Path) -> None:
    run = make_run("luong_tiny")
    reverse = turned(run)
    forward = links_in(nmt("align", run, "src=src", "tgt=tgt").lines)
    backward = [[(j, i) for i, j in links] for links in links_in(nmt("align", reverse, "src=tgt", "tgt=src").lines)]
    for name, method in (("grow-diag-final-and", grow_diag_final_and), ("intersection", intersection)):
        done = nmt("align", run, "src=src", "tgt=tgt", f"reverse={reverse}", f"symmetrize={name}", "gold=gold")
        assert done.status == 0, done.err
        assert links_in(done.lines) == [sorted(method(*pair)) for pair in zip(forward, backward, strict=True)]
        assert "union" in done.err


def test_a_corpus_with_gold_links_needs_no_files_and_chooses_on_dev(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    run = make_run("transformer_tiny")
    done = nmt("align", run, "split=test", "data.dev_pairs=12", "data.test_pairs=9")
    assert done.status == 0, done.err
    assert len(done.lines) == 9
    assert "chosen on dev (12 pairs): " in done.err
    assert "AER" in done.err


def test_the_rule_is_chosen_on_given_dev_files(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    run = make_run("transformer_tiny")
    wanted = nmt("align", run, "src=src", "tgt=tgt", "layer=2", "shift=true", "threshold=0", "output=ideal")
    assert wanted.status == 0, wanted.err
    dev = ["dev.src=src", "dev.tgt=tgt", "dev.gold=ideal"]
    done = nmt("align", run, "src=src", "tgt=tgt", *dev)
    assert "chosen on dev (5 pairs): " in done.err
    assert done.out == (folder / "ideal").read_bytes()


@pytest.mark.parametrize(
    ("model", "keys", "message"),
    [
        ("encdec_tiny", [], r"a word alignment needs attention to the source, which this model has not"),
        ("transformer_tiny", ["layer=3"], r"layer=3 is not there: this model has 2 layers, from 1"),
        ("transformer_tiny", ["layer=last"], r"layer must be a number from 1, or mean, but is 'last'"),
        ("transformer_tiny", ["head=0"], r"head=0 is not there: this layer has 2 heads, from 1"),
        ("luong_tiny", ["threshold=7"], r"threshold must be from 0 to 1, but is 7"),
        ("luong_tiny", ["gold=short"], r"short has 1 lines but there are 5 sentence pairs"),
        ("luong_tiny", ["gold=far"], r"far: line 3: the link 9-0 is outside the sentence: the source has 4 words"),
        ("luong_tiny", ["gold=nowhere"], r"nowhere"),
        ("luong_tiny", ["symmetrize=grow"], r"symmetrize must be one of intersection, union, grow-diag, .*'grow'"),
        ("luong_tiny", ["reverse={run}"], r"reverse=.* translates en to de, but must translate the other way of en to de"),
        ("luong_tiny", ["gold=blank"], r"blank has no link"),
        ("luong_tiny", ["gold=few.wa"], r"few\.wa ends with sentence 1 but there are 5 sentence pairs"),
        ("luong_tiny", ["output=tgt"], r"output=tgt is read, too"),
        ("luong_tiny", ["tgt=short"], r"src has 5 lines but short has 1"),
        ("luong_tiny", ["split=test"], r"give src=FILE and tgt=FILE, line by line, or split="),
        ("luong_tiny", ["dev.src=src"], r"give dev\.src=FILE, dev\.tgt=FILE and dev\.gold=FILE"),
    ],
)
def test_what_cannot_be_aligned_is_refused_with_the_reason(
    nmt: Any, make_run: MakeRun, folder: Path, model: str, keys: list[str], message: str
) -> None:
    (folder / "short").write_text("0-0\n", encoding="utf-8")
    (folder / "far").write_text("0-0\n\n9-0\n\n\n", encoding="utf-8")
    (folder / "blank").write_text("\n" * 5, encoding="utf-8")
    (folder / "few.wa").write_text("1 1 1 S\n", encoding="utf-8")
    run = make_run(model)
    files = [] if any(key.startswith("tgt=") for key in keys) else ["tgt=tgt"]
    output = [] if any(key.startswith("output=") for key in keys) else ["output=links"]
    done = nmt("align", run, "src=src", *files, *(key.format(run=run) for key in keys), *output)
    assert done.status == 2, done.err
    assert re.search(message, done.err), done.err
    assert len([line for line in done.err.splitlines() if "is read as" not in line]) == 1
    assert not (folder / "links").exists()


def test_nothing_cannot_be_aligned(nmt: Any, make_run: MakeRun, folder: Path) -> None:
    (folder / "empty").touch()
    done = nmt("align", make_run("luong_tiny"), "src=empty", "tgt=empty", "gold=empty")
    assert done.status == 2
    assert "there is no sentence pair: the files are empty" in done.err
