"""`nmt align`: which words of sentence pairs belong together."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from nmt.commands.evaluate import only_split
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
from nmt.training.guide import is_guided, rule_of

log = logging.getLogger("nmt")

PAIRS = 1024
"""Pairs that are read together."""

Alignment = list[list[Link]]
"""The links of every pair."""


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
    if config["output"] is not None and config["output"] in (config["src"], config["tgt"], config["gold"]):
        raise UserError(f"output={config['output']} is read, too: choose another file")
    if len(runs_of(config)) != 1:
        raise UserError("one run at a time, and one of the other direction as reverse=RUN")
    run = Run.open(runs_of(config)[0])
    pairs, dev = _pairs(run, config), _dev(run, config)
    aligner = _aligner(config)
    backward = None if config["reverse"] is None else _reverse(config, run)
    with output_to(config["output"]) as output:
        links, compared = _of_one_run(config, aligner, pairs, dev)
        if backward is not None:
            reverse, _ = _of_one_run(config, backward, pairs.swapped(), None if dev is None else dev.swapped())
            compared = _of_both(links, [[(i, j) for j, i in one] for one in reverse])
            links = compared[config["symmetrize"]]
        write_lines(output, map(pharaoh, links))
    if pairs.gold is None:
        return None
    console.print(_table({name: score_alignment(found, pairs.gold) for name, found in compared.items()}))
    score = score_alignment(links, pairs.gold)
    log.info(f"written: {_in_words(score)}")
    return score.error_rate


def _of_one_run(config: Config, aligner: Aligner, pairs: Pairs, dev: Pairs | None) -> tuple[Alignment, dict[str, Alignment]]:
    """The links by the rule, and where there is gold to compare with those of every layer, shifted and not."""
    rule = _rule(config, aligner, dev)
    looked, links = _look(aligner, pairs, rule)
    if cut := sum(one.cut for one in looked):
        log.warning(f"{cut:,} pairs have a side too long for the model: their last words have no links")
    log.info(f"links by {described(rule)}")
    rules = [rule] if pairs.gold is None else _beside(aligner, looked, rule)
    return links, {described(each): [one.links(each) for one in looked] for each in rules}


def _beside(aligner: Aligner, looked: list[Looked], rule: AlignmentRule) -> list[AlignmentRule]:
    """Every layer, shifted and not, with the threshold, head and end of the rule; and the rule."""
    rules = [replace(each, threshold=rule.threshold, head=rule.head, end=rule.end) for each in aligner.rules(looked)]
    return rules if rule in rules else [*rules, rule]


def _of_both(forward: Alignment, backward: Alignment) -> dict[str, Alignment]:
    """Either direction, and every way to make one of them."""
    joined = {
        name: [sorted(method(*pair)) for pair in zip(forward, backward, strict=True)]
        for name, method in SYMMETRIZATIONS.items()
    }
    return {"this run": forward, "reverse": backward} | joined


def described(rule: AlignmentRule) -> str:
    """A rule in words."""
    layer = "mean of layers" if rule.layer is None else f"layer {rule.layer}"
    head = "" if rule.head is None else f" head {rule.head}"
    least = f", weights from {rule.threshold:g}" if rule.threshold else ""
    return f"{layer}{head}{', shifted' if rule.shift else ''}{least}{'' if rule.end else ', no end'}"


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


def _look(aligner: Aligner, pairs: Pairs, rule: AlignmentRule) -> tuple[list[Looked], Alignment]:
    """What the model saw, kept only where there is gold to compare with, and the links."""
    kept: list[Looked] = []
    links: Alignment = []
    for start in range(0, len(pairs.src), PAIRS):
        looked = aligner.look(pairs.src[start : start + PAIRS], pairs.tgt[start : start + PAIRS])
        for one in looked:
            if one.layers:
                rule.check(one.layers)
        links += [one.links(rule) for one in looked]
        kept += looked if pairs.gold is not None else [replace(one, layers=[]) for one in looked]
    return kept, links


def _aligner(config: Config) -> Aligner:
    translator = open_translator(config)
    guided = Run.open(runs_of(config)[0]).config
    return Aligner(translator, rule_of(guided, translator.model) if is_guided(guided) else None)


def _reverse(config: Config, run: Run) -> Aligner:
    other = Run.open(Path(str(config["reverse"])))
    languages = [(one.config["data"].get("src"), one.config["data"].get("tgt")) for one in (run, other)]
    if languages[0] != languages[1][::-1]:
        written = [f"{src} to {tgt}" for src, tgt in languages]
        raise UserError(f"reverse={other.directory} translates {written[1]}, but must translate the other way of {written[0]}")
    return _aligner(config | {"run": config["reverse"], "checkpoint": config["reverse_checkpoint"]})


def _rule(config: Config, aligner: Aligner, dev: Pairs | None) -> AlignmentRule:
    """The usual rule, changed where keys say so; what they leave open is chosen on dev, where there is one."""
    typed: dict[str, Any] = {name: config[name] for name in ("head", "shift", "threshold", "end") if config[name] is not None}
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
    ends = [typed["end"]] if "end" in typed else [True, False]
    open_rules = (replace(rule, **typed) for rule in aligner.rules(looked))
    rules = [
        replace(rule, threshold=least, end=end) for rule in dict.fromkeys(open_rules) for end in ends for least in thresholds
    ]
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
    corpus = build_corpus(only_split(config["split"], run.config["data"] | config["data"]))
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
    # A corpus that has gold links has no paths, so those of dev need not be there
    aligned = build_corpus(only_split(config["split"], run.config["data"] | config["data"])).aligned("dev")
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
    if not src:
        raise UserError("there is no sentence pair: the files are empty")
    if gold is None:
        return Pairs(src, tgt)
    lengths = [(len(one), len(other)) for one, other in zip(src, tgt, strict=True)]
    form, base, swapped = config["gold_format"], config["gold_base"], config["gold_swapped"]
    return Pairs(src, tgt, read_gold(Path(gold), lengths, form=form, base=base, swapped=swapped))
