"""The training of a run: its parts put together, begun or continued, and brought to its end."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from nmt.components import build_optimizer, build_schedule
from nmt.config import TrainSettings
from nmt.data.batches import TrainingData
from nmt.data.store import IdStore
from nmt.data.words import AlignedPair
from nmt.machine import changes, environment
from nmt.models.seq2seq import Seq2Seq
from nmt.run import Config, Run
from nmt.tokenisation import SHOWN, tokenisation_of
from nmt.training import distributed
from nmt.training.averages import Averages
from nmt.training.checkpoint import Checkpoint
from nmt.training.checkpoints import CheckpointWriter
from nmt.training.faults import SCALING, BadUpdates, room_to_translate
from nmt.training.guide import guide_of, rule_of
from nmt.training.hparams import write_hparams
from nmt.training.initial import fill_from_origin
from nmt.training.loop import Trainer
from nmt.training.loss import TrainedModel
from nmt.training.monitor import RunMonitor, Unwatched
from nmt.training.progress import Progress, is_scheduled
from nmt.training.randomness import seed_everything, seed_of_process
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
        aligned: its first pairs with gold links; none of a corpus that has no links.
    """

    data: TrainingData
    train: IdStore
    dev: IdStore
    sources: list[str]
    references: list[str]
    aligned: list[AlignedPair]


def train(run: Run, prepared: Prepared, device: torch.device, signals: Signals) -> Progress:
    """Begin or continue the training of a run, until there is a reason to stop.

    Raises:
        Interrupted: after a checkpoint, where a signal asks for the end.
    """
    settings = TrainSettings(**run.config["train"])
    seed_everything(run.config["seed"])
    model = run.build_model()
    checkpoint = _newest(run)
    if checkpoint is not None:
        checkpoint.load_model(model)
    else:
        fill_from_origin(run, model)
    trainer = new_trainer(run.config, model, settings, device)
    now = environment(device, distributed.size())
    restored = None if checkpoint is None else _restore(run, checkpoint, trainer, now)
    progress = _begun(run) if restored is None else restored.progress
    if progress.reason_to_stop(settings) and not progress.validation_due(settings):
        return progress
    spared = SCALING if settings.precision == "fp16" else 0
    with (
        signals.noted(),
        _watched(run, prepared, progress, trainer, model) as monitor,
        CheckpointWriter(run.checkpoints, keep=settings.keep, scheduled=partial(is_scheduled, settings)) as writer,
    ):
        validator = Validator(run, prepared, trainer, model)

        def validate_now(scheduled: bool) -> None:
            with signals.at_once(), room_to_translate(device):
                raw, ema = validator.measure()
            _judge(progress, monitor, prepared, raw, ema, scheduled=scheduled, keep=settings.keep_best)

        seed_everything(seed_of_process(run.config["seed"], distributed.rank()))  # each has dropout of its own
        if restored is not None:
            restored.continue_random()
        reason = trainer.train(
            prepared.data,
            progress,
            monitor=monitor,
            validate=validate_now,
            save=lambda: save(writer, model, trainer, progress, now),
            signals=signals,
            bad=BadUpdates(run.directory, run.tokenizer, most=settings.max_non_finite, spared=spared),
        )
        monitor.event("stop", reason=reason)
    log.info(f"stopped after {progress.updates:,} updates: {reason}")
    if progress.ranked and progress.best_update == 0:
        log.warning(
            f"no validation was better than that of the parameters of {run.config['init_from']}, which training began with"
        )
    return progress


def new_trainer(
    config: Config, model: Seq2Seq, settings: TrainSettings, device: torch.device, *, alone: bool = False
) -> Trainer:
    """A trainer over a model, on all devices, or alone on one."""
    if settings.gradient_checkpointing:
        recompute_blocks(model)
    guided = guide_of(config, model)
    with_loss = (guided or TrainedModel)(model, smoothing=settings.label_smoothing)
    if settings.compile:
        with_loss.compile(dynamic=True)
    sharded = settings.parallel == "fsdp"
    trained = with_loss.to(device) if alone else distributed.parallel(with_loss, device, sharded=sharded)
    averages = None if settings.ema_decay is None else Averages(model, decay=settings.ema_decay)
    optimizer = build_optimizer(config["optimizer"], model)
    return Trainer(trained, optimizer, build_schedule(config["schedule"]), settings, device, averages)


