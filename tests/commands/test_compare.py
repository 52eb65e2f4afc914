"""`nmt compare`: what it prints and leaves, which texts it takes, and what it refuses."""

import json
import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from sacrebleu.metrics.bleu import BLEU

from nmt.cli import main
from nmt.config import compose
from nmt.data.tokenizer import Tokenizer
from nmt.run import Run
from nmt.training.checkpoint import MODEL, Contents
from nmt.training.state import whole_weights

SOURCES = ["ein Hund schläft .", "eine Katze isst .", "zwei Vögel\u2028singen .", "das Ende ."]
REFERENCES = ["a dog sleeps .", "a cat eats .", "two birds\u2028sing .", "the end ."]
BASELINE = ["a dog sleeps .", "a cow eats .", "two birds .", "end"]
OTHER = ["a dog eats .", "a cat eats .", "two birds\u2028sing .", "the end ."]
QUICK = ["samples.bs=20", "samples.ar=20"]


def write(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def evaluation(run: str, hypotheses: list[str], split: str = "test", references: list[str] | None = None) -> None:
    """What `nmt evaluate` leaves of the texts."""
    folder = Path(run) / "evaluation" / split
    write(folder / "sources.txt", SOURCES)
    write(folder / "references.txt", references or REFERENCES)
    write(folder / "hypotheses.txt", hypotheses)
    write(folder / "scores.json", ["{}"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two evaluated runs, a and b, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))
    evaluation("a", BASELINE)
    evaluation("b", OTHER)
    return tmp_path


def error_of(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The last line on stderr of a command that must end with status 2, without output."""
    status = main(["compare", *arguments])
    output = capfd.readouterr()
    assert status == 2, output.err
    assert output.out == ""
    assert not Path("comparisons").exists()
    return output.err.rstrip("\n").split("\n")[-1]


def test_two_runs_give_a_table_a_page_and_data(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "a", "b", *QUICK]) == 0
    output = capfd.readouterr()
    score = BLEU().corpus_score(OTHER, [REFERENCES]).score
    assert f"{score:.2f}" in output.out
    assert "BLEU: b is better than a by" in output.out
    assert "nrefs:1|bs:20|seed:12345|" in output.out
    left = Path("comparisons/a+b/test")
    assert str(left / "compare.html") in output.err
    assert "<table>" in (left / "compare.html").read_text(encoding="utf-8")
    data = json.loads((left / "compare.json").read_text(encoding="utf-8"))
    assert data["baseline"] == "a"
    assert data["sentences"] == 4
    assert list(data["metrics"]) == ["bleu", "chrf"]
    found = data["metrics"]["bleu"]["systems"]["b"]
    assert found["score"] == score
    assert set(found["p"]) == {"bs", "ar"}
    won, lost = (data["examples"]["b"][side] for side in ("won", "lost"))
    assert {example["line"] for example in won} == {2, 3, 4}
    assert [example["line"] for example in lost] == [1]
    third = next(example for example in won if example["line"] == 3)
    assert third["source"] == SOURCES[2]
    assert third["other"] == OTHER[2]


def test_tests_metrics_examples_and_folder_can_be_chosen(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "a", "b", "test=ar", "metrics=[ter,chrf++]", "examples=0", "output=else where", *QUICK]) == 0
    assert "chrF2++" in capfd.readouterr().out
    data = json.loads(Path("else where/compare.json").read_text(encoding="utf-8"))
    assert list(data["metrics"]) == ["ter", "chrf++"]
    assert list(data["metrics"]["ter"]["signatures"]) == ["ar"]
    assert data["metrics"]["ter"]["systems"]["b"]["mean"] is None
    assert data["examples"] == {}


def test_files_from_elsewhere_stand_beside_runs_and_each_other(capfd: pytest.CaptureFixture[str]) -> None:
    write(Path("their=output.txt"), OTHER)  # which looks like an override
    assert main(["compare", "a", "their=output.txt", "b", *QUICK]) == 0
    data = json.loads(Path("comparisons/a+their=output.txt+b/test/compare.json").read_text(encoding="utf-8"))
    systems = data["metrics"]["chrf"]["systems"]
    assert systems["their=output.txt"] == systems["b"]
    write(Path("ref.en"), REFERENCES)
    files = ["compare", "a/evaluation/test/hypotheses.txt", "their=output.txt", "reference=ref.en"]
    assert main([*files, "output=one", *QUICK]) == 0
    assert main([*files, "input=a/evaluation/test/sources.txt", "output=two", *QUICK]) == 0
    capfd.readouterr()
    one, two = (json.loads(Path(f"{name}/compare.json").read_text(encoding="utf-8")) for name in ("one", "two"))
    assert one["metrics"]["bleu"]["systems"]["their=output.txt"] == data["metrics"]["bleu"]["systems"]["b"]
    assert one["metrics"] == two["metrics"]
    assert [example["source"] for example in one["examples"]["their=output.txt"]["lost"]] == [None]
    assert [example["source"] for example in two["examples"]["their=output.txt"]["lost"]] == [SOURCES[0]]


def test_any_evaluation_that_runs_have_can_be_compared_with_all_its_references(capfd: pytest.CaptureFixture[str]) -> None:
    for run, lines in (("a", BASELINE), ("b", OTHER)):
        evaluation(run, lines, "news")
        for number in (2, 10):
            write(Path(run) / "evaluation" / "news" / f"references-{number}.txt", BASELINE if number == 2 else OTHER)
    assert main(["compare", "a", "b", "split=news", *QUICK]) == 0
    assert "nrefs:3|" in capfd.readouterr().out
    data = json.loads(Path("comparisons/a+b/news/compare.json").read_text(encoding="utf-8"))
    assert data["metrics"]["bleu"]["systems"]["a"]["score"] == pytest.approx(100)
    write(Path("b/evaluation/news/references-2.txt"), OTHER)
    line = error_of_news(capfd)
    assert "their references differ: a/evaluation/news/references-2.txt and b/evaluation/news/references-2.txt" in line


def error_of_news(capfd: pytest.CaptureFixture[str]) -> str:
    assert main(["compare", "a", "b", "split=news", *QUICK]) == 2
    return capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ([], r"needs two or more runs.*none was given"),
        (["a"], r"needs two or more runs.*only a was given"),
        (["a", "a/"], r"a is given twice"),
        (["a", "c"], r"c does not exist"),
        (["a", "b", "split=valid"], r"a is not a run: it has no config\.yaml"),
        (["a", "b", "metrics=[bleu,blue]"], r"there is no metric blue: .*those there are: bleu, chrf, chrf\+\+, ter$"),
        (["a", "b", "metrics=[]"], r"metrics must name at least one"),
        (["a", "b", "test=t"], r"test must be one of bs \(paired bootstrap\), ar \(.*\) or both, but is 't'"),
        (["a", "b", "samples.ar=0"], r"samples\.ar must be at least 1, but is 0"),
        (["a", "b", "examples=-1"], r"examples must be at least 0, but is -1"),
        (["a", "b", "example=1"], r"there is no key example: did you mean examples\?"),
        (["a", "b", "device=tpu"], r"device must be auto, cpu"),
        (["a", "b", "output=short"], r"output=short is a file"),
        (["a", "short"], r"short has 1 lines but a/evaluation/test/references\.txt has 4"),
        (["a", "empty"], r"empty is empty"),
        (["a", "latin"], r"latin: line 1 is not valid UTF-8"),
        (["short", "empty", "reference=nowhere"], r"nowhere cannot be read: No such file"),
        (["short", "latin2"], r"files of translations bring no references: set reference=FILE"),
        (["a", "b", "reference=short"], r"references differ: short has 1 lines, a/evaluation/test/references\.txt has 4"),
        (
            ["a", "b", "input=a/evaluation/test/hypotheses.txt"],
            r"sources differ: .*hypotheses\.txt and a/.*line 1 is the first",
        ),
    ],
)
def test_what_cannot_be_compared_is_named(capfd: pytest.CaptureFixture[str], arguments: list[str], pattern: str) -> None:
    write(Path("short"), ["one"])
    write(Path("latin2"), ["two"])
    Path("empty").touch()
    Path("latin").write_bytes(b"\xe4\n" * 4)
    line = error_of(capfd, *arguments)
    assert re.search(pattern, line), line


def test_runs_with_other_references_are_both_named_with_the_first_line(capfd: pytest.CaptureFixture[str]) -> None:
    evaluation("c", OTHER, references=[*REFERENCES[:2], "two birds", REFERENCES[3]])
    line = error_of(capfd, "a", "b", "c")
    assert "their references differ: a/evaluation/test/references.txt and c/evaluation/test/references.txt (line 3 " in line


def test_a_seed_that_sacrebleu_cannot_take_is_refused(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SACREBLEU_SEED", "soon")
    assert "SACREBLEU_SEED must be a whole number, or none, but is 'soon'" in error_of(capfd, "a", "b")


@pytest.fixture
def unevaluated(folder: Path, tokenizer: Tokenizer) -> Run:
    """A run that has a checkpoint and a corpus, but no evaluation."""
    write(folder / "test.de", SOURCES)
    write(folder / "test.en", REFERENCES)
    stems = ["data=text", "data.src=de", "data.tgt=en", f"data.train={folder}/test", f"data.test={folder}/test"]
    config = compose("train", ["model=transformer_tiny", "decode.beam=1", "decode.max_length=5", *stems])
    run = Run.create(folder / "new", config, tokenizer, corpus={}, environment={})
    contents = Contents({MODEL: whole_weights(run.build_model())}, {}, {"updates": 1, "best": [{"update": 1}]})
    run.checkpoints.finish(run.checkpoints.begin(1), contents, keep=1)
    return run


def test_a_run_without_an_evaluation_is_evaluated_first(unevaluated: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "a", "new", "threads=1", *QUICK]) == 0
    assert "new has no translations of test yet: it is translated first" in capfd.readouterr().err
    folder = unevaluated.directory / "evaluation" / "test"
    stored = json.loads((folder / "scores.json").read_text(encoding="utf-8"))["bleu"]["score"]
    data = json.loads(Path("comparisons/a+new/test/compare.json").read_text(encoding="utf-8"))
    assert data["metrics"]["bleu"]["systems"]["new"]["score"] == stored
    assert (folder / "references.txt").read_bytes() == Path("a/evaluation/test/references.txt").read_bytes()
    assert main(["compare", "a", "new", "threads=1", *QUICK]) == 0
    assert "translated first" not in capfd.readouterr().err


def test_what_keeps_a_run_from_being_evaluated_is_said(unevaluated: Run, capfd: pytest.CaptureFixture[str]) -> None:
    Path("test.en").unlink()
    line = error_of(capfd, "a", "new")
    assert re.search(r"new has no evaluation/test, and none can be made: .*test\.en", line), line
    assert "new has no evaluation/news; split must be dev, test or what it has: nothing" in error_of(
        capfd, "new", "a/evaluation/test/hypotheses.txt", "split=news"
    )


def test_nothing_is_translated_while_others_cannot_be_compared(unevaluated: Run, capfd: pytest.CaptureFixture[str]) -> None:
    evaluation("c", OTHER[:3], references=REFERENCES[:3])
    assert "their references differ" in error_of(capfd, "new", "a", "c")
    assert not (unevaluated.directory / "evaluation").exists()


def trained(run: str, *keys: str) -> None:
    """The config of a training, beside the evaluation that a run has."""
    config = compose("train", ["data=text", "data.src=de", "data.train=t", *keys])
    (Path(run) / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)), encoding="utf-8")


def test_runs_are_compared_by_the_words_of_their_language(capfd: pytest.CaptureFixture[str]) -> None:
    for run, lines in (("a", ["我喜欢狗。", "他走了很远。"] * 2), ("b", ["我喜欢大狗。", "他走了很远。"] * 2)):
        trained(run, "data.tgt=zho_Hans")
        evaluation(run, lines, references=["我喜欢大狗。", "他走了很远。"] * 2)
    assert main(["compare", "a", "b", *QUICK]) == 0
    assert "|tok:zh|" in capfd.readouterr().out
    data = json.loads(Path("comparisons/a+b/test/compare.json").read_text(encoding="utf-8"))
    assert data["metrics"]["bleu"]["systems"]["b"]["score"] == pytest.approx(100)


def test_runs_that_were_scored_by_other_words_are_refused_unless_the_words_are_chosen(
    capfd: pytest.CaptureFixture[str],
) -> None:
    trained("a", "data.tgt=en")
    trained("b", "data.tgt=en", "tokenize=char")
    line = error_of(capfd, "a", "b", *QUICK)
    assert "it has scored a with tok:13a, b with tok:char: set tokenize=" in line
    assert main(["compare", "a", "b", "metrics=[chrf]", "output=x", *QUICK]) == 0
    assert main(["compare", "a", "b", "tokenize=intl", "output=x", *QUICK]) == 0
    assert "|tok:intl|" in capfd.readouterr().out


def test_another_bleu_than_an_evaluation_has_left_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    write(Path("b/evaluation/test/scores.json"), ['{"bleu": {"score": 1.0, "signature": "nrefs:1|tok:char|version:2"}}'])
    assert main(["compare", "a", "b", *QUICK]) == 0
    assert "b/evaluation/test was scored otherwise (nrefs:1|tok:char|version:2); here every BLEU is of tok:13a" in (
        capfd.readouterr().err
    )


def test_files_of_a_script_without_spaces_ask_for_a_tokenizer_and_thai_runs_are_led_by_chrf(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write(Path("x"), ["我喜欢狗。"] * 4)
    write(Path("y"), ["我喜欢猫。"] * 4)
    assert main(["compare", "x", "y", "reference=x", *QUICK]) == 0
    assert "set tokenize=zh, ja-mecab, char or flores200" in capfd.readouterr().err
    assert main(["compare", "x", "y", "reference=x", "tokenize=zh", *QUICK]) == 0
    assert "set tokenize=" not in capfd.readouterr().err
    for run in ("a", "b"):
        trained(run, "data.tgt=th")
    assert main(["compare", "a", "b", *QUICK]) == 0
    assert "no tokenizer for th" in capfd.readouterr().err
    assert list(json.loads(Path("comparisons/a+b/test/compare.json").read_text())["metrics"]) == ["chrf", "bleu"]
