"""Training into languages without spaces between words, by the command line: what is scored, how it is signed, what leads."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.tokenizers import tokenizer_ja_mecab

from nmt.cli import main

pytestmark = pytest.mark.integration

WORDS = {
    "en": (["dog", "cat", "bird", "teacher"], ["sees", "finds", "likes"], "the {} {} the {} ."),
    "zh_CN": (["狗", "猫", "小鸟", "老师"], ["看见", "找到", "喜欢"], "{}{}那只{}。"),
    "tha_Thai": (["หมา", "แมว", "นก", "ครู"], ["เห็น", "พบ", "ชอบ"], "{}{}{}"),
}
SMALL = [
    *("model=transformer_tiny", "data=text", "data.src=en", "tokenizer.vocab_size=300", "train.tokens_per_batch=400"),
    *("train.max_updates=6", "train.validate_every=3", "train.checkpoint_every=3", "train.threads=1", "schedule=constant"),
    *("optimizer.lr=3e-3", "decode.beam=1", "decode.max_length=12"),
]


def nmt(*arguments: object) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run([sys.executable, "-m", "nmt", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Keys of a corpus in three languages."""
    folder = tmp_path_factory.mktemp("languages")
    for language, (nouns, verbs, pattern) in WORDS.items():
        lines = [pattern.format(a, verb, b) for a in nouns for verb in verbs for b in nouns]
        for split, chosen in (("train", lines), ("dev", lines[::7]), ("test", lines[::9])):
            (folder / f"{split}.{language}").write_text("".join(f"{line}\n" for line in chosen), encoding="utf-8")
    return [*(f"data.{split}={folder / split}" for split in ("train", "dev", "test")), f"paths.cache={folder / 'cache'}"]


def lines_of(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] == kind]


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_signature_of_a_run_into_chinese_has_its_tokenizer(texts: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = nmt("train", *SMALL, *texts, "data.tgt=zh_CN", f"run_dir={run}")
    nmt("average", run, "threads=1")
    valid = lines_of(run, "valid")
    assert len(valid) == 2
    signed = [line["signatures"]["bleu"] for line in valid]
    signed += [read(run / "result.json")["signatures"]["bleu"], read(run / "evaluation/test/scores.json")["bleu"]["signature"]]
    signed += [row["bleu"]["signature"] for row in read(run / "evaluation/average.json").values()]
    signed += re.findall(r"nrefs:\S*eff:no\S*", done.stdout + (run / "train.log").read_text(encoding="utf-8"))
    assert len(signed) == 2 + 2 + 3 + 3
    assert {re.search(r"tok:[^|]*", one)[0] for one in signed} == {"tok:zh"}  # type: ignore[index]
    assert read(run / "result.json")["dev"] == {"bleu": max(line["valid/bleu"] for line in valid)}
    evaluated = nmt("evaluate", run, "split=dev", "threads=1", "metrics=bleu").stdout
    assert "tok:zh" in evaluated
    assert f"BLEU = {read(run / 'result.json')['dev']['bleu']:.2f} " in evaluated


def test_thai_is_chosen_and_reported_by_chrf(texts: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = nmt("train", *SMALL, *texts, "data.tgt=tha_Thai", f"run_dir={run}")
    assert done.stderr.count("no tokenizer for tha_Thai") == 1
    said = [line for line in done.stderr.splitlines() if "dev loss" in line]
    assert len(said) == 2
    assert all(re.search(r"chrF \d+\.\d\d  BLEU \d+\.\d\d", line) for line in said)
    assert "dev chrF" in done.stdout and "dev BLEU" not in done.stdout
    valid = {line["update"]: line["valid/chrf"] for line in lines_of(run, "valid")}
    result = read(run / "result.json")
    assert result["dev"] == {"chrf": max(valid.values())}
    assert valid[result["best_update"]] == max(valid.values())
    assert lines_of(run, "final")[0]["final/dev_chrf"] == max(valid.values())
    state = read(run / "checkpoints" / "best" / "state.json")["best"][0]
    assert state["score"] == max(valid.values())
    assert "dev chrF" in nmt("report", run).stdout


def test_a_package_that_the_language_needs_is_named_before_any_text_is_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer_ja_mecab, "MeCab", None)
    keys = [*SMALL, "data.tgt=ja-JP", "data.train=nowhere", "data.dev=nowhere"]
    one, several = [f"run_dir={tmp_path / 'run'}"], ["-m", f"sweep_dir={tmp_path / 'sweep'}", "seed=1,2"]
    for chosen in (one, several):
        assert main(["train", *chosen, *keys]) == 2
        line = capfd.readouterr().err
        assert "mecab-python3 and ipadic" in line and "tokenize=char" in line
        assert "nowhere" not in line
    assert list(tmp_path.iterdir()) == []
    assert main(["train", *one, *keys, "tokenize=char"]) == 2
    assert "nowhere" in capfd.readouterr().err
