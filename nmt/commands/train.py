"""`nmt train`: corpus → trained model → dev and test score."""

import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nmt.commands.evaluate import evaluate_split, read_split
from nmt.components import build_corpus, build_model, build_optimizer, build_schedule
from nmt.config import TrainSettings, check_settings
from nmt.console import logged_to
from nmt.data.batches import TrainingData
from nmt.data.corpus import Corpus
from nmt.data.store import IdStore, open_store
from nmt.data.tokenizer import cached_tokenizer
from nmt.errors import UserError
from nmt.models.seq2seq import Seq2Seq, Vocabulary
from nmt.result import result_of, write_result
from nmt.run import Config, Run, choose_device, differences, read_config, use_threads
from nmt.training.lengths import check_dev, check_lengths
from nmt.training.loop import Progress, Trainer
from nmt.training.loss import TrainedModel
from nmt.training.monitor import RunMonitor
from nmt.training.randomness import random_state, restore_random_state, seed_everything
from nmt.training.validation import dev_batches, samples, validate

log = logging.getLogger("nmt")


@dataclass
class Prepared:
    """What training reads: made, and checked, before a run directory is.

    Attributes:
        data: the updates.
        train: ids of the training split.
        dev: ids of the dev split; `sources` and `references` are its text.
    """

    data: TrainingData
    train: IdStore
    dev: IdStore
    sources: list[str]
    references: list[str]


def main(config: Config) -> float:
    """Train, or continue, the run in `run_dir`; returns the best dev BLEU."""
    check_settings(config)
    if config["sweep_dir"] is not None:
        raise UserError(
            f"sweep_dir={config['sweep_dir']} is for the runs of a sweep: add -m, or set run_dir=DIR for this one run"
        )
    config["run_dir"] = config["run_dir"] or f"runs/{model_name(config)}"
    settings = TrainSettings(**config["train"])
    use_threads(settings.threads)
    device = choose_device(config["device"])
    build_schedule(config["schedule"])
    size = config["tokenizer"]["vocab_size"]
    with torch.device("meta"):  # sizes that do not fit are found before any text is read
        model = build_model(config["model"], Vocabulary(size, size, config["tokenizer"]["joint"]))
        build_optimizer(config["optimizer"], model)
    corpus = build_corpus(config["data"])
    check_lengths(model, max_length=corpus.max_length, decode=config["decode"])
    run, prepared = _open_or_create(config, corpus, model, settings)
    with logged_to(run.directory / "train.log"):
        dropped = prepared.train.dropped
        log.info(
            f"{len(prepared.train):,} training pairs, {len(prepared.dev):,} dev; left out of training: "
            f"{dropped.empty:,} with an empty side, {dropped.long:,} longer than {corpus.max_length} pieces"
        )
        progress = _train(run, prepared, settings, device)
        _summarise(run, corpus, progress, device)
    return progress.best_bleu


def model_name(config: Config) -> str:
    """The name of a config's model, such as `luong`."""
    return str(config["model"]["_target_"]).rpartition(".")[2].lower()


def _open_or_create(config: Config, corpus: Corpus, model: Seq2Seq, settings: TrainSettings) -> tuple[Run, Prepared]:
    """The run of this config, after every check that needs no training has passed."""
    directory, cache = Path(config["run_dir"]), Path(config["paths"]["cache"]).expanduser()
    exists = (directory / "config.yaml").exists()
    if not exists and directory.is_dir() and any(directory.iterdir()):
        raise UserError(f"run_dir={directory} holds files but is not a run: choose a folder that is new or empty")
    texts = _read_small_splits(corpus)
    fingerprints = {split: corpus.fingerprint(split) for split in corpus.splits()}
    if exists:
        _check_same(directory, config, fingerprints)
        run = Run.open(directory)
        tokenizer = run.tokenizer
    else:
        tokenizer = cached_tokenizer(corpus, config["tokenizer"], cache)
    stores = {split: open_store(corpus, split, tokenizer, cache) for split in ("train", "dev")}
    check_dev(model, stores["dev"])
    data = TrainingData(
        stores["train"],
        tokenizer,
        tokens_per_batch=settings.tokens_per_batch,
        accumulate=settings.accumulate,
        seed=config["seed"],
    )
    if exists:
        run.write_config(config)
    else:
        run = Run.create(directory, config, tokenizer, {"fingerprints": fingerprints})
    return run, Prepared(data, stores["train"], stores["dev"], *texts["dev"])


def _read_small_splits(corpus: Corpus) -> dict[str, tuple[list[str], list[str]]]:
    """The text of dev and test: what is wrong with it shows now, not after the training."""
    for split, use in (("train", "learn from"), ("dev", "choose the best checkpoint by")):
        if split not in corpus.splits():
            raise UserError(
                f"training needs text to {use}: set data.{split}=DIR/{split} for the files "
                f"DIR/{split}.{corpus.src} and DIR/{split}.{corpus.tgt}"
            )
    return {split: read_split(corpus, split) for split in corpus.splits() if split != "train"}


