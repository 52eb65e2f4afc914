"""`nmt train`: corpus → trained model → dev and test score."""

import json
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nmt.commands.evaluate import evaluate_split, read_split
from nmt.components import build_corpus, build_model, build_optimizer, build_schedule, check_optimizer
from nmt.config import TrainSettings, check_settings
from nmt.console import logged_to
from nmt.data.batches import TrainingData
from nmt.data.corpus import Corpus
from nmt.data.store import IdStore, open_store
from nmt.data.tokenizer import cached_tokenizer
from nmt.errors import UserError
from nmt.models.seq2seq import Seq2Seq, Vocabulary
from nmt.result import result_of, write_result
from nmt.run import (
    Config,
    Run,
    changes,
    choose_device,
    differences,
    environment,
    read_config,
    use_deterministic_kernels,
    use_threads,
)
from nmt.training import distributed
from nmt.training.averages import Averages
from nmt.training.budget import device_budget
from nmt.training.checkpoint import Checkpoint, CheckpointWriter
from nmt.training.faults import SCALING, BadUpdates
from nmt.training.hparams import write_final, write_hparams
from nmt.training.initial import fill_from_origin, open_origin
from nmt.training.lengths import check_dev, check_lengths
from nmt.training.loop import Trainer
from nmt.training.loss import TrainedModel
from nmt.training.monitor import RunMonitor, Unwatched
from nmt.training.precision import check_device
from nmt.training.progress import Progress
from nmt.training.randomness import seed_everything
from nmt.training.recompute import recompute_blocks
from nmt.training.samples import samples
from nmt.training.signals import Signals
from nmt.training.state import Restored, fill, restore, save, whole_weights
from nmt.training.validation import Validation, dev_batches, dev_loss, validate

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
    use_threads(config["train"]["threads"])
    if config["train"]["deterministic"]:
        use_deterministic_kernels()
    with Signals() as signals, distributed.joined(choose_device(config["device"])) as device, ExitStack() as held:
        check_device(config["train"], device)
        with distributed.first() as is_first:
            run, corpus, prepared = _prepare(config if is_first else config | {"resume": "auto"}, device)
            if is_first:
                held.enter_context(run.locked())
                held.enter_context(logged_to(run.directory / "train.log"))
        dropped = prepared.train.dropped
        log.info(
            f"{len(prepared.train):,} training pairs, {len(prepared.dev):,} dev; left out of training: "
            f"{dropped.empty:,} with an empty side, {dropped.long:,} longer than {corpus.max_length} pieces"
        )
        progress = _train(run, prepared, device, signals)
        distributed.on_first(_summarise)(run, corpus, progress, device)
        return progress.best_bleu


def model_name(config: Config) -> str:
    """The name of a config's model, such as `luong`."""
    return str(config["model"]["_target_"]).rpartition(".")[2].lower()


def _prepare(config: Config, device: torch.device) -> tuple[Run, Corpus, Prepared]:
    """The run of this config, after every check that needs no training has passed."""
    build_schedule(config["schedule"])
    size = config["tokenizer"]["vocab_size"]
    with torch.device("meta"):  # sizes that do not fit are found before any text is read
        model = build_model(config["model"], Vocabulary(size, size, config["tokenizer"]["joint"]))
    sharded = config["train"]["parallel"] == "fsdp" and distributed.size() > 1
    check_optimizer(config["optimizer"], device, sharded=sharded)
    origin = open_origin(config, model)
    if config["train"]["gradient_checkpointing"]:
        recompute_blocks(model)
    corpus = build_corpus(config["data"])
    check_lengths(model, max_length=corpus.max_length, decode=config["decode"])
    directory, cache = Path(config["run_dir"]), Path(config["paths"]["cache"]).expanduser()
    exists = (directory / "config.yaml").exists()
    if not exists and directory.is_dir() and any(directory.iterdir()):
        raise UserError(f"run_dir={directory} holds files but is not a run: choose a folder that is new or empty")
    texts = _read_small_splits(corpus)
    made_of: dict[str, Any] = {"fingerprints": {split: corpus.fingerprint(split) for split in corpus.splits()}}
    if origin is not None:
        made_of["init_from"] = origin.identity
    if exists:
        _check_same(directory, config, made_of)
        run = Run.open(directory)
        tokenizer = run.tokenizer
    elif origin is not None and config["init_tokenizer"]:
        tokenizer = origin.tokenizer(sampling=config["tokenizer"]["sampling"])
    else:
        tokenizer = cached_tokenizer(corpus, config["tokenizer"], cache)
    stores = {split: open_store(corpus, split, tokenizer, cache) for split in ("train", "dev")}
    check_dev(model, stores["dev"])
    vocabulary = Vocabulary(tokenizer.src_size, tokenizer.tgt_size, tokenizer.joint)
    if config["train"]["tokens_per_batch"] == "auto":
        config["train"]["tokens_per_batch"] = _fitting_budget(config, vocabulary, stores["train"], device)
    data = TrainingData(
        stores["train"],
        tokenizer,
        tokens_per_batch=config["train"]["tokens_per_batch"],
        accumulate=config["train"]["accumulate"],
        seed=config["seed"],
        process=distributed.rank(),
        processes=distributed.size(),
    )
    if not exists:
        build_model(config["model"], vocabulary)  # sizes that are too large for any memory show before there is a run
        environment_now = environment(device, distributed.size())
        run = Run.create(directory, config, tokenizer, corpus=made_of, environment=environment_now)
    elif distributed.rank() == 0:
        run.write_config(config)
    return run, corpus, Prepared(data, stores["train"], stores["dev"], *texts["dev"])


