"""`nmt evaluate` on a small run that nobody trained: its translations are poor, and all the rest must be right."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from sacrebleu.tokenizers import tokenizer_ja_mecab

from nmt.cli import main
from nmt.commands.evaluate import evaluate_split
from nmt.components import build_corpus
from nmt.config import compose
from nmt.data.store import open_store
from nmt.data.tokenizer import Tokenizer
from nmt.decoding.loading import load_translator
from nmt.evaluation.metrics import METRICS, score
from nmt.run import Run
from nmt.tokenisation import Tokenisation
from nmt.training.checkpoint import MODEL, Contents
from nmt.training.loss import TrainedModel
from nmt.training.state import whole_weights
from nmt.training.validation import dev_batches, dev_loss, validate

Pair = tuple[str, str]
ODD = ["", "a\u2028b\u0085c\x0cd", "der\rHund", "漢字 😀 \u202eabc", "  zwei  Leerzeichen  ", "\u2029"]


def write(path: Path, lines: Sequence[str]) -> None:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer, pairs: list[Pair]) -> Run:
    """A run of `pairs` with its corpus beside it, whose dev and test hold odd lines."""
    folder = tmp_path_factory.mktemp("evaluate")
    texts = {"train": pairs, "dev": pairs[::17], "test": [*pairs[::13], *((line, line) for line in ODD)]}
    for split, chosen in texts.items():
        write(folder / f"{split}.de", [src for src, _ in chosen])
        write(folder / f"{split}.en", [tgt for _, tgt in chosen])
    data = [f"data.{split}={folder / split}" for split in texts]
    config = compose("train", ["model=transformer_tiny", "data=text", *data, "decode.beam=2", "decode.max_length=12"])
    corpus = build_corpus(config["data"])
    torch.manual_seed(1)
    made_of = {"fingerprints": {split: corpus.fingerprint(split) for split in corpus.splits()}}
    made = Run.create(folder / "run", config, tokenizer, corpus=made_of, environment={})
    contents = Contents({MODEL: whole_weights(made.build_model())}, {}, {"updates": 1, "best": [{"update": 1}]})
    made.checkpoints.finish(made.checkpoints.begin(1), contents, keep=1)
    return made


@pytest.fixture
def evaluate(run: Run, capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs the command in this process; returns stdout, stderr and what scores.json of a folder holds."""

    def command(*arguments: str, folder: Path | str = "test") -> tuple[str, str, dict[str, Any]]:
        status = main(["evaluate", str(run.directory), *arguments])
        output = capfd.readouterr()
        assert status == 0, output.err
        scores = (run.directory / "evaluation" / folder / "scores.json").read_text(encoding="utf-8")
        return output.out, output.err, json.loads(scores)

    return command


def lines_of(path: Path) -> list[str]:
    *lines, last = path.read_bytes().decode().split("\n")
    assert last == ""
    return lines


def test_every_line_has_its_translation_and_every_figure_its_place(run: Run, evaluate: Callable[..., Any]) -> None:
    stdout, stderr, scores = evaluate()
    folder = run.directory / "evaluation" / "test"
    corpus = list(build_corpus(run.config["data"]).pairs("test"))
    assert lines_of(folder / "sources.txt") == [src for src, _ in corpus]
    assert lines_of(folder / "references.txt") == [tgt for _, tgt in corpus]
    hypotheses = lines_of(folder / "hypotheses.txt")
    assert len(hypotheses) == len(corpus)
    by_hand = score(hypotheses, [tgt for _, tgt in corpus], METRICS)
    for name in METRICS:
        assert scores[name]["score"] == by_hand[name].score
        assert f"{by_hand[name].text}\n{by_hand[name].signature}\n" in stdout
    assert sum(one["sentences"] for one in scores["by_length"]) == len(corpus)
    assert scores["by_frequency_left_out"] is None
    assert sum(one["hypotheses"] for one in scores["by_frequency"]) > 0
    assert set(scores["rates"]) == {"hypotheses", "references"}
    assert scores["evaluated"]["text"] == "split=test"
    assert (folder / "breakdown.png").read_bytes().startswith(b"\x89PNG")
    assert f"translations and scores are in {folder}" in stderr