def _check_same(directory: Path, config: Config, fingerprints: dict[str, str]) -> None:
    if config["resume"] == "never":
        raise UserError(f"run_dir={directory} holds a run already: choose another folder, or resume=auto to continue it")
    found = differences(read_config(directory), config)
    try:
        old = json.loads((directory / "corpus.json").read_text(encoding="utf-8"))["fingerprints"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{directory / 'corpus.json'} is missing or damaged: start anew in another run_dir") from error
    found += [f"the text of data.{split}" for split in ("train", "dev") if old.get(split) != fingerprints.get(split)]
    if found:
        raise UserError(
            f"run_dir={directory} belongs to another configuration: {', '.join(found)}; "
            "set these back to continue it, or choose another run_dir"
        )


def _train(run: Run, prepared: Prepared, settings: TrainSettings, device: torch.device) -> Progress:
    seed_everything(run.config["seed"])
    model = run.build_model().to(device)
    trained = TrainedModel(model, smoothing=settings.label_smoothing)
    optimizer = build_optimizer(run.config["optimizer"], model)
    trainer = Trainer(trained, optimizer, build_schedule(run.config["schedule"]), settings, device)
    progress = _restore(run, trainer)
    if progress.reason_to_stop(settings):
        return progress
    with RunMonitor(
        run.directory, updates=progress.updates, total=settings.max_updates, log_every=settings.log_every
    ) as monitor:
        reason = trainer.train(
            prepared.data,
            progress,
            monitor=monitor,
            validate=_validation(run, prepared, trainer, progress, monitor),
            save=lambda: _save(run, trainer, progress),
        )
    log.info(f"stopped after {progress.updates:,} updates: {reason}")
    return progress


def _restore(run: Run, trainer: Trainer) -> Progress:
    """Put the trainer where the newest intact checkpoint left it."""
    checkpoint = run.checkpoints.newest_intact(log.warning)
    if checkpoint is None:
        return Progress()
    checkpoint.load_model(trainer.trained.model)
    training = checkpoint.training()
    trainer.optimizer.load_state_dict(training["optimizer"])
    restore_random_state(training["random"])
    progress = Progress.from_state(checkpoint.state())
    run.checkpoints.point(progress.as_state())
    log.info(f"continuing {run.directory} after {progress.updates:,} updates")
    return progress


def _save(run: Run, trainer: Trainer, progress: Progress) -> None:
    training = {"optimizer": trainer.optimizer.state_dict(), "random": random_state()}
    run.checkpoints.save(trainer.trained.model, training, progress.as_state(), keep=trainer.settings.keep)


def _validation(
    run: Run, prepared: Prepared, trainer: Trainer, progress: Progress, monitor: RunMonitor
) -> Callable[[bool], None]:
    """What the loop calls to validate."""
    sources, references = prepared.sources, prepared.references
    batches = dev_batches(prepared.dev, trainer.settings.tokens_per_batch)
    translator = run.translator_of(trainer.trained.model, trainer.device)

    def validation(scheduled: bool) -> None:
        loss = trainer.mean_nll(iter(batches))
        result = validate(translator, sources, references)
        bleu, chrf = result.scores["bleu"], result.scores["chrf"]
        best = progress.judge(bleu.score, loss, scheduled=scheduled)
        perplexity = math.exp(min(loss, 100.0))
        figures = {"valid/loss": loss, "valid/perplexity": perplexity, "valid/bleu": bleu.score, "valid/chrf": chrf.score}
        monitor.validation(progress.updates, figures, samples(sources, references, result.hypotheses), result.pictures)
        log.info(
            f"update {progress.updates:,}  epoch {progress.epoch}  dev loss {loss:.3f}  "
            f"perplexity {perplexity:.2f}  BLEU {bleu.score:.2f}  chrF {chrf.score:.2f}{'  best' if best else ''}"
        )

    return validation


def _summarise(run: Run, corpus: Corpus, progress: Progress, device: torch.device) -> None:
    """Score the best checkpoint on the test split and say what came of the run."""
    parameters = sum(p.numel() for p in run.build_model().parameters())
    rows = [
        ("model", model_name(run.config)),
        ("parameters", f"{parameters:,}"),
        ("updates", f"{progress.updates:,} (best: {progress.best_update:,})"),
        ("dev BLEU", f"{progress.best_bleu:.2f}"),
    ]
    test = None
    if "test" in corpus.splits():
        scores = evaluate_split(
            run,
            corpus,
            "test",
            run.translator(checkpoint=str(run.checkpoints.best_intact(log.warning).updates), device=str(device)),
        )
        log.info(f"test BLEU {scores['bleu'].score:.2f}  chrF {scores['chrf'].score:.2f}")
        test = {key: value.score for key, value in scores.items()}
        rows += [
            (f"test {name}", f"{scores[key].score:.2f}\n{scores[key].signature}")
            for key, name in (("bleu", "BLEU"), ("chrf", "chrF"))
        ]
    settings = TrainSettings(**run.config["train"])
    result = result_of(progress, settings, model=model_name(run.config), parameters=parameters, test=test)
    write_result(run.directory, result)
    rows += [
        ("target tokens/s", f"{result['target_tokens_per_second']:,.0f}"),
        ("time", f"{progress.seconds / 60:.1f} min, validation included"),
        ("run", str(run.directory)),
    ]
    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)
