"""`nmt translate`: no line is dropped, merged or reordered, whatever it holds; and what it says when something is wrong."""

import json
import os
import pty
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nmt.commands import streams
from nmt.commands.streams import chunks_in, json_line, output_to
from nmt.decoding.translator import Translator
from nmt.errors import UserError

MakeRun = Callable[..., Path]

ODD = [
    *("", " ", "\t", "\u3000", "a\u2028b", "\u2029", "a\u0085b", "\ufeffder Hund", "NUL \0 byte", "lone \r return"),
    *("\v\f\x1c\x1d\x1e", "\U0001f600 \U0001f1e9\U0001f1ea", "\u202eمرحبا بالعالم", "漢字", "\U0010ffff", "\u0301"),
    *("</s> <unk> <pad> <0x0A>", "▁ ▁▁", "x" * 100_000, "der Hund " * 11_111, "der Hund sieht den Ball ."),
]
RANGES = [(0, 32), (32, 127), (0x80, 0xA0), (0x2000, 0x2070), (0xE000, 0xE010), (0x1F600, 0x1F610)]


def odd_lines() -> list[str]:
    """Random ones of control characters, spaces of all kinds, letters and pictures, and those above."""
    chance = random.Random(1)
    drawn = ["".join(chr(chance.randrange(*chance.choice(RANGES))) for _ in range(chance.randrange(30))) for _ in range(30)]
    return [line.replace("\n", "\r\r") + "." for line in drawn] + ODD


def objects(done: Any) -> list[Any]:
    assert done.status == 0, done.err
    return [json.loads(line) for line in done.lines]


@pytest.mark.parametrize("byte_fallback", [True, False], ids=["bytes", "unknown"])
@pytest.mark.parametrize("settings", [[], ["decode.replace_unknown=true"], ["decode=wu"], ["decode=sample"]], ids=" ".join)
def test_any_line_gets_its_own_line_in_order(nmt: Any, make_run: MakeRun, byte_fallback: bool, settings: list[str]) -> None:
    run = make_run("transformer_tiny", byte_fallback=byte_fallback)
    lines = odd_lines()
    text = nmt("translate", run, *settings, stdin="\n".join(lines).encode())
    assert text.status == 0, text.err
    assert len(text.lines) == len(lines)
    assert len(text.out.decode().splitlines()) == len(lines)  # not even for who takes more for the end of a line
    found = objects(nmt("translate", run, "format=json", *settings, stdin="\n".join(lines).encode()))
    assert [record["source"] for record in found] == lines
    best = [record["translations"][0]["text"] if record["translations"] else "" for record in found]
    assert best == text.lines
    assert found[-2]["cut"] and not found[-1]["cut"]
    assert re.search(r"\d+ lines were longer than decode\.max_source_length \(40 pieces\) and were cut", text.err)


def test_words_of_the_source_stand_for_unknown_pieces(nmt: Any, make_run: MakeRun) -> None:
    run, lines = (
        make_run("transformer_tiny", byte_fallback=False),
        [f"{word} 漢字" for word in ("Hund", "Ball", "\u2028", "\0")],
    )
    arguments = ["translate", run, "format=json", "decode=sample", "decode.temperature=50", "decode.n_best=30"]
    plain = objects(nmt(*arguments, stdin="\n".join(lines).encode()))
    replaced = objects(nmt(*arguments, "decode.replace_unknown=true", stdin="\n".join(lines).encode()))
    unknown = 0
    for before, after in zip(plain, replaced, strict=True):
        for old, new in zip(before["translations"], after["translations"], strict=True):
            assert new["pieces"] == old["pieces"]
            assert "⁇" not in new["text"]
            count = old["pieces"].count("<unk>")
            unknown += count
            assert (new["text"] == old["text"]) == (count == 0)
            assert sum(new["text"].count(word) for word in before["source"].split()) >= count
    assert unknown > 3


