"""`nmt align`: which words of sentence pairs belong together."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from nmt.commands.opening import open_translator, runs_of
from nmt.commands.streams import output_to, write_lines
from nmt.components import build_corpus
from nmt.console import console
from nmt.data.corpus import read_split
from nmt.data.files import read_lines
from nmt.data.links import Gold, Link, pharaoh, read_gold
from nmt.data.words import Words
from nmt.decoding.aligner import THRESHOLDS, Aligner, Looked, choose_rule
from nmt.errors import UserError
from nmt.evaluation.alignment import SYMMETRIZATIONS, AlignmentScore, score_alignment
from nmt.explain.alignment import AlignmentRule
from nmt.run import Config, Run

log = logging.getLogger("nmt")

PAIRS = 1024
"""Pairs that are read together."""


@dataclass(frozen=True)
class Pairs:
    """Sentence pairs, with their gold links where there are some."""

    src: list[Words]
    tgt: list[Words]
    gold: list[Gold] | None = None

    def swapped(self) -> "Pairs":
        """Seen from the other language."""
        return Pairs(self.tgt, self.src, None if self.gold is None else [one.swapped() for one in self.gold])


def main(config: Config) -> float | None:
    """Write the links of every pair; with gold links say how good they are. Returns the alignment error rate."""
    if config["symmetrize"] not in SYMMETRIZATIONS:
        known = ", ".join(SYMMETRIZATIONS)
        raise UserError(f"symmetrize must be one of {known}, but is {config['symmetrize']!r}")
    run = Run.open(runs_of(config)[0])
    pairs, dev = _pairs(run, config), _dev(run, config)
    aligner = _aligner(config)
    backward = None if config["reverse"] is None else _reverse(config, run)
    rule = _rule(config, aligner, dev)
    with output_to(config["output"]) as output:
        looked, links = _align(aligner, pairs, rule)
        found = {"links": links}
        if backward is not None:
            back_rule = _rule(config, backward, None if dev is None else dev.swapped())
            back = [[(i, j) for j, i in one] for one in _align(backward, pairs.swapped(), back_rule)[1]]
            both = SYMMETRIZATIONS[config["symmetrize"]]
            joined = [sorted(both(*directions)) for directions in zip(links, back, strict=True)]
            found = {f"this run, {described(rule)}": links, f"reverse, {described(back_rule)}": back}
            if pairs.gold is not None:
                found |= {
                    name: [sorted(method(*directions)) for directions in zip(links, back, strict=True)]
                    for name, method in SYMMETRIZATIONS.items()
                }
            links = joined
        write_lines(output, map(pharaoh, links))
    if cut := sum(one.cut for one in looked):
        log.warning(f"{cut:,} pairs have a side too long for the model: their last words have no links")
    if pairs.gold is None:
        return None
    if backward is None:
        found = {described(each): [one.links(each) for one in looked] for each in _compared(aligner, looked, rule)}
    scores = {name: score_alignment(each, pairs.gold) for name, each in found.items()}
    console.print(_table(scores))
    final = score_alignment(links, pairs.gold)
    log.info(f"written: {described(rule) if backward is None else config['symmetrize']}: {_in_words(final)}")
    return final.error_rate


def _compared(aligner: Aligner, looked: list[Looked], rule: AlignmentRule) -> list[AlignmentRule]:
    """Every layer, shifted and not, with the threshold and head of the rule; and the rule."""
    rules = [replace(each, threshold=rule.threshold, head=rule.head) for each in aligner.rules(looked)]
    return rules if rule in rules else [*rules, rule]


def described(rule: AlignmentRule) -> str:
    """A rule in words."""
    layer = "mean of layers" if rule.layer is None else f"layer {rule.layer}"
    head = "" if rule.head is None else f" head {rule.head}"
    least = f", weights from {rule.threshold:g}" if rule.threshold else ""
    return f"{layer}{head}{', shifted' if rule.shift else ''}{least}"


def _in_words(score: AlignmentScore) -> str:
    low, high = score.interval
    return (
        f"AER {score.error_rate:.4f} (95 % of resamples {low:.4f} to {high:.4f}), "
        f"precision {score.precision:.4f}, recall {score.recall:.4f}"
    )


def _table(scores: dict[str, AlignmentScore]) -> Table:
    table = Table()
    for column in ("links", "AER", "95 % of resamples", "precision", "recall"):
        table.add_column(column, justify="left" if column == "links" else "right")
    for name, score in scores.items():
        low, high = score.interval
        cells = (f"{score.error_rate:.4f}", f"{low:.4f} – {high:.4f}", f"{score.precision:.4f}", f"{score.recall:.4f}")
        table.add_row(name, *cells)
    return table


def _align(aligner: Aligner, pairs: Pairs, rule: AlignmentRule) -> tuple[list[Looked], list[list[Link]]]:
    """What the model saw, kept only where there is gold to compare with, and the links."""
    kept: list[Looked] = []
    links: list[list[Link]] = []
    for start in range(0, len(pairs.src), PAIRS):
        looked = aligner.look(pairs.src[start : start + PAIRS], pairs.tgt[start : start + PAIRS])
        for one in looked:
            if one.layers:
                rule.check(one.layers)
        links += [one.links(rule) for one in looked]
        kept += looked if pairs.gold is not None else [replace(one, layers=[]) for one in looked]
    return kept, links


def _aligner(config: Config) -> Aligner:
    if len(runs_of(config)) > 1:
        raise UserError("nmt align takes one run, and one of the other direction as reverse=RUN")
    return Aligner(open_translator(config))


def _reverse(config: Config, run: Run) -> Aligner:
    other = Run.open(Path(str(config["reverse"])))
    languages = [(one.config["data"].get("src"), one.config["data"].get("tgt")) for one in (run, other)]
    if languages[0] != languages[1][::-1]:
        written = [f"{src} to {tgt}" for src, tgt in languages]
        raise UserError(f"reverse={other.directory} translates {written[1]}, but must translate the other way of {written[0]}")
    return _aligner(config | {"run": config["reverse"], "checkpoint": config["reverse_checkpoint"]})


def _rule(config: Config, aligner: Aligner, dev: Pairs | None) -> AlignmentRule:
    """The usual rule, changed where keys say so; what they leave open is chosen on dev, where there is one."""
    typed: dict[str, Any] = {name: config[name] for name in ("head", "shift", "threshold") if config[name] is not None}
    if (layer := config["layer"]) is not None:
        if layer != "mean" and (not isinstance(layer, int) or isinstance(layer, bool)):
            raise UserError(f"layer must be a number from 1, or mean, but is {layer!r}")
        typed["layer"] = None if layer == "mean" else layer
    usual = replace(aligner.usual, **typed)
    if dev is None:
        return usual
    looked = aligner.look(dev.src, dev.tgt)
    for one in looked:
        if one.layers:
            usual.check(one.layers)
    thresholds = [typed["threshold"]] if "threshold" in typed else THRESHOLDS
    open_rules = (replace(rule, **typed) for rule in aligner.rules(looked))
    rules = [replace(rule, threshold=least) for rule in dict.fromkeys(open_rules) for least in thresholds]
    assert dev.gold is not None
    chosen = choose_rule(looked, dev.gold, rules)
    log.info(f"chosen on dev ({len(dev.src):,} pairs): {described(chosen)}")
    return chosen


def _pairs(run: Run, config: Config) -> Pairs:
    """The pairs to align: of files, or of a split of the run's corpus."""
    files = [config[key] is not None for key in ("src", "tgt")]
    if any(files) != all(files) or all(files) == (config["split"] is not None):
        raise UserError("give src=FILE and tgt=FILE, line by line, or split=train|dev|test of the run's corpus")
    if config["split"] is None:
        return _of_files(config["src"], config["tgt"], config["gold"], config)
    corpus = build_corpus(run.config["data"] | config["data"])
    if config["gold"] is None and config["split"] in corpus.splits() and (aligned := corpus.aligned(config["split"])):
        given = list(aligned)
        return Pairs([pair.src for pair in given], [pair.tgt for pair in given], [pair.gold for pair in given])
    src, tgt = (list(map(Words.between_spaces, side)) for side in read_split(corpus, config["split"]))
    return _with_gold(src, tgt, config["gold"], config)


