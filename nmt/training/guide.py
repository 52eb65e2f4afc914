"""Guided alignment: which attention learns, and from which links."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from torch import nn

from nmt.data.cache import cached
from nmt.data.corpus import Corpus
from nmt.data.links import pharaoh
from nmt.data.words import Words
from nmt.decoding.aligner import Aligner
from nmt.decoding.loading import load_translator
from nmt.errors import UserError
from nmt.evaluation.alignment import grow_diag_final_and
from nmt.explain.alignment import AlignmentRule, counted, has_stacks
from nmt.models.seq2seq import Seq2Seq
from nmt.run import Config, Run
from nmt.training.loss import GuidedModel

log = logging.getLogger("nmt")

PAIRS = 2048
"""Pairs that are aligned together."""


def is_guided(config: Config) -> bool:
    """Whether attention learns from links."""
    guide = config.get("guide") or {}
    return guide.get("links") is not None or guide.get("run") is not None


def guide_of(config: Config, model: Seq2Seq) -> Callable[..., GuidedModel] | None:
    """What puts the loss of attention around a model; None where attention is not guided.

    Raises:
        UserError: if the model has not that attention.
    """
    if not is_guided(config):
        return None
    guide = config["guide"]
    rule = rule_of(config, model)
    modules = model.cross_attention()
    layer = len(modules) if rule.layer is None else rule.layer
    return partial(GuidedModel, attention=modules[layer - 1], head=rule.head, shift=rule.shift, weight=guide["weight"])


def rule_of(config: Config, model: Seq2Seq) -> AlignmentRule:
    """The attention that is guided, as a rule that reads links off it; without guidance the usual rule.

    Raises:
        UserError: if the model has not that attention.
    """
    if not is_guided(config):
        return AlignmentRule.usual(model)
    guide, modules = config["guide"], model.cross_attention()
    if not modules:
        raise UserError("guide.links is for attention to the source, which this model has not: leave guide out")
    layer = max(len(modules) - 1, 1) if guide["layer"] is None else guide["layer"]
    if not 1 <= layer <= len(modules):
        raise UserError(f"guide.layer={layer} is not there: this model has {counted(len(modules), 'layer')}, from 1")
    owner: nn.Module = (model.joint_attention() or modules)[layer - 1]
    heads = int(getattr(owner, "heads", 1))
    if guide["head"] is not None and not 1 <= guide["head"] <= heads:
        raise UserError(f"guide.head={guide['head']} is not there: this layer has {counted(heads, 'head')}, from 1")
    shift = has_stacks(model) if guide["shift"] is None else guide["shift"]
    return AlignmentRule(layer=layer, head=guide["head"], shift=shift, threshold=0.0)


def links_for(config: Config, corpus: Corpus, cache: Path) -> str:
    """The links that `guide` asks for: a file, or `gold`. Those of two runs are found now, or in the cache."""
    guide = config["guide"]
    if guide["links"] is not None:
        return str(guide["links"])
    runs = [Run.open(Path(guide[key])) for key in ("run", "reverse")]
    for run, (src, tgt) in zip(runs, ((corpus.src, corpus.tgt), (corpus.tgt, corpus.src)), strict=True):
        found = run.config["data"].get("src"), run.config["data"].get("tgt")
        if found != (src, tgt):
            key = "run" if src == corpus.src else "reverse"
            raise UserError(
                f"guide.{key}={run.directory} translates {found[0]} to {found[1]}, but must translate {src} to {tgt}"
            )
    fingerprint = corpus.fingerprint("train")
    parts = [fingerprint]
    for run in runs:
        manifest = run.checkpoints.find("best").directory / "manifest.json"
        parts.append(hashlib.sha256(manifest.read_bytes()).hexdigest())
    key = hashlib.sha256(json.dumps(["1", *parts]).encode()).hexdigest()[:32]

    def write(folder: Path) -> None:
        log.info(f"aligning the training pairs with {guide['run']} and {guide['reverse']}")
        aligners = [Aligner(load_translator([run.directory], device=config["device"])) for run in runs]
        with (folder / "links").open("w", encoding="utf-8") as file:
            for src, tgt in _chunks(corpus, fingerprint):
                forward = aligners[0].align(src, tgt)
                backward = [[(i, j) for j, i in links] for links in aligners[1].align(tgt, src)]
                file.writelines(f"{pharaoh(grow_diag_final_and(*pair))}\n" for pair in zip(forward, backward, strict=True))

    return cached(cache, f"symmetrised-{key}", write, lambda folder: str(folder / "links"))


def _chunks(corpus: Corpus, fingerprint: str) -> Iterator[tuple[list[Words], list[Words]]]:
    """Training pairs, so many at a time; all of them are of the text that has this fingerprint."""
    reading = corpus.read("train")
    src: list[Words] = []
    tgt: list[Words] = []
    for source, target in reading:
        src.append(Words.between_spaces(source))
        tgt.append(Words.between_spaces(target))
        if len(src) == PAIRS:
            yield src, tgt
            src, tgt = [], []
    if src:
        yield src, tgt
    reading.check(fingerprint)