@pytest.mark.parametrize(
    ("data", "sources"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"\n\n", ["", ""]),
        (b"der Hund", ["der Hund"]),
        (b"der Hund\r\ndas Kind\r\n", ["der Hund", "das Kind"]),
        (b"\xef\xbb\xbfder Hund\n\xef\xbb\xbfdas Kind\n", ["der Hund", "\ufeffdas Kind"]),
    ],
    ids=repr,
)
def test_the_ends_of_lines_and_of_files(nmt: Any, make_run: MakeRun, tmp_path: Path, data: bytes, sources: list[str]) -> None:
    (tmp_path / "in").write_bytes(data)
    run = make_run("transformer_tiny")
    assert [record["source"] for record in objects(nmt("translate", run, "format=json", stdin=data))] == sources
    done = nmt("translate", run, f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}")
    assert (done.status, done.out) == (0, b"")
    assert (tmp_path / "out").read_bytes() == nmt("translate", run, stdin=data).out
    assert (tmp_path / "out").read_bytes().count(b"\n") == len(sources)


def test_a_command_says_what_python_says(nmt: Any, make_run: MakeRun, pairs: list[tuple[str, str]]) -> None:
    run = make_run("luong_tiny")
    sentences = [src for src, _ in pairs[:9]]
    translator = Translator.load(run)
    assert nmt("translate", run, stdin="\n".join(sentences).encode()).lines == translator.translate(sentences)
    sampled = translator.having(search="sample", seed=5).translate(sentences)
    arguments = ["translate", run, "decode=sample", "decode.seed=5"]
    assert nmt(*arguments, stdin="\n".join(sentences).encode()).lines == sampled
    assert nmt(*arguments, f"text={sentences[4]}").lines == [sampled[4]]  # company changes nothing
    assert nmt(*arguments[:3], "decode.seed=6", f"text={sentences[4]}").lines != [sampled[4]]


def test_a_file_of_many_chunks_keeps_its_order(
    nmt: Any, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    run, sentences = make_run("transformer_tiny"), [src for src, _ in pairs[:8]]
    (tmp_path / "in").write_text("\n".join(sentences), encoding="utf-8")
    (tmp_path / "begun").write_text("\n".join(["the", "", "a bird", "", "", "every", "", "my sister"]), encoding="utf-8")
    arguments = ["translate", run, f"input={tmp_path / 'in'}", f"prefixes={tmp_path / 'begun'}", "format=json"]
    together = objects(nmt(*arguments))
    monkeypatch.setattr(streams, "LINES", 3)
    apart = objects(nmt(*arguments))
    assert [record["source"] for record in apart] == sentences
    assert [r["translations"][0]["text"] for r in apart] == [r["translations"][0]["text"] for r in together]


def test_a_pipe_gets_what_has_arrived_before_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(reading, encoding="utf-8"))
    chunks = chunks_in(None)
    for data, expected in [(b"one\ntwo\nthr", ["one", "two"]), (b"ee\n", ["three"]), (b"four", None)]:
        os.write(writing, data)
        if expected is not None:
            assert next(chunks) == expected
    os.close(writing)
    assert list(chunks) == [["four"]]


def test_translations_begin_with_their_prefix(nmt: Any, make_run: MakeRun, tmp_path: Path) -> None:
    run, data = make_run("transformer_tiny"), b"der Hund\n\ndas Kind\n"
    tokenizer = Translator.load(run).tokenizer
    begun = tokenizer.pieces(tokenizer.encode(["the dog sees"], "tgt")[0], "tgt")
    for settings in ([], ["decode=sample"], ["decode=mbr", "decode.samples=3"]):
        found = objects(nmt("translate", run, "prefix=the dog sees", "format=json", *settings, stdin=data))
        assert [[t["pieces"][: len(begun)] for t in record["translations"]] for record in found] == [[begun], [], [begun]]
    (tmp_path / "begun").write_text("every teacher\nnothing\n\n", encoding="utf-8")
    found = objects(nmt("translate", run, f"prefixes={tmp_path / 'begun'}", "format=json", stdin=data))
    plain = objects(nmt("translate", run, "format=json", stdin=data))
    assert found[0]["translations"][0]["text"].startswith("every teacher")
    assert found[1:] == plain[1:]
    assert nmt("translate", run, "prefix=", "format=json", stdin=data).lines == [json_line(record) for record in plain]