def _fitting_budget(config: Config, vocabulary: Vocabulary, store: IdStore, device: torch.device) -> int:
    def make(tokens: int) -> Trainer:
        settings = TrainSettings(**config["train"] | {"tokens_per_batch": tokens})
        return _new_trainer(config, build_model(config["model"], vocabulary), settings, device, alone=True)

    budget = device_budget(store, make)
    log.info(f"train.tokens_per_batch=auto: {budget:,} fit {torch.cuda.get_device_name(device)}")
    return budget


def _read_small_splits(corpus: Corpus) -> dict[str, tuple[list[str], list[str]]]:
    """The text of dev and test: what is wrong with it shows now, not after the training."""
    for split, use in (("train", "learn from"), ("dev", "choose the best checkpoint by")):
        if split not in corpus.splits():
            raise UserError(
                f"training needs text to {use}: set data.{split}=DIR/{split} for the files "
                f"DIR/{split}.{corpus.src} and DIR/{split}.{corpus.tgt}"
            )
    return {split: read_split(corpus, split) for split in corpus.splits() if split != "train"}


def _check_same(directory: Path, config: Config, made_of: dict[str, Any]) -> None:
    if config["resume"] == "never":
        raise UserError(f"run_dir={directory} holds a run already: choose another folder, or resume=auto to continue it")
    stored = read_config(directory)
    if config["train"]["tokens_per_batch"] == "auto":  # what was found then
        config["train"]["tokens_per_batch"] = stored["train"]["tokens_per_batch"]
    found = differences(stored, config)
    try:
        saved = json.loads((directory / "corpus.json").read_text(encoding="utf-8"))
        old, new = saved["fingerprints"], made_of["fingerprints"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{directory / 'corpus.json'} is missing or damaged: start anew in another run_dir") from error
    found += [f"the text of data.{split}" for split in ("train", "dev") if old.get(split) != new.get(split)]
    if "init_from" in made_of and saved.get("init_from") != made_of["init_from"]:
        found.append("the parameters of init_from")
    if found:
        raise UserError(
            f"run_dir={directory} belongs to another configuration: {', '.join(found)}; "
            "set these back to continue it, or choose another run_dir"
        )


def _train(run: Run, prepared: Prepared, device: torch.device, signals: Signals) -> Progress:
    settings = TrainSettings(**run.config["train"])
    seed_everything(run.config["seed"])
    model = run.build_model()
    checkpoint = _newest(run)
    if checkpoint is not None:
        checkpoint.load_model(model)
    else:
        fill_from_origin(run, model)
    trainer = _new_trainer(run.config, model, settings, device)
    now = environment(device, distributed.size())
    restored = None if checkpoint is None else _restore(run, checkpoint, trainer, now)
    progress = Progress() if restored is None else restored.progress
    if progress.reason_to_stop(settings) and not progress.validation_due(settings):
        return progress
    spared = SCALING if settings.precision == "fp16" else 0
    with (
        signals.noted(),
        _watched(run, prepared, progress, trainer, model) as monitor,
        CheckpointWriter(run.checkpoints, keep=settings.keep) as writer,
    ):
        validation = _validation(run, prepared, trainer, model, progress, monitor, signals)
        seed_everything(run.config["seed"] + 1 + distributed.rank())  # each process has dropout of its own
        if restored is not None:
            restored.continue_random()
        reason = trainer.train(
            prepared.data,
            progress,
            monitor=monitor,
            validate=validation,
            save=lambda: save(writer, model, trainer, progress, now),
            signals=signals,
            bad=BadUpdates(run.directory, run.tokenizer, most=settings.max_non_finite, spared=spared),
        )
        monitor.event("stop", reason=reason)
    log.info(f"stopped after {progress.updates:,} updates: {reason}")
    return progress


def _new_trainer(
    config: Config, model: Seq2Seq, settings: TrainSettings, device: torch.device, *, alone: bool = False
) -> Trainer:
    """A trainer over a model, on all devices, or alone on one."""
    if settings.gradient_checkpointing:
        recompute_blocks(model)
    model = model.to(device)
    with_loss = TrainedModel(model, smoothing=settings.label_smoothing)
    if settings.compile:
        with_loss.compile(dynamic=True)
    trained = with_loss if alone else distributed.parallel(with_loss, sharded=settings.parallel == "fsdp")
    averages = None if settings.ema_decay is None else Averages(model, decay=settings.ema_decay)
    optimizer = build_optimizer(config["optimizer"], model)
    return Trainer(trained, optimizer, build_schedule(config["schedule"]), settings, device, averages)


def _newest(run: Run) -> Checkpoint | None:
    """The newest intact checkpoint, the same one in all processes."""
    found = None
    if distributed.rank() == 0:
        run.checkpoints.clean()
        found = run.checkpoints.newest_intact(log.warning)
    directory = distributed.broadcast(None if found is None else str(found.directory))
    return None if directory is None else Checkpoint(Path(directory))


def _restore(run: Run, checkpoint: Checkpoint, trainer: Trainer, now: Config) -> Restored:
    """Put the trainer where a checkpoint left it."""
    restored = restore(checkpoint, trainer)
    distributed.on_first(run.checkpoints.point)(restored.progress.as_state())
    log.info(f"continuing {run.directory} after {restored.progress.updates:,} updates")
    if changed := changes(restored.environment, now):
        log.warning(f"what decides the bits has changed, so they may differ from an uninterrupted run's: {', '.join(changed)}")
    return restored


def _validation(
    run: Run,
    prepared: Prepared,
    trainer: Trainer,
    model: Seq2Seq,
    progress: Progress,
    monitor: RunMonitor | Unwatched,
    signals: Signals,
) -> Callable[[bool], None]:
    """What the loop calls to validate: the model and, where there are averages, also a model of these, which then counts."""
    settings, device = trainer.settings, trainer.device
    sources, references = prepared.sources, prepared.references
    batches = dev_batches(prepared.dev, int(settings.tokens_per_batch))
    second = run.build_model().to(device) if trainer.averages is not None or settings.parallel == "fsdp" else model

    def measure(searched: Seq2Seq, trained: torch.nn.Module) -> Validation:
        loss = dev_loss(trained, batches, settings.precision, device)
        return validate(run.translator_of(searched, device), sources, references, loss)

    def validation(scheduled: bool) -> None:
        with signals.at_once():
            if settings.parallel == "fsdp":  # searches take steps of their own in each process: they need all of the model
                fill(second, whole_weights(model))
            raw = measure(second if settings.parallel == "fsdp" else model, trainer.trained)
            found, figures = raw, raw.figures("valid/")
            if trainer.averages is not None:
                fill(second, whole_weights(model, trainer.averages.values))
                found = measure(second, TrainedModel(second, smoothing=0.0))
                figures |= found.figures("valid/ema_")
        best = progress.judge(found.bleu, found.loss, scheduled=scheduled, keep=settings.keep_best)
        monitor.validation(progress.updates, figures, samples(sources, references, found.hypotheses), found.pictures)
        beside = "" if found is raw else f"  (of raw weights {raw.bleu:.2f})"
        log.info(
            f"update {progress.updates:,}  epoch {progress.epoch}  dev loss {found.loss:.3f}  "
            f"perplexity {found.perplexity:.2f}  BLEU {found.bleu:.2f}{beside}  chrF {found.chrf:.2f}{'  best' if best else ''}"
        )

    return validation


def _watched(
    run: Run, prepared: Prepared, progress: Progress, trainer: Trainer, model: Seq2Seq
) -> AbstractContextManager[RunMonitor | Unwatched]:
    """The first process is watched for all of them."""
    if distributed.rank() > 0:
        return nullcontext(Unwatched())
    write_hparams(run.directory, run.config)
    settings, epoch_tokens = trainer.settings, int(prepared.train.lengths["tgt"].sum()) + len(prepared.train)
    monitor = RunMonitor(run.directory, settings, updates=progress.updates, epoch_tokens=epoch_tokens, device=trainer.device)
    if settings.histograms:
        monitor.draw_histograms(model, trainer.optimizer)
    return monitor


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
    speed = result["target_tokens_per_second"]
    final = {"final/dev_bleu": progress.best_bleu, "final/parameters": parameters, "final/target_tokens_per_second": speed}
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
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)
