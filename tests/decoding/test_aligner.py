"""Which rule is chosen, and that batches and padding change no link."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nmt.data.links import Gold
from nmt.data.words import Words
from nmt.decoding.aligner import Aligner, Looked, choose_rule
from nmt.decoding.translator import Translator
from nmt.explain.alignment import AlignmentRule

MakeRun = Callable[..., Path]


def looked(*layers: list[list[float]]) -> Looked:
    """A pair of two words each, a piece a word: rows are BOS-step, first, second; columns two words and the end."""
    return Looked([torch.tensor([layer]) for layer in layers], [0, 1], [0, 1], (2, 2), cut=False)


def test_the_rule_with_the_fewest_errors_is_chosen() -> None:
    wrong = [[0.1, 0.2, 0.7]] * 3
    crossed = [[0.3, 0.3, 0.4], [0.1, 0.9, 0.0], [0.8, 0.2, 0.0]]  # as seen by the steps that have read the words
    pairs = [looked(wrong, crossed), looked(crossed, crossed)]
    gold = [Gold(frozenset(links), frozenset(links)) for links in ({(1, 0), (0, 1)}, {(1, 0)})]
    usual = AlignmentRule(layer=1, head=None, shift=False, threshold=0.0)
    rules = [replace(usual, layer=n, shift=s, threshold=t) for n in (1, 2) for s in (False, True) for t in (0.0, 0.85)]
    assert choose_rule(pairs, gold, rules) == replace(usual, layer=2, shift=True)
    assert choose_rule(pairs[1:], gold[1:], rules) == replace(usual, layer=1, shift=True, threshold=0.85)


@pytest.mark.parametrize("model", ["luong_tiny", "transformer_tiny", "decoder_only_tiny"])
def test_a_pair_has_the_same_links_alone_and_among_others(make_run: MakeRun, model: str) -> None:
    aligner = Aligner(Translator.load(make_run(model)))
    texts = [
        ("the dog", "der Hund"),
        ("the young doctor sees the ball in the garden .", "x y"),
        ("", "y"),
        ("a", "eins zwei drei"),
    ]
    src, tgt = ([Words.between_spaces(text) for text in side] for side in zip(*texts, strict=True))
    for rule in aligner.rules(aligner.look(src, tgt)):
        together = aligner.align(src, tgt, rule)
        alone = [aligner.align([one], [other], rule)[0] for one, other in zip(src, tgt, strict=True)]
        assert together == alone
        assert together[2] == []


def test_every_layer_and_their_mean_is_offered_shifted_and_not(make_run: MakeRun) -> None:
    for model, layers in (("transformer_tiny", [1, 1, 2, 2, None, None]), ("luong_tiny", [1, 1])):
        aligner = Aligner(Translator.load(make_run(model)))
        rules = list(aligner.rules(aligner.look([Words.between_spaces("the dog")], [Words.between_spaces("der Hund")])))
        assert [rule.layer for rule in rules] == layers
        assert [rule.shift for rule in rules] == [False, True] * (len(layers) // 2)


def test_what_is_too_long_is_cut_and_said(make_run: MakeRun) -> None:
    aligner = Aligner(Translator.load(make_run("luong_tiny")))
    long, short = Words.between_spaces("the dog " * 30), Words.between_spaces("der Hund")
    (found, whole) = aligner.look([long, short], [short, short])
    assert (found.cut, whole.cut) == (True, False)
    assert all(source < 60 for source, _ in found.links(aligner.usual))