def _begun(run: Run) -> Progress:
    """Before the first update. Fine-tuning validates what it begins with, so that a training that only ruins it is seen to."""
    return Progress(validated=-1) if run.config["init_from"] is not None else Progress()


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


class Validator:
    """Measures a model on dev and, where there are averages, beside it the model of these.

    Args:
        run: gives the settings of the search.
        prepared: gives dev.
        trainer: whose model it is.
        model: without what wraps it.
    """

    def __init__(self, run: Run, prepared: Prepared, trainer: Trainer, model: Seq2Seq) -> None:
        self._run = run
        self._prepared = prepared
        self._trainer = trainer
        self._model = model
        self._tokenisation = tokenisation_of(run.config)
        self._batches = dev_batches(prepared.dev, int(trainer.settings.tokens_per_batch))
        # Searches take as many steps as they need in each process, so they cannot wait for parts of a model that others hold
        self._split = trainer.settings.parallel == "fsdp"
        needs_second = self._split or trainer.averages is not None
        self._second = run.build_model() if needs_second else None  # in host memory, but while it is measured

    def measure(self) -> tuple[Validation, Validation | None]:
        """What dev says of the raw weights, and of their averages, where they are kept."""
        if self._split:
            with self._filled(whole_weights(self._model)) as whole:
                raw = self._measure(whole, self._trainer.trained)
        else:
            raw = self._measure(self._model, self._trainer.trained)
        if self._trainer.averages is None:
            return raw, None
        with self._filled(whole_weights(self._model, self._trainer.averages.values)) as averaged:
            return raw, self._measure(averaged, TrainedModel(averaged, smoothing=0.0))

    @contextmanager
    def _filled(self, weights: dict[str, Tensor]) -> Iterator[Seq2Seq]:
        """The second model with these weights, on the device while it is open."""
        assert self._second is not None
        fill(self._second, weights)
        yield self._second.to(self._trainer.device)
        self._second.to("cpu")

    def _measure(self, searched: Seq2Seq, trained: nn.Module) -> Validation:
        trainer, prepared = self._trainer, self._prepared
        loss = dev_loss(trained, self._batches, trainer.settings.precision, trainer.device)
        return validate(
            self._run.translator_of(searched, trainer.device),
            prepared.sources,
            prepared.references,
            loss,
            aligned=prepared.aligned,
            rule=rule_of(self._run.config, searched),
            tokenisation=self._tokenisation,
        )


def _judge(
    progress: Progress,
    monitor: RunMonitor | Unwatched,
    prepared: Prepared,
    raw: Validation,
    ema: Validation | None,
    *,
    scheduled: bool,
    keep: int,
) -> None:
    """Count a validation and report it. Where there are averages, theirs is the one that counts."""
    found, figures, beside = raw, raw.figures("valid/"), ""
    if ema is not None:
        found, figures, beside = ema, figures | ema.figures("valid/ema_"), f"  (of raw weights {raw.score:.2f})"
    figures = figures | found.looks
    best = progress.judge(found.score, found.loss, scheduled=scheduled, keep=keep)
    shown = samples(prepared.sources, prepared.references, found.hypotheses)
    monitor.validation(progress.updates, figures, shown, found.pictures, found.signatures)
    first, second = (f"{SHOWN[name]} {value.score:.2f}" for name, value in found.scores.items())
    log.info(
        f"update {progress.updates:,}  epoch {progress.epoch}  dev loss {found.loss:.3f}  perplexity {found.perplexity:.2f}  "
        f"{first}{beside}  {second}{'  best' if best else ''}"
    )


def _watched(
    run: Run, prepared: Prepared, progress: Progress, trainer: Trainer, model: Seq2Seq
) -> AbstractContextManager[RunMonitor | Unwatched]:
    """The first process is watched for all of them."""
    if distributed.rank() > 0:
        return nullcontext(Unwatched())
    write_hparams(run.directory, run.config)
    settings, epoch_tokens = trainer.settings, int(prepared.train.lengths["tgt"].sum()) + len(prepared.train)
    monitor = RunMonitor(run.directory, settings, progress=progress, epoch_tokens=epoch_tokens, device=trainer.device)
    if settings.histograms:
        monitor.draw_histograms(model, trainer.optimizer)
    return monitor
