"""`nmt average`: the mean of several checkpoints of a run, scored beside the best and the last."""

import json
import logging
from pathlib import Path
from typing import Any

from rich.table import Table

from nmt.checks import check_decode_settings
from nmt.commands.evaluate import only_split
from nmt.components import build_corpus
from nmt.console import Output
from nmt.data.corpus import read_split
from nmt.decoding.loading import load_translator
from nmt.errors import UserError
from nmt.evaluation.metrics import Score, as_json, score
from nmt.files import check_inside, inside, written_whole
from nmt.machine import choose_device, use_threads
from nmt.run import Config, Run
from nmt.tokenisation import SHOWN, Tokenisation, tokenisation_of
from nmt.training.average import choose, fill_with_mean
from nmt.training.checkpoint import AVERAGED, EMA
from nmt.training.state import whole_weights

log = logging.getLogger("nmt")
RAW = ("best", "last")
"""The checkpoints that the average is compared with."""
REPORT = ("evaluation", "average.json")


def main(config: Config) -> float | None:
    """Average checkpoints of a run; returns the average's dev score by the leading metric, if it is evaluated."""
    check_decode_settings(config["decode"])
    use_threads(config["threads"])
    choose_device(config["device"])
    run = Run.open(Path(config["run"]))
    check_inside(run.directory, *REPORT)
    chosen = choose(run.checkpoints, last=config["last"], names=config["checkpoints"])
    tokenisation = tokenisation_of(_with_data(run, config), config["tokenize"])
    texts = _checked_dev(run, config, tokenisation) if config["evaluate"] else None
    model = run.build_model()
    fill_with_mean(model, chosen)
    averaged = run.checkpoints.save_averaged(whole_weights(model), chosen)
    updates = [checkpoint.updates for checkpoint in chosen]
    log.info(f"averaged the checkpoints of updates {', '.join(map(str, updates))} into {averaged.directory}")
    if texts is None:
        return None
    if warning := tokenisation.warning(texts[1]):
        log.warning(warning)
    scores = _scores(run, config, *texts, tokenisation)
    _report(run, scores, updates)
    return scores[AVERAGED][tokenisation.leading].score


def _with_data(run: Run, config: Config) -> Config:
    """The run's config with the changes to its data."""
    return run.config | {"data": run.config["data"] | config["data"]}


def _checked_dev(run: Run, config: Config, tokenisation: Tokenisation) -> tuple[list[str], list[str]]:
    """Sources and references of dev, after BLEU has proved to work and the checkpoints to compare with to be whole."""
    try:
        tokenisation.bleu()
        for name in RAW:
            if problem := run.checkpoints.find(name).damage():
                raise UserError(problem)
        return read_split(build_corpus(only_split("dev", _with_data(run, config)["data"])), "dev")
    except UserError as error:
        raise UserError(f"{error} (evaluate=false averages without scores)") from error


def _scores(
    run: Run, config: Config, sources: list[str], references: list[str], tokenisation: Tokenisation
) -> dict[str, dict[str, Score]]:
    """Dev scores by row: the averaged parameters, the raw ones of `best` and `last`, and their exponential averages if any."""
    rows = {name: (name, "raw") for name in (AVERAGED, *RAW)}
    rows |= {f"{name}, ema": (name, "ema") for name in RAW if (run.checkpoints.find(name).directory / EMA).exists()}
    known: dict[tuple[Path, str], dict[str, Score]] = {}  # best and last may be one checkpoint
    scores = {}
    for row, (name, weights) in rows.items():
        key = run.checkpoints.find(name).directory, weights
        if key not in known:
            translator = load_translator(
                [run.directory], checkpoint=name, device=config["device"], weights=weights, decode=config["decode"]
            )
            hypotheses = [translation.text for translation in translator.search(sources)]
            known[key] = score(hypotheses, references, tokenisation.ordered(), tokenisation)
        scores[row] = known[key]
    return scores


def _report(run: Run, scores: dict[str, dict[str, Score]], averaged: list[int]) -> None:
    """Print the scores, and leave them in the run."""
    raw = {name: [run.checkpoints.find(name).updates] for name in RAW}
    updates = {row: averaged if row == AVERAGED else raw[row.partition(",")[0]] for row in scores}
    table = Table()
    for heading in ("checkpoint", "updates", *(f"dev {SHOWN[metric]}" for metric in scores[AVERAGED])):
        table.add_column(heading)
    for name, found in scores.items():
        figures = [f"{value.score:.2f}" for value in found.values()]
        table.add_row(name, ", ".join(map(str, updates[name])), *figures)
    console = Output(highlight=False, soft_wrap=True)
    console.print(table)
    for value in scores[AVERAGED].values():
        console.print(value.signature, markup=False)
    content: dict[str, Any] = {name: {"updates": updates[name], **as_json(found)} for name, found in scores.items()}
    path = inside(run.directory, *REPORT)
    with written_whole(path) as file:
        file.write(json.dumps(content, indent=2) + "\n")
    log.info(f"the scores are in {path}")