def test_validation_gives_the_translations_the_scores_and_the_loss_of_evaluate(run: Run, evaluate: Callable[..., Any]) -> None:
    _, _, scores = evaluate("split=dev", "breakdown=false", folder="dev")
    corpus = build_corpus(run.config["data"])
    sources, references = map(list, zip(*corpus.pairs("dev"), strict=True))
    translator = load_translator([run.directory], device="cpu")
    batches = dev_batches(open_store(corpus, "dev", run.tokenizer, run.directory.parent / "cache"), 100)
    loss = dev_loss(TrainedModel(translator.model, smoothing=0.1), batches, "fp32", torch.device("cpu"))
    valid = validate(translator, sources, references, loss)
    assert lines_of(run.directory / "evaluation" / "dev" / "hypotheses.txt") == valid.hypotheses
    assert scores["bleu"]["score"] == valid.score
    assert scores["chrf"]["score"] == valid.scores["chrf"].score
    assert scores["loss"]["per_token"] == pytest.approx(loss, rel=1e-5)
    assert scores["loss"]["words"] == sum(len(line.split()) + 1 for line in references)
    assert evaluate_split(run, corpus, "dev", translator, Tokenisation()) == valid.scores


def test_files_with_several_references(run: Run, evaluate: Callable[..., Any], pairs: list[Pair], tmp_path: Path) -> None:
    chosen = [*pairs[::50], *((line, line) for line in ODD)]
    write(tmp_path / "a.de", [src for src, _ in chosen])
    write(tmp_path / "A.en", [tgt for _, tgt in chosen])
    write(tmp_path / "B.en", [tgt.upper() for _, tgt in chosen])
    files = [f"input={tmp_path / 'a.de'}", f"reference=[{tmp_path / 'A.en'},{tmp_path / 'B.en'}]"]
    out = tmp_path / "out"
    stdout, _, scores = evaluate(*files, "metrics=[ter,chrf++]", f"output={out}", folder=out)
    assert lines_of(out / "sources.txt") == [src for src, _ in chosen]
    assert lines_of(out / "references-2.txt") == [tgt.upper() for _, tgt in chosen]
    assert "2 references" in stdout
    assert "bleu" not in scores
    assert "nrefs:2" in scores["ter"]["signature"]
    assert scores["loss"]["sentences"] == 2 * len(chosen)
    hypotheses = lines_of(out / "hypotheses.txt")
    again = score(hypotheses, [[tgt for _, tgt in chosen], [tgt.upper() for _, tgt in chosen]], ["chrf++"])
    assert scores["chrf++"]["score"] == again["chrf++"].score


def test_files_of_one_name_in_two_folders_leave_two_evaluations(run: Run, evaluate: Callable[..., Any], tmp_path: Path) -> None:
    for folder, text in (("x", "der Hund"), ("y", "die Katze")):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "news.de", [text])
        write(tmp_path / folder / "news.en", [text])
        files = [f"{key}={tmp_path / folder / name}" for key, name in (("input", "news.de"), ("reference", "news.en"))]
        evaluate(*files, "breakdown=false", "metrics=chrf")
    left = [path for path in (run.directory / "evaluation").iterdir() if path.name.startswith("input-news.de-")]
    assert sorted(lines_of(path / "sources.txt") for path in left) == [["der Hund"], ["die Katze"]]


def test_a_training_text_that_is_gone_or_another_is_said_and_left_out(run: Run, evaluate: Callable[..., Any]) -> None:
    train = run.directory.parent / "train.de"
    text = train.read_bytes()
    try:
        train.write_bytes(text.replace(b"Hund", b"Huhn"))
        _, stderr, scores = evaluate("split=dev", folder="dev")
        assert "no scores by the frequency of words: the training text is not the one" in stderr
        assert scores["by_frequency"] is None
        train.unlink()
        _, stderr, scores = evaluate("split=dev", folder="dev")
        assert "the training text cannot be read (data.train:" in stderr
        assert "cannot be read" in scores["by_frequency_left_out"]
        assert (run.directory / "evaluation" / "dev" / "breakdown.png").exists()
    finally:
        train.write_bytes(text)


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name, lines in (("three", ["a", "b", "c"]), ("two", ["a", "b\u2028c"]), ("empty", [])):
        write(tmp_path / name, lines)
    (tmp_path / "latin").write_bytes(b"caf\xe9\nb\nc\n")


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["input=three", "reference=two"], r"three has 3 lines but two has 2: line N"),
        (["input=three", "reference=[three,two]"], r"three has 3 lines but two has 2: line N"),
        (["input=three", "reference=empty"], r"empty is empty"),
        (["input=empty", "reference=empty"], r"empty is empty"),
        (["input=three", "reference=[]"], r"reference=FILE must name a file"),
        (["input=three", "reference=nowhere"], r"nowhere cannot be read: No such file"),
        (["input=three", "reference=latin"], r"latin: line 1 is not valid UTF-8"),
        (["input=three"], r"input=FILE and reference=FILE go together"),
        (["input=three", "reference=three", "testset=wmt14"], r"two texts: give one"),
        (["metrics=[bleu,meteor]"], r"no metric meteor: .*bleu, chrf, chrf\+\+, ter, comet"),
        (["metrics=[]"], r"metrics must name at least one"),
        (["tokenize=moses"], r"tokenize must be one of .*'moses'"),
        (["split=train"], r"split must be dev or test, but is 'train'"),
        (["testset=wmt14/ful"], r"no test set 'wmt14/ful': near are wmt14/full"),
        (["testset=wmt14", "langpair=de-fr"], r"no language pair de-fr: .*cs-en, de-en"),
        (["testset=wmt14", "archive=nowhere"], r"archive: nowhere does not exist"),
        (["langpair=de-en"], r"langpair= is about a test set"),
        (["output=three"], r"output=three is a file"),
        (["output=three/x/y"], r"three/x/y cannot be written, because of .*three: choose another folder with output="),
        (["output=."], r"output=\. holds files but is not an evaluation"),
        (["checkpoint=7"], r"checkpoint=7 is not in"),
    ],
)
def test_what_cannot_be_evaluated_is_named_and_nothing_is_written(
    run: Run, text: None, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], pattern: str
) -> None:
    before = set(run.directory.rglob("*")) | set(tmp_path.iterdir())
    assert main(["evaluate", str(run.directory), *arguments]) == 2
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1, output.err
    assert re.search(pattern, output.err), output.err
    assert set(run.directory.rglob("*")) | set(tmp_path.iterdir()) == before


