"""`nmt train`: corpus → trained model → dev and test score."""

import logging
from contextlib import ExitStack

import torch
from rich.table import Table

from nmt.checks import check_settings
from nmt.commands.evaluate import evaluate_split
from nmt.config import TrainSettings
from nmt.console import Output, logged_to, plain
from nmt.data.corpus import Corpus
from nmt.decoding.loading import load_translator
from nmt.errors import UserError
from nmt.evaluation.metrics import signatures
from nmt.machine import choose_device, use_deterministic_kernels, use_threads
from nmt.paths import absolute
from nmt.result import result_of, write_result
from nmt.run import Config, Run
from nmt.tokenisation import SHOWN, Tokenisation, tokenisation_of
from nmt.training import distributed
from nmt.training.hparams import write_final
from nmt.training.precision import check_device
from nmt.training.prepare import prepare
from nmt.training.progress import Progress
from nmt.training.session import train
from nmt.training.signals import Signals

log = logging.getLogger("nmt")


def main(config: Config) -> float:
    """Train, or continue, the run in `run_dir`; returns the best dev score by the leading metric."""
    check_settings(config)
    tokenisation = tokenisation_of(config)
    tokenisation.bleu()  # a package that it lacks shows before any text is read
    if config["sweep_dir"] is not None:
        raise UserError(
            f"sweep_dir={config['sweep_dir']} is for the runs of a sweep: add -m, or set run_dir=DIR for this one run"
        )
    config = absolute(config)
    config["run_dir"] = config["run_dir"] or f"runs/{model_name(config)}"
    use_threads(config["train"]["threads"])
    use_deterministic_kernels(config["train"]["deterministic"])
    with Signals() as signals, distributed.joined(choose_device(config["device"])) as device, ExitStack() as held:
        check_device(config["train"], device)
        with distributed.first() as is_first:
            run, corpus, prepared = prepare(config if is_first else config | {"resume": "auto"}, device)
            if is_first:
                held.enter_context(run.locked())
                run.write_config(config)
                held.enter_context(logged_to(run.directory / "train.log"))
        dropped = prepared.train.dropped
        log.info(
            f"{len(prepared.train):,} training pairs, {len(prepared.dev):,} dev; left out of training: "
            f"{dropped.empty:,} with an empty side, {dropped.long:,} longer than {corpus.max_length} pieces"
        )
        log.info(f"dev scores: {', '.join(f'{SHOWN[name]} {one}' for name, one in signatures(tokenisation).items())}")
        if warning := tokenisation.warning(prepared.references):
            log.warning(warning)
        progress = train(run, prepared, device, signals)
        distributed.on_first(_summarise)(run, corpus, progress, device, tokenisation)
        return progress.best_score


def model_name(config: Config) -> str:
    """The name of a config's model, such as `luong`."""
    return str(config["model"]["_target_"]).rpartition(".")[2].lower()


def _summarise(run: Run, corpus: Corpus, progress: Progress, device: torch.device, tokenisation: Tokenisation) -> None:
    """Score the best checkpoint on the test split and say what came of the run."""
    parameters = sum(p.numel() for p in run.build_model().parameters())
    signed, leading = signatures(tokenisation), tokenisation.leading
    rows = [
        ("model", model_name(run.config)),
        ("parameters", f"{parameters:,}"),
        ("updates", f"{progress.updates:,} (best: {progress.best_update:,})"),
        (f"dev {SHOWN[leading]}", f"{progress.best_score:.2f}\n{signed[leading]}"),
    ]
    test = None
    if "test" in corpus.splits():
        best = str(run.checkpoints.best_intact(log.warning).updates)
        scores = evaluate_split(
            run,
            corpus,
            "test",
            load_translator([run.directory], checkpoint=best, device=str(device)),
            tokenisation,
        )
        log.info(f"test {'  '.join(f'{SHOWN[key]} {value.score:.2f}' for key, value in scores.items())}")
        test = {key: value.score for key, value in scores.items()}
        rows += [(f"test {SHOWN[key]}", f"{value.score:.2f}\n{value.signature}") for key, value in scores.items()]
    settings = TrainSettings(**run.config["train"])
    model = model_name(run.config)
    result = result_of(progress, settings, model=model, parameters=parameters, test=test, signatures=signed)
    speed = result["target_tokens_per_second"]
    final = {f"final/dev_{leading}": progress.best_score, "final/parameters": parameters}
    final |= {"final/target_tokens_per_second": speed}
    write_final(run.directory, progress.updates, final | {f"final/test_{key}": value for key, value in (test or {}).items()})
    write_result(run.directory, result)
    rows += [
        ("target tokens/s", f"{speed:,.0f}"),
        ("time", f"{progress.seconds / 60:.1f} min, validation included"),
        ("run", str(run.directory)),
    ]
    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*map(plain, row))
    Output(highlight=False).print(table)
