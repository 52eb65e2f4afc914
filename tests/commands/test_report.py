"""`nmt report`: scores of one kind of words beside each other, a p-value of just these, and a note where they differ."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from nmt.cli import main
from nmt.config import compose
from nmt.evaluation.metrics import as_json, score
from nmt.tokenisation import Tokenisation, tokenisation_of

CHINESE = [
    f"{who}{does}{what}。" for who in ("我", "老师", "小猫") for does in ("喜欢", "看见") for what in ("大狗", "红花", "书")
]
THAI = [f"{who}{does}{what}" for who in ("ผม", "ครู", "แมว") for does in ("ชอบ", "เห็น") for what in ("หมา", "ดอกไม้", "หนังสือ")]


def finished(
    run: Path, keys: Sequence[str], references: Sequence[str], hypotheses: Sequence[str], *, old: bool = False
) -> None:
    """A run that has ended with these translations; an old one knew only 13a and told no signatures."""
    config = compose("train", ["data=text", "data.src=en", "data.train=t", *keys])
    words = Tokenisation() if old else tokenisation_of(config)
    scores = score(hypotheses, references, words.ordered(), words)
    figures = {name: one.score for name, one in scores.items()}
    result: dict[str, Any] = {"model": "transformer", "parameters": 9, "updates": 5, "best_update": 5, "seconds": 1.0}
    result |= {"target_tokens_per_second": 1.0, "dev": {words.leading: figures[words.leading]}, "test": figures}
    if old:
        del config["tokenize"]
    else:
        result["signatures"] = {name: one.signature for name, one in scores.items()}
    folder = run / "evaluation" / "test"
    folder.mkdir(parents=True)
    (run / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    (run / "result.json").write_text(json.dumps(result))
    (folder / "scores.json").write_text(json.dumps(as_json(scores)))
    for name, lines in (("references", references), ("hypotheses", hypotheses)):
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def report(folder: Path, capfd: pytest.CaptureFixture[str]) -> tuple[str, str, list[str]]:
    """What it prints on stdout and stderr, and the p-values."""
    assert main(["report", str(folder), f"output={folder / 'out'}"]) == 0
    output = capfd.readouterr()
    table = [line.split(" | ") for line in (folder / "out" / "table.md").read_text().splitlines() if line.startswith("| ")]
    place = table[0].index("p")
    return output.out, output.err, [row[place] for row in table[2:]]


def test_the_test_of_significance_is_of_the_words_that_the_runs_are_scored_by(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    finished(tmp_path / "a", ["data.tgt=zh_CN"], CHINESE, CHINESE)
    finished(tmp_path / "b", ["data.tgt=zh_CN", "model.dropout=0.3"], CHINESE, [line[1:] for line in CHINESE])
    out, err, (first, second) = report(tmp_path, capfd)
    assert first == ""
    assert float(second) < 0.01  # with 13a both score 0, and p is 1
    assert "BLEU: nrefs:1|case:mixed|eff:no|tok:zh|" in out
    assert "cannot be compared" not in err
    assert "tok:zh" in (tmp_path / "out" / "table.md").read_text()


def test_scores_of_an_older_nmt_stay_apart_from_those_of_other_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    finished(tmp_path / "a", ["data.tgt=zh"], CHINESE, CHINESE)
    finished(tmp_path / "b", ["data.tgt=zh", "model.dropout=0.3"], CHINESE, CHINESE[::-1], old=True)
    _, err, (_, second) = report(tmp_path, capfd)
    assert second == ""
    assert "BLEU of tok:13a and tok:zh cannot be compared" in err
    assert "where its words are cut otherwise: tok:zh in model.dropout=0.1; tok:13a in model.dropout=0.3" in err
    assert "cut otherwise" in (tmp_path / "out" / "table.md").read_text()


def test_where_chrf_leads_it_comes_first_and_is_tested(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    finished(tmp_path / "a", ["data.tgt=th"], THAI, THAI)
    finished(tmp_path / "b", ["data.tgt=th", "model.dropout=0.3"], THAI, [line[3:] for line in THAI])
    out, _, (_, second) = report(tmp_path, capfd)
    heads = [head.strip() for head in out.splitlines()[1].strip("┃").split("┃")]
    assert heads[2:5] == ["dev chrF", "test chrF", "test BLEU"]
    assert float(second) < 0.01
    assert (tmp_path / "out" / "table.csv").read_text().startswith("setting,runs,dev_chrf_mean,dev_chrf_sd,test_chrf_mean,")


def test_runs_of_which_bleu_leads_in_some_have_a_dev_column_each(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    finished(tmp_path / "a", ["data.tgt=th"], THAI, THAI)
    finished(tmp_path / "b", ["data.tgt=th", "tokenize=char"], THAI, THAI)
    out, err, (_, second) = report(tmp_path, capfd)
    heads = [head.strip() for head in out.splitlines()[1].strip("┃").split("┃")]
    assert heads[2:6] == ["dev chrF", "dev BLEU", "test chrF", "test BLEU"]
    assert "tok:char in " in err
    assert second == "1.0000"  # of chrF, which is of no words


def test_a_result_with_another_signature_than_text_is_damaged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    finished(tmp_path / "a", ["data.tgt=zh"], CHINESE, CHINESE)
    path = tmp_path / "a" / "result.json"
    good = json.loads(path.read_text())
    for bad in ({"signatures": {"bleu": 3}}, {"signatures": "tok:zh"}, {"dev": {}}, {"dev": {"bleu": 1.0, "chrf": 2.0}}):
        path.write_text(json.dumps(good | bad))
        assert main(["report", str(tmp_path)]) == 2
        assert "result.json is damaged" in capfd.readouterr().err
