"""An ensemble against the mean of its members' probabilities, written out."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nmt.decoding.choosing import Beam
from nmt.decoding.coverage import Covering
from nmt.decoding.ensemble import Ensemble
from nmt.decoding.forced import forced
from nmt.decoding.limits import Limits
from nmt.decoding.scoring import Scoring
from nmt.decoding.search import search
from nmt.decoding.stopping import Exact
from nmt.models.seq2seq import Limit, Seq2Seq
from nmt.vocabulary import BOS, EOS, PAD

SRC = torch.tensor([[4, 5, 6, 7, EOS], [8, 9, EOS, PAD, PAD]])
MASK = SRC != PAD
NAMES = ["encdec", "luong", "transformer", "decoder_only"]


@pytest.fixture
def members(small_spec: Any, built: Callable[[Any], Seq2Seq], float64: None) -> list[Seq2Seq]:
    specs = [small_spec(f"model={name}") for name in NAMES]
    made = [built(spec | ({"tied": "none"} if "tied" in spec else {})) for spec in specs]
    for seed, model in enumerate(made):
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(std=0.6)
    return made


def test_its_probabilities_are_the_mean_of_its_members(members: list[Seq2Seq]) -> None:
    tgt_in = torch.tensor([[BOS, 4, 5], [BOS, 9, 9]])
    mean = torch.stack([m.project(m(SRC, tgt_in, MASK)).softmax(-1) for m in members]).mean(0)
    ensemble = Ensemble(members)
    torch.testing.assert_close(ensemble.project(ensemble(SRC, tgt_in, MASK)).softmax(-1), mean, rtol=1e-10, atol=0)


def test_it_searches_and_scores_like_any_model(members: list[Seq2Seq]) -> None:
    ensemble = Ensemble(members).eval()
    scoring = Scoring("wu", 0.6)
    limits = Limits.make(torch.tensor([6, 4]))
    found = search(ensemble, SRC, MASK, chooser=Beam(3), scoring=scoring, limits=limits, stop=Exact(scoring))
    assert [len(hypotheses) for hypotheses in found] == [3, 3]
    for n, hypotheses in enumerate(found):
        again = forced(ensemble, SRC[[n] * 3], MASK[[n] * 3], [h.ids for h in hypotheses], scoring=scoring)
        assert [h.score for h in again] == pytest.approx([h.score for h in hypotheses], rel=1e-9)


def test_one_member_is_the_member(members: list[Seq2Seq]) -> None:
    options = {"chooser": Beam(2), "scoring": Scoring(), "limits": Limits.make(torch.tensor([6, 4])), "stop": Exact(Scoring())}
    alone, wrapped = (search(model, SRC, MASK, **options) for model in (members[1], Ensemble(members[1:2]).eval()))
    assert [[h.ids for h in row] for row in alone] == [[h.ids for h in row] for row in wrapped]


def test_its_attention_is_the_mean_over_the_layers_of_all_members(members: list[Seq2Seq]) -> None:
    ensemble = Ensemble(members).eval()
    memory = ensemble.encode(SRC, MASK)
    covering = Covering(ensemble)
    _, state = covering.step(torch.full((2, 1), BOS), covering.start(memory), memory)
    assert len(ensemble.cross_attention()) == sum(len(m.cross_attention()) for m in members) > 2
    torch.testing.assert_close(state["coverage"].sum(-1), torch.ones(2, 1))
    assert not state["coverage"].masked_select(~MASK.unsqueeze(1)).any()


def test_its_limits_are_the_least_of_its_members(members: list[Seq2Seq]) -> None:
    ensemble = Ensemble(members)
    assert ensemble.longest_source() is None
    members[0].longest_source = lambda: Limit("model.a", 9)  # type: ignore[method-assign]
    members[2].longest_source = lambda: Limit("model.b", 7)  # type: ignore[method-assign]
    assert ensemble.longest_source() == Limit("model.b", 7)