def test_n_best_come_best_first_with_a_log_probability_for_every_piece(nmt: Any, make_run: MakeRun) -> None:
    for settings in (["decode=beam"], ["decode=mbr", "decode.samples=8"], ["decode=sample"]):
        (record,) = objects(
            nmt("translate", make_run("luong_tiny"), "text=der Hund", "format=json", "decode.n_best=3", *settings)
        )
        found = record["translations"]
        assert len(found) == 3
        scores = [translation["score"] for translation in found]
        assert scores == sorted(scores, reverse=True)
        for translation in found:
            assert len(translation["log_probs"]) == len(translation["pieces"]) + 1
            assert sum(translation["log_probs"]) == pytest.approx(translation["log_prob"], abs=1e-4)
            assert max(translation["log_probs"]) <= 0


def test_alignments_name_words_of_both_sides_and_a_model_without_attention_has_none(nmt: Any, make_run: MakeRun) -> None:
    sentence = "jeder Lehrer verkauft den grünen Wagen ."
    for model, aligned in (("luong_tiny", True), ("transformer_tiny", True), ("encdec_tiny", False)):
        (record,) = objects(nmt("translate", make_run(model), f"text={sentence}", "format=json"))
        (translation,) = record["translations"]
        assert ("alignment" in translation) == aligned
        links = [tuple(map(int, link.split("-"))) for link in translation.get("alignment", "").split()]
        words = max(1, sum(piece.startswith("▁") for piece in translation["pieces"][1:]) + 1)
        assert all(source < len(sentence.split()) and target < words for source, target in links)
        assert [target for _, target in links] == sorted({target for _, target in links})