def _dev(run: Run, config: Config) -> Pairs | None:
    """Pairs with gold links to choose the rule by: files, or dev of a corpus that has gold links."""
    dev = config["dev"]
    given = [dev[key] is not None for key in ("src", "tgt", "gold")]
    if any(given):
        if not all(given):
            raise UserError("to choose layer, shift and threshold, give dev.src=FILE, dev.tgt=FILE and dev.gold=FILE")
        return _of_files(dev["src"], dev["tgt"], dev["gold"], config)
    if config["split"] in (None, "dev"):
        return None
    aligned = build_corpus(run.config["data"] | config["data"]).aligned("dev")
    if aligned is None:
        return None
    pairs = list(aligned)
    return Pairs([pair.src for pair in pairs], [pair.tgt for pair in pairs], [pair.gold for pair in pairs])


def _of_files(src: str, tgt: str, gold: str | None, config: Config) -> Pairs:
    sources, targets = ([Words.between_spaces(line) for line in read_lines(Path(file))] for file in (src, tgt))
    if len(sources) != len(targets):
        raise UserError(f"{src} has {len(sources):,} lines but {tgt} has {len(targets):,}")
    return _with_gold(sources, targets, gold, config)


def _with_gold(src: list[Words], tgt: list[Words], gold: str | None, config: Config) -> Pairs:
    if gold is None:
        return Pairs(src, tgt)
    lengths = [(len(one), len(other)) for one, other in zip(src, tgt, strict=True)]
    form, base, swapped = config["gold_format"], config["gold_base"], config["gold_swapped"]
    return Pairs(src, tgt, read_gold(Path(gold), lengths, form=form, base=base, swapped=swapped))
