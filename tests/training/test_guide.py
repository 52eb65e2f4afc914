"""Guided alignment: links of words become links of pieces, and attention learns from them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import nmt.config
from nmt.checks import check_settings
from nmt.data.batches import collate
from nmt.data.guide import open_links
from nmt.data.links import read_pharaoh
from nmt.data.store import open_store
from nmt.data.tokenizer import Tokenizer
from nmt.data.words import Words
from nmt.decoding.aligner import Aligner
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.alignment import grow_diag_final_and
from nmt.explain.record import record_attention
from nmt.models.seq2seq import Seq2Seq
from nmt.training.guide import guide_of, links_for, rule_of
from nmt.training.loss import GuidedModel, TrainedModel

Build = Callable[[dict[str, Any]], Seq2Seq]
Spec = Callable[..., dict[str, Any]]
SRC, TGT = [[4, 5, 6], [7, 8]], [[9, 10], [11, 12, 9, 10]]
LINKS = [[(0, 0), (2, 0), (1, 1)], [(1, 3)]]


def rows(values: Any) -> list[Any]:
    return [np.array(one, np.int32).reshape(-1) for one in values]


@pytest.mark.parametrize(("shift", "head"), [(False, 1), (True, 2), (True, None)])
@pytest.mark.parametrize("name", ["transformer", "decoder_only", "luong", "bahdanau"])
@pytest.mark.usefixtures("float64")
def test_the_loss_is_that_of_the_tokens_and_the_logarithms_of_the_linked_weights(
    name: str, shift: bool, head: int | None, small_spec: Spec, built: Build
) -> None:
    model = built(small_spec(f"model={name}"))
    head = head if "o" in name and name in ("transformer", "decoder_only") else None
    module = model.cross_attention()[0]
    guided = GuidedModel(model, smoothing=0.1, attention=module, head=head, shift=shift, weight=0.3)
    batch = collate(rows(SRC), rows(TGT), rows(LINKS))
    loss, nll = guided(batch)
    plain, plain_nll = TrainedModel(model, smoothing=0.1)(batch)
    names = {one: key for key, one in model.named_modules()}
    with record_attention(model) as maps:
        model(batch.src, batch.tgt_in, batch.src_mask)
    A = torch.cat(maps[names[module]], dim=-2)
    A = A.unsqueeze(1) if A.dim() == 3 else A
    expected = torch.zeros(())
    for row, links in enumerate(LINKS):
        for s, t in links:
            weight = A[row, :, t + shift, s].mean() if head is None else A[row, head - 1, t + shift, s]
            expected = expected - weight.log() / sum(other == t for _, other in links)
    torch.testing.assert_close(loss, plain + 0.3 * expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(nll, plain_nll, rtol=0, atol=1e-9)
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    assert all(gradient is None or bool(gradient.isfinite().all()) for gradient in gradients)


def test_attention_goes_where_it_is_told(small_spec: Spec, built: Build) -> None:
    model = built(small_spec("model=transformer"))
    module = model.cross_attention()[1]
    guided = GuidedModel(model, smoothing=0.0, attention=module, head=1, shift=True, weight=5.0)
    batch = collate(rows(SRC), rows(TGT), rows([[(2, 0), (0, 1)], [(1, 0), (0, 2)]]))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def linked() -> Tensor:
        with torch.no_grad(), record_attention(model, of=[module]) as maps:
            model(batch.src, batch.tgt_in, batch.src_mask)
        A = maps["decoder_layers.1.cross_attention"][0][:, 0]
        return torch.stack([A[0, 1, 2], A[0, 2, 0], A[1, 1, 1], A[1, 3, 0]])

    assert linked().min() < 0.5
    for _ in range(200):
        optimizer.zero_grad()
        guided(batch)[0].backward()
        optimizer.step()
    assert linked().min() > 0.9


def test_only_the_guided_layer_leaves_its_fast_kernel(small_spec: Spec, built: Build) -> None:
    model = built(small_spec("model=transformer"))
    with record_attention(model, of=[model.cross_attention()[0]]) as maps:
        batch = collate(rows(SRC), rows(TGT))
        model(batch.src, batch.tgt_in, batch.src_mask)
    assert list(maps) == ["decoder_layers.0.cross_attention"]


def corpus_of(lines: Any) -> Any:
    texts = [("der Apfelkuchen", "the apple pie"), ("", "nothing"), ("ein Vogel " * 30, "a bird"), ("ein Kind", "the child")]

    class Corpus(lines):  # type: ignore[misc]
        def aligned(self, split: str) -> None:
            return None

    return Corpus(texts)


def test_links_of_words_become_links_of_their_pieces_and_follow_the_pairs_that_are_kept(
    tmp_path: Path, lines: Any, tokenizer: Tokenizer
) -> None:
    corpus = corpus_of(lines)
    file = tmp_path / "links"
    file.write_text("0-0 1-1 1-2\n\n0-0\n1-1 0-0\n", encoding="utf-8")
    store = open_store(corpus, "train", tokenizer, tmp_path / "cache")
    assert len(store) == 2
    found = open_links(corpus, str(file), tokenizer, store, tmp_path / "cache")
    assert len(found) == 2
    pieces = [tokenizer.pieces(store.ids(0, side).tolist(), side) for side in ("src", "tgt")]
    words = [np.cumsum([piece.startswith("▁") for piece in side]) - 1 for side in pieces]
    expected = {
        (p, q)
        for i, j in [(0, 0), (1, 1), (1, 2)]
        for p in np.flatnonzero(words[0] == i)
        for q in np.flatnonzero(words[1] == j)
    }
    assert {tuple(link) for link in found[0].reshape(-1, 2).tolist()} == expected
    assert len(expected) > 3  # some word has several pieces


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-0\n\n0-0\n", r"has 3 lines but there are 4 training pairs"),
        ("0-0\n\n0-0\n\n\n", r"has 5 lines but there are 4 training pairs"),
        ("0-0\n\n0-0\n0-7\n", r"line 4: the link 0-7 is outside the sentence: the target has 2 words"),
        ("0-0\n\n0-0\nx\n", r"line 4: 'x' is no link"),
    ],
)
def test_links_that_do_not_fit_the_text_are_refused(
    tmp_path: Path, lines: Any, tokenizer: Tokenizer, text: str, message: str
) -> None:
    corpus = corpus_of(lines)
    (tmp_path / "links").write_text(text, encoding="utf-8")
    store = open_store(corpus, "train", tokenizer, tmp_path / "cache")
    with pytest.raises(UserError, match=message):
        open_links(corpus, str(tmp_path / "links"), tokenizer, store, tmp_path / "cache")
    with pytest.raises(UserError, match=r"guide\.links=gold needs a corpus that has links"):
        open_links(corpus, "gold", tokenizer, store, tmp_path / "cache")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["guide.run=a"], r"guide takes links=FILE, or run=RUN and reverse=RUN"),
        (["guide.links=x", "guide.run=a", "guide.reverse=b"], r"guide takes links=FILE, or run=RUN and reverse=RUN"),
        (["guide.links=x", "guide.weight=0"], r"guide\.weight must be more than 0, but is 0"),
        (["guide.links=x", "tokenizer.sampling=0.1"], r"guided attention needs tokenizer\.sampling=0, but it is 0\.1"),
        (["guide.links=x", "train.compile=true"], r"guided attention needs train\.compile=false, but it is true"),
    ],
)
def test_settings_that_cannot_guide_are_refused(keys: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_settings(nmt.config.compose("train", keys))


@pytest.mark.parametrize(
    ("model", "keys", "message"),
    [
        ("encdec", {}, r"guide\.links is for attention to the source, which this model has not"),
        ("transformer", {"layer": 9}, r"guide\.layer=9 is not there: this model has 3 layers, from 1"),
        ("transformer", {"head": 3}, r"guide\.head=3 is not there: this layer has 2 heads, from 1"),
        ("luong", {"head": 2}, r"guide\.head=2 is not there: this layer has 1 head, from 1"),
    ],
)
def test_attention_that_is_not_there_cannot_be_guided(
    model: str, keys: dict[str, int], message: str, small_spec: Spec, built: Build
) -> None:
    guide = {"links": "x", "run": None, "layer": None, "head": 1, "shift": None, "weight": 0.05} | keys
    with pytest.raises(UserError, match=message):
        rule_of({"guide": guide}, built(small_spec(f"model={model}")))


def test_without_links_nothing_is_guided(small_spec: Spec, built: Build) -> None:
    assert guide_of({"guide": {"links": None, "run": None}}, built(small_spec("model=luong"))) is None
    assert guide_of({}, built(small_spec("model=luong"))) is None


def test_two_runs_give_their_symmetrised_links(
    tmp_path: Path,
    make_run: Callable[..., Path],
    turned: Callable[[Path], Path],
    lines: Any,
    pairs: list[tuple[str, str]],
) -> None:
    reverse = make_run("luong_tiny")
    run = turned(make_run("luong_tiny", seed=2))
    config = {"guide": {"links": None, "run": str(run), "reverse": str(reverse)}, "device": "cpu"}
    corpus = lines([*pairs[:5], ("", "nothing")])
    file = Path(links_for(config, corpus, tmp_path))
    aligners = [Aligner(Translator.load(one)) for one in (run, reverse)]
    src, tgt = ([Words.between_spaces(text) for text in side] for side in zip(*corpus.pairs("train"), strict=True))
    forward = aligners[0].align(src, tgt)
    backward = [[(i, j) for j, i in links] for links in aligners[1].align(tgt, src)]
    expected = [sorted(grow_diag_final_and(*both)) for both in zip(forward, backward, strict=True)]
    assert [sorted(links) for links in read_pharaoh(file)] == expected
    assert any(expected)
    assert links_for(config, corpus, tmp_path) == str(file)  # from the cache
    config["guide"] |= {"reverse": str(run)}
    with pytest.raises(UserError, match=r"guide\.reverse=.* translates de to en, but must translate en to de"):
        links_for(config, corpus, tmp_path)


@pytest.mark.integration
def test_a_guided_run_says_its_error_rate_and_continues_with_its_own_links_only(tmp_path: Path) -> None:
    keys = [
        *(
            "model=transformer_tiny",
            "data.train_pairs=300",
            "data.dev_pairs=10",
            "data.test_pairs=5",
            "tokenizer.vocab_size=500",
        ),
        *("train.tokens_per_batch=300", "train.validate_every=4", "decode.beam=1", "decode.max_length=10", "train.threads=1"),
        *(f"run_dir={tmp_path / 'run'}", f"paths.cache={tmp_path / 'cache'}", "device=cpu"),
    ]

    def train(*more: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "nmt", "train", *keys, *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = train("guide.links=gold", "train.max_updates=4")
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    (rate,) = [line["valid/alignment_error_rate"] for line in told if "valid/alignment_error_rate" in line]
    assert 0 < rate <= 1
    refused = train("train.max_updates=8")
    assert refused.returncode == 2
    assert "the links of guide" in refused.stderr
    assert train("guide.links=gold", "train.max_updates=8").returncode == 0
