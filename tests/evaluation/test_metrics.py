"""Scores are sacreBLEU's own, on text."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sacrebleu

from nmt.errors import UserError
from nmt.evaluation.metrics import METRICS, check_metrics, score
from nmt.evaluation.report import write_evaluation
from nmt.tokenisation import Tokenisation

HYPOTHESES = ["The dog sleeps under the table.", "A child reads", "Nobody knows\u2028why."]
REFERENCES = ["The dog is sleeping under the table.", "A child reads a book.", "Nobody knows why."]
ODD = [
    "",
    "a\u2028b\u0085c \x0c d\u2029",
    "Two  spaces at the end.  ",
    "\tA tab.\t",
    "car\rriage",
    "漢字 😀 \u202eabc",
    "\ufeffmark\u00a0",
]


def test_scores_and_signatures_are_sacrebleus() -> None:
    scores = score(HYPOTHESES, REFERENCES)
    assert scores["bleu"].score == pytest.approx(sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score)
    assert scores["chrf"].score == pytest.approx(sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score)
    version = sacrebleu.__version__
    assert scores["bleu"].signature == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"
    assert scores["chrf"].signature == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}"


def by_the_program(folder: Path, *references: str) -> dict[str, tuple[float, str]]:
    """Figure and signature of each metric as the `sacrebleu` program finds them in the files of an evaluation."""
    files = [*(str(folder / name) for name in references), "-i", str(folder / "hypotheses.txt"), "-w", "10"]
    found = {}
    for options in (["-m", "bleu", "chrf", "ter"], ["-m", "chrf", "--chrf-word-order", "2"]):
        command = [sys.executable, "-m", "sacrebleu", *files, *options]
        output = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for one in output if isinstance(output, list) else [output]:
            found[{"chrF2": "chrf", "chrF2++": "chrf++"}.get(one["name"], one["name"].lower())] = one["score"], one["signature"]
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_the_sacrebleu_program_finds_the_same_in_the_files_whatever_they_hold(tmp_path: Path, count: int) -> None:
    hypotheses = [*HYPOTHESES, *ODD]
    references = [[*REFERENCES, *ODD], [*HYPOTHESES[::-1], *ODD[::-1]], [""] * len(hypotheses)][:count]
    scores = score(hypotheses, references, METRICS)
    write_evaluation(tmp_path, sources=hypotheses, references=references, hypotheses=hypotheses, scores=scores)
    names = ["references.txt", "references-2.txt", "references-3.txt"][:count]
    found = by_the_program(tmp_path, *names)
    assert set(found) == set(METRICS)
    for name, (figure, signature) in found.items():
        assert scores[name].score == pytest.approx(figure, abs=1e-9)
        assert scores[name].signature == signature
        assert f"nrefs:{count}" in signature or "nrefs:var" in signature
    for name, lines in zip(names, references, strict=True):
        assert (tmp_path / name).read_bytes().decode().split("\n") == [*lines, ""]


def test_one_sequence_of_references_is_a_list_of_one(tmp_path: Path) -> None:
    assert score(HYPOTHESES, REFERENCES, METRICS) == score(HYPOTHESES, [REFERENCES], METRICS)
    assert score(HYPOTHESES, [REFERENCES, HYPOTHESES])["bleu"].score == pytest.approx(100)


def test_white_space_at_the_end_of_a_line_counts_for_nothing() -> None:
    spaced = [f"{line} \u2028\t" for line in HYPOTHESES]
    assert score(spaced, REFERENCES, METRICS) == score(HYPOTHESES, REFERENCES, METRICS)


def test_metrics_are_named_in_any_case_once_each_and_an_unknown_one_lists_them() -> None:
    assert check_metrics("BLEU") == ["bleu"]
    assert check_metrics(["ter", "chrF++", "ter"]) == ["ter", "chrf++"]
    with pytest.raises(UserError, match=r"no metric blue: did you mean bleu\? those there are: bleu, chrf, chrf\+\+, ter"):
        check_metrics(["blue"])
    with pytest.raises(UserError, match="at least one of bleu"):
        check_metrics([])


def test_bleu_counts_with_the_words_of_the_language_or_those_asked_for() -> None:
    text, other = ["我喜欢狗。"], ["我喜欢猫。"]
    assert "tok:13a" in score(text, other)["bleu"].signature
    by_language = score(text, other, tokenisation=Tokenisation(language="zh"))["bleu"]
    assert "tok:zh" in by_language.signature
    assert by_language.score > score(text, other)["bleu"].score
    assert by_language == score(text, other, tokenisation=Tokenisation("zh"))["bleu"]
    with pytest.raises(UserError, match=r"tokenize must be one of .*13a.*, but is 'moses'"):
        Tokenisation("moses")


def test_what_is_written_has_a_line_per_sentence_and_the_scores(tmp_path: Path) -> None:
    scores = score(HYPOTHESES, REFERENCES)
    write_evaluation(tmp_path / "x", sources=["a", "", "c"], references=REFERENCES, hypotheses=HYPOTHESES, scores=scores)
    assert (tmp_path / "x" / "hypotheses.txt").read_bytes().decode().split("\n") == [*HYPOTHESES, ""]
    assert (tmp_path / "x" / "sources.txt").read_bytes() == b"a\n\nc\n"
    written = json.loads((tmp_path / "x" / "scores.json").read_text())
    assert written["bleu"]["score"] == scores["bleu"].score
    assert written["chrf"]["signature"] == scores["chrf"].signature


def test_nothing_of_an_earlier_evaluation_stays_beside_a_new_one(tmp_path: Path) -> None:
    texts = {"sources": HYPOTHESES, "hypotheses": HYPOTHESES, "scores": {}}
    folder = tmp_path / "evaluation"
    write_evaluation(folder, run=tmp_path, references=[REFERENCES, REFERENCES], **texts)
    (folder / "breakdown.png").write_bytes(b"old")
    write_evaluation(folder, run=tmp_path, references=REFERENCES, **texts)
    names = {path.name for path in folder.glob("[!.]*")}
    assert names == {"sources.txt", "references.txt", "hypotheses.txt", "scores.json"}
