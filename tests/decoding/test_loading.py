"""From run directories to a translator: one, or an ensemble; and what Python users get wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nmt.decoding.translator import Translator
from nmt.errors import UserError

MakeRun = Callable[..., Path]
SENTENCES = ["der Hund sieht den Ball .", "das Kind", "jeder Lehrer kennt die Bücher heute ."]


def test_a_run_twice_is_that_run(make_run: MakeRun) -> None:
    run = make_run("luong_tiny")
    one, twice = Translator.load(run), Translator.load([run, str(run)])
    for alone, together in zip(one.search(SENTENCES), twice.search(SENTENCES), strict=True):
        assert together.texts == alone.texts
        assert together.hypotheses[0].log_probs == pytest.approx(alone.hypotheses[0].log_probs, abs=1e-4)


def test_an_ensemble_gives_a_piece_the_mean_of_the_probabilities(make_run: MakeRun) -> None:
    runs = [make_run("transformer_tiny"), make_run("luong_tiny"), make_run("encdec_tiny")]
    together = Translator.load(runs)
    found = [translation.hypotheses[0] for translation in together.search(SENTENCES)]
    alone = [Translator.load(run).score_pieces(SENTENCES, [one.ids for one in found]) for run in runs]
    for n, hypothesis in enumerate(found):
        means = torch.tensor([scored[n].hypothesis.log_probs for scored in alone]).exp().mean(0).log()
        assert hypothesis.log_probs == pytest.approx(means.tolist(), abs=1e-4)
    assert together.settings == Translator.load(runs[0]).settings


def test_what_is_not_there_or_does_not_fit_is_said(make_run: MakeRun, tmp_path: Path) -> None:
    run, other = make_run("transformer_tiny"), make_run("transformer_tiny", byte_fallback=False)
    with pytest.raises(UserError, match="no run: give a directory"):
        Translator.load([])
    with pytest.raises(UserError, match=rf"{other} and {run} cannot form an ensemble: they do not have the same pieces"):
        Translator.load([run, other])
    with pytest.raises(UserError, match="nowhere is not a run: it does not exist"):
        Translator.load([run, tmp_path / "nowhere"])
    with pytest.raises(UserError, match="checkpoint=7 is not in"):
        Translator.load(run, checkpoint="7")
    with pytest.raises(UserError, match="device must be auto, cpu, cuda or cuda:N"):
        Translator.load(run, device="tpu")


def test_settings_that_cannot_work_are_refused_before_a_search(make_run: MakeRun) -> None:
    translator = Translator.load(make_run("encdec_tiny"))
    with pytest.raises(UserError, match=r"decode\.beam must be at least 1, but is 0"):
        translator.having(beam=0)
    with pytest.raises(UserError, match=r"decode\.coverage_penalty needs attention to the source"):
        translator.having(coverage_penalty=0.1)
    with pytest.raises(UserError, match="needs attention to the source"):
        translator.align(["der Hund"], [[5]])


def test_one_text_is_not_a_list_of_letters(make_run: MakeRun) -> None:
    translator = Translator.load(make_run("encdec_tiny"))
    with pytest.raises(UserError, match=r"sentences must be a list of texts, but there is one text: give \['der Hund'\]"):
        translator.translate("der Hund")
    with pytest.raises(UserError, match="there are 1 sources but 2 translations"):
        translator.score(["der Hund"], ["the dog", "a dog"])
    with pytest.raises(UserError, match="there are 2 sentences but 1 prefixes"):
        translator.search(["der Hund", "das Kind"], prefixes=["the"])


def test_a_model_without_finite_probabilities_says_so(make_run: MakeRun) -> None:
    translator = Translator.load(make_run("luong_tiny"))
    torch.nn.init.constant_(translator.model.output.weight, torch.nan)
    for work in (lambda: translator.translate(["der Hund"]), lambda: translator.score(["der Hund"], ["the dog"])):
        with pytest.raises(UserError, match="the model gives no finite probabilities"):
            work()
