"""Scores are sacreBLEU's own, on text."""

import json
from pathlib import Path

import pytest
import sacrebleu

from nmt.evaluation.metrics import score
from nmt.evaluation.report import write_evaluation

HYPOTHESES = ["The dog sleeps under the table.", "A child reads", "Nobody knows\u2028why."]
REFERENCES = ["The dog is sleeping under the table.", "A child reads a book.", "Nobody knows why."]


def test_scores_and_signatures_are_sacrebleus() -> None:
    scores = score(HYPOTHESES, REFERENCES)
    assert scores["bleu"].score == pytest.approx(sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score)
    assert scores["chrf"].score == pytest.approx(sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score)
    version = sacrebleu.__version__
    assert scores["bleu"].signature == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"
    assert scores["chrf"].signature == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}"


def test_what_is_written_has_a_line_per_sentence_and_the_scores(tmp_path: Path) -> None:
    scores = score(HYPOTHESES, REFERENCES)
    write_evaluation(tmp_path / "x", sources=["a", "", "c"], references=REFERENCES, hypotheses=HYPOTHESES, scores=scores)
    assert (tmp_path / "x" / "hypotheses.txt").read_bytes().decode().split("\n") == [*HYPOTHESES, ""]
    assert (tmp_path / "x" / "sources.txt").read_bytes() == b"a\n\nc\n"
    written = json.loads((tmp_path / "x" / "scores.json").read_text())
    assert written["bleu"]["score"] == scores["bleu"].score
    assert written["chrf"]["signature"] == scores["chrf"].signature