def test_several_runs_of_several_kinds_translate_together(nmt: Any, make_run: MakeRun) -> None:
    runs = [make_run("transformer_tiny"), make_run("luong_tiny"), make_run("encdec_tiny")]
    done = nmt("translate", *runs, "decode=wu", "decode.replace_unknown=true", stdin=b"der Hund\ndas Kind\n")
    assert done.status == 0, done.err
    sentences = ["der Hund", "das Kind"]
    settings = {"beam": 5, "length_rule": "wu", "length_penalty": 0.2, "coverage_penalty": 0.2, "replace_unknown": True}
    assert done.lines == Translator.load(runs).having(**settings).translate(sentences)
    assert nmt("translate", f"run=[{runs[0]},{runs[1]}]", "text=der Hund").status == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["format=xml"], "format must be text or json, but is 'xml'"),
        (["text=x", "input=in"], r"text=… and input=FILE are two sources: give one"),
        (["prefix=x", "prefixes=in"], r"prefix=… is for all lines, prefixes=FILE has one for each: give one"),
        (["prefixes=one", "input=in"], r"one has fewer lines than the input"),
        (["prefixes=nowhere", "input=in"], r"nowhere cannot be read: No such file"),
        (["input=nowhere"], r"nowhere cannot be read: No such file"),
        (["input=latin"], r"latin: line 2 is not valid UTF-8"),
        (["output=no/folder/out"], r"output=no/folder/out: there is no folder .*no/folder; make it first"),
        (["output=folder"], r"Is a directory: folder"),
        (["decode.n_best=2"], r"decode\.n_best=2 needs format=json"),
        (
            ["decode.top_k=5"],
            r"decode\.top_k is not read by decode\.search=beam: add decode\.search=sample or decode\.search=mbr",
        ),
        (["decode=mbr", "decode.beam=3"], r"decode\.beam is not read by decode\.search=mbr"),
        (["decode.length_rule=none", "decode.length_penalty=0.5"], r"decode\.length_penalty is not read by .*=none"),
        (["decode.n_best=4", "format=json"], r"decode\.n_best \(4\) must be at most decode\.beam \(3\)"),
        (["decode.n_best=33", "decode=mbr", "format=json"], r"decode\.n_best \(33\) must be at most decode\.samples \(32\)"),
        (["decode.min_length=13"], r"decode\.min_length \(13\) is more than decode\.max_length \(12\)"),
        (["decode.search=greedy"], r"decode\.search must be one of beam, sample, mbr, but is 'greedy'"),
        (["decode.length_rule=gnmt"], r"decode\.length_rule must be one of average, wu, none, but is 'gnmt'"),
        (["decode.utility=ter"], r"decode\.utility must be one of chrf, bleu, but is 'ter'"),
        (["decode.temperature=0"], r"decode\.temperature must be at least 0\.001, but is 0"),
        (["decode.top_p=1.5"], r"decode\.top_p must be more than 0 and at most 1"),
        (["decode.top_k=-1"], r"decode\.top_k must be at least 0, but is -1"),
        (["decode.patience=0"], r"decode\.patience must be more than 0"),
        (["decode.beam=nan"], r"decode\.beam=nan"),
        (["decode=fast"], r"decode.*fast"),
        (["checkpoint=7"], r"checkpoint=7 is not in .*checkpoints; those there are: best, last, 1"),
        (["weights=ema"], r"only a run with train\.ema_decay has averages"),
        (["decode.max_sorce_length=9"], r"did you mean decode\.max_source_length\?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_said_in_a_line(
    nmt: Any, make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_text("der Hund\ndas Kind\n")
    (tmp_path / "one").write_text("the\n")
    (tmp_path / "latin").write_bytes("Ärztin\nÄrztin\n".encode().replace("\nÄ".encode(), b"\n\xc4"))
    (tmp_path / "folder").mkdir()
    done = nmt("translate", make_run("transformer_tiny"), *arguments, stdin=b"der Hund\n")
    assert (done.status, done.out, done.err.count("\n")) == (2, b"", 1), done
    assert re.search(message, done.err), done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "in", "latin", "one"]


def test_prefixes_that_remain_are_said_after_the_last_line(nmt: Any, make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "begun").write_text("the\nthe\n")
    done = nmt("translate", make_run("transformer_tiny"), f"prefixes={tmp_path / 'begun'}", stdin=b"der Hund\n")
    assert done.status == 2
    assert "begun has more lines than the input" in done.err


@pytest.mark.parametrize("key", ["decode.coverage_penalty=0.1", "decode.replace_unknown=true"])
def test_what_needs_attention_is_refused_without(nmt: Any, make_run: MakeRun, key: str) -> None:
    done = nmt("translate", make_run("encdec_tiny"), key, "text=der Hund")
    assert (done.status, done.out) == (2, b"")
    assert f"{key.partition('=')[0]} needs attention to the source, which this model has not" in done.err


def test_a_prefix_that_the_run_has_no_pieces_for_is_named(nmt: Any, make_run: MakeRun) -> None:
    done = nmt("translate", make_run("transformer_tiny", byte_fallback=False), "prefix=the 漢", "text=der Hund")
    assert (done.status, done.out) == (2, b"")
    assert "the prefix 'the 漢' has characters for which the run's tokenizer has no pieces" in done.err
    assert nmt("translate", make_run("transformer_tiny"), "prefix=the 漢", "text=der Hund").lines[0].startswith("the 漢")


def test_bytes_that_are_no_text_are_named_by_their_line(nmt: Any, make_run: MakeRun) -> None:
    done = nmt("translate", make_run("transformer_tiny"), stdin=b"der Hund\n\xff\n")
    assert (done.status, done.out) == (2, b"")
    assert "standard input: line 2 is not valid UTF-8" in done.err