def test_files_are_scored_by_the_words_of_the_target_language(run: Run, evaluate: Callable[..., Any], tmp_path: Path) -> None:
    write(tmp_path / "a.de", ["der Hund", "die Katze"])
    write(tmp_path / "a.zh", ["我喜欢狗。", "他看见一只猫。"])
    files = [f"input={tmp_path / 'a.de'}", f"reference={tmp_path / 'a.zh'}", f"output={tmp_path / 'out'}"]
    for keys, words in (
        (["data.tgt=zh-Hans"], "zh"),
        (["data.tgt=ZH_tw"], "zh"),
        (["data.tgt=zh", "tokenize=char"], "char"),
        (["data.tgt=zh-Latn-pinyin"], "13a"),
    ):
        _, stderr, scores = evaluate(*files, *keys, folder=tmp_path / "out")
        assert f"|tok:{words}|" in scores["bleu"]["signature"]
        assert ("set tokenize=" in stderr) == (words == "13a")
        by_hand = score(
            [*lines_of(tmp_path / "out" / "hypotheses.txt")], [*lines_of(tmp_path / "a.zh")], ["bleu"], Tokenisation(words)
        )
        assert scores["by_length"][0]["bleu"] == by_hand["bleu"].score == scores["bleu"]["score"]


def test_chrf_leads_in_a_language_that_nothing_cuts(run: Run, evaluate: Callable[..., Any], tmp_path: Path) -> None:
    write(tmp_path / "a.de", ["der Hund"])
    write(tmp_path / "a.th", ["ผมชอบหมา"])
    files = [f"input={tmp_path / 'a.de'}", f"reference={tmp_path / 'a.th'}", f"output={tmp_path / 'out'}"]
    stdout, stderr, scores = evaluate(*files, "data.tgt=tha_Thai", folder=tmp_path / "out")
    assert stderr.count("sacreBLEU has no tokenizer for tha_Thai, which has no spaces") == 1
    assert stdout.startswith("chrF2 = ")
    assert list(scores)[:2] == ["chrf", "bleu"]
    assert scores["by_frequency"] is None
    stdout, stderr, scores = evaluate(*files, "data.tgt=tha_Thai", "tokenize=char", folder=tmp_path / "out")
    assert "no tokenizer" not in stderr
    assert stdout.startswith("BLEU = ")


def test_a_missing_package_ends_an_evaluation_before_it_begins_and_matters_to_nothing_else(
    run: Run, text: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer_ja_mecab, "MeCab", None)
    files = ["input=three", "reference=three", "data.tgt=ja", "output=out"]
    assert main(["evaluate", str(run.directory), *files]) == 2
    line = capfd.readouterr().err
    assert "pip install 'sacrebleu[ja]'" in line
    assert line.count("\n") == 1
    assert not Path("out").exists()
    assert main(["evaluate", str(run.directory), *files, "tokenize=char"]) == 0
    assert main(["evaluate", str(run.directory), *files, "metrics=chrf", "breakdown=false"]) == 0
