"""`nmt faithfulness`: which explanations of a run to believe."""

import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from nmt.commands.evaluate import only_split
from nmt.commands.explain import chosen_methods
from nmt.commands.opening import open_translator, runs_of
from nmt.components import build_corpus
from nmt.console import Output
from nmt.data.corpus import read_split
from nmt.decoding.engine import evaluating
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.explain.faithfulness import Areas, area, curves, interval
from nmt.explain.maps import Pair
from nmt.explain.methods import method_named, methods_of
from nmt.files import write_text
from nmt.published import Published
from nmt.run import Config, Run

log = logging.getLogger("nmt")

FILES = ("faithfulness.md", "faithfulness.json")

RANDOM = "random"
"""The order that any method should beat."""


def main(config: Config) -> None:
    """Measure deletion and insertion areas of the methods of a run on its own translations of a split."""
    for key in ("sentences", "steps"):
        if config[key] < 1:
            raise UserError(f"{key} must be at least 1, but is {config[key]}")
    if not 0 <= config["seed"] < 2**63:
        raise UserError(f"seed must be at least 0 and less than 2^63, but is {config['seed']}")
    if len(runs_of(config)) != 1:
        raise UserError(f"one run at a time, but there are {len(runs_of(config))}")
    run = Run.open(runs_of(config)[0])
    folder = Path(config["output"]) if config["output"] else run.directory / "explanations"
    within = None if config["output"] else run.directory
    place = Published(folder, "faithfulness", usual=r"faithfulness\.(md|json)", within=within)
    place.check(FILES)
    translator = open_translator(config)
    names = methods_of(translator.model) if config["method"] == "all" else chosen_methods(config["method"], translator.model)
    for name in names:
        method_named(name, translator.model)
    sources, _ = read_split(build_corpus(only_split(config["split"], run.config["data"] | config["data"])), config["split"])
    pairs = _pairs(translator, sources[: config["sentences"]])
    random = torch.Generator().manual_seed(config["seed"])
    orders = [torch.rand(len(pair.tgt_out), pair.src.size(1), generator=random) for pair in pairs]
    areas: dict[str, Areas] = {}
    with evaluating(translator.model):
        for name in [RANDOM, *names]:
            begun = time.perf_counter()
            areas[name] = _areas(translator, pairs, name, orders, steps=config["steps"])
            log.info(f"{name}: {len(pairs):,} sentences in {time.perf_counter() - begun:.0f} s")
    table = as_markdown(areas, seed=config["seed"])
    data = json.dumps({name: asdict(each) for name, each in areas.items()}) + "\n"
    with place.writing() as scratch:
        for name, text in zip(FILES, (table, data), strict=True):
            write_text(scratch / name, text)
    Output(highlight=False, soft_wrap=True).print(table, markup=False, end="")


def _pairs(translator: Translator, sources: list[str]) -> list[Pair]:
    """The run's own translations: what a model says is what there is to explain."""
    encoded, _ = translator.tokenizer.encode_cut(sources, "src", translator.settings.max_source_length)
    found = translator.search(sources)
    kept = [
        Pair.of(ids, translation.hypotheses[0].ids, translator.device)
        for ids, translation in zip(encoded, found, strict=True)
        if translation.hypotheses
    ]
    if not kept:
        raise UserError("there is no sentence to explain: all are empty")
    return kept


def _areas(translator: Translator, pairs: list[Pair], name: str, orders: list[Tensor], *, steps: int) -> Areas:
    model = translator.model
    areas = Areas([], [])
    for pair, order in zip(pairs, orders, strict=True):
        relevance = order.to(translator.device) if name == RANDOM else method_named(name, model)(model, pair).source
        found = curves(model, pair, relevance, steps=steps)
        areas.deletion.append(float(area(found.deletion).mean()))
        areas.insertion.append(float(area(found.insertion).mean()))
    return areas


def as_markdown(areas: dict[str, Areas], *, seed: int) -> str:
    """A row per method, the best deletion first, with how far it is from the random order and from raw attention."""
    baselines = [name for name in (RANDOM, "attention") if name in areas]
    head = ["method", "deletion ↓", "insertion ↑", *(f"deletion against {name}" for name in baselines)]
    lines = [f"| {' | '.join(head)} |", f"|---|{'---|' * (len(head) - 1)}"]
    for name in sorted(areas, key=lambda name: _mean(areas[name].deletion)):
        cells = [name, f"{_mean(areas[name].deletion):.4f}", f"{_mean(areas[name].insertion):.4f}"]
        for baseline in baselines:
            paired = [a - b for a, b in zip(areas[name].deletion, areas[baseline].deletion, strict=True)]
            low, high = interval(paired, seed=seed)
            cells.append("" if name == baseline else f"{_mean(paired):+.4f} ({low:+.4f} to {high:+.4f})")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