@pytest.mark.parametrize(
    ("stream", "message"), [("stdin", "standard input is closed"), ("stdout", "standard output is closed")]
)
def test_a_closed_stream_is_said(
    nmt: Any, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, stream: str, message: str
) -> None:
    monkeypatch.setattr(
        "nmt.commands.streams.sys", type("Closed", (), {"stdin": sys.stdin, "stdout": sys.stdout, stream: None})
    )
    done = nmt("translate", make_run("transformer_tiny"), *(["text=x"] if stream == "stdout" else []))
    assert done.status == 2
    assert message in done.err


def test_an_output_appears_whole_and_may_be_the_input(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("source\n")
    with output_to(str(path)) as output:
        output.write(b"translation\n")
        assert path.read_text() == "source\n"
    assert path.read_text() == "translation\n"
    assert list(tmp_path.iterdir()) == [path]


def test_what_goes_wrong_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("old\n")
    with pytest.raises(KeyError), output_to(str(path)) as output:
        output.write(b"new\n")
        raise KeyError
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_output_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "text")
    with output_to(str(tmp_path / "link")) as output:
        output.write(b"new\n")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "text").read_text() == "new\n"


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: where its user is, and where a program reads."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.integration
def test_a_terminal_is_answered_line_by_line(make_run: MakeRun, terminal: tuple[int, int]) -> None:
    user, program = terminal
    command = [sys.executable, "-m", "nmt", "translate", str(make_run("transformer_tiny")), "threads=1", "format=json"]
    with subprocess.Popen(command, stdin=program, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for sentence in ("der Hund", "das Kind"):  # the second comes when the first is answered
            os.write(user, f"{sentence}\n".encode())
            assert json.loads(process.stdout.readline())["source"] == sentence
        os.write(user, b"\x04")  # Ctrl-D
        assert process.wait(60) == 0


@pytest.mark.integration
def test_whoever_stops_reading_ends_the_command_without_a_word(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("der Hund\n" * 2100)
    arguments = ["translate", str(make_run("transformer_tiny")), "threads=1", "decode=greedy", f"input={tmp_path / 'in'}"]
    command = [sys.executable, "-m", "nmt", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


@pytest.mark.parametrize("text", [r"\${oc.env:HOME}", "${oc.env:HOME}", r"a \\${b} \' c", "\\"])
def test_no_text_is_an_interpolation(nmt: Any, make_run: MakeRun, text: str) -> None:
    done = nmt("translate", make_run("transformer_tiny"), f"text={text}", "format=json")
    assert json.loads(done.out)["source"] == text


def test_two_names_of_a_run_are_refused(nmt: Any, make_run: MakeRun) -> None:
    run = make_run("transformer_tiny")
    done = nmt("translate", run, f"run={run}", "text=Hund")
    assert done.status == 2
    assert "both name a run" in done.err


def test_samples_do_not_depend_on_their_batch(make_run: MakeRun) -> None:
    translator = Translator.load(make_run("bahdanau_tiny"))
    sentences = ["der Hund", "das Kind sieht den Ball .", "die Katze", "der Hund hört die Katze im Garten ."] * 8
    for settings in ({}, {"top_p": 0.8}, {"top_k": 9}):
        drawing = translator.having(search="sample", n_best=3, **settings)
        found = [[t.texts for t in drawing.having(batch_size=size).search(sentences)] for size in (1, 7, 64)]
        assert found[0] == found[1] == found[2]


def test_iterators_are_texts_and_a_text_is_no_list(make_run: MakeRun) -> None:
    translator = Translator.load(make_run("transformer_tiny"))
    assert translator.translate(iter(["der Hund", "das Kind"])) == translator.translate(["der Hund", "das Kind"])
    with pytest.raises(UserError, match="targets must be a list"):
        translator.score(["der", "die"], "ab")
    with pytest.raises(UserError, match="prefixes must be a list"):
        translator.search(["der", "die"], "ab")
    with pytest.raises(UserError, match="translation 1 holds 0"):
        translator.score_pieces(["der"], [[0]])
