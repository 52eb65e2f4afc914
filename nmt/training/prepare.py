"""Everything before the first update: a run, new or to be continued, after all checks that need no training."""

import logging
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from nmt.components import build_corpus, build_model, build_schedule, check_optimizer
from nmt.config import TrainSettings
from nmt.data.batches import TrainingData
from nmt.data.corpus import Corpus, FixedCorpus, read_split
from nmt.data.guide import links_fingerprint, open_links
from nmt.data.store import IdStore, open_store
from nmt.data.tokenizer import cached_tokenizer
from nmt.data.words import AlignedPair
from nmt.errors import UserError
from nmt.machine import environment
from nmt.models.seq2seq import Vocabulary
from nmt.paths import cache_directory
from nmt.run import (
    Config,
    Run,
    changed_texts,
    check_places,
    differences,
    read_config,
    read_corpus,
    settings_of_older,
)
from nmt.saved import checked
from nmt.training import distributed
from nmt.training.budget import device_budget
from nmt.training.checkpoints import Checkpoints
from nmt.training.guide import is_guided, links_for, rule_of
from nmt.training.initial import open_origin
from nmt.training.lengths import check_dev, check_lengths
from nmt.training.loop import Trainer
from nmt.training.pieces import report_pieces, report_round_trip
from nmt.training.recompute import recompute_blocks
from nmt.training.session import Prepared, new_trainer
from nmt.training.validation import ALIGNED

log = logging.getLogger("nmt")


def prepare(config: Config, device: torch.device) -> tuple[Run, Corpus, Prepared]:
    """The run of this config, after every check that needs no training has passed."""
    build_schedule(config["schedule"])
    size = config["tokenizer"]["vocab_size"]
    with torch.device("meta"):  # sizes that do not fit are found before any text is read
        model = build_model(config["model"], Vocabulary(size, size, config["tokenizer"]["joint"]))
    sharded = config["train"]["parallel"] == "fsdp" and distributed.size() > 1
    check_optimizer(config["optimizer"], device, sharded=sharded)
    rule_of(config, model)
    origin = open_origin(config, model)
    if config["train"]["gradient_checkpointing"]:
        recompute_blocks(model)
    corpus: Corpus = FixedCorpus(build_corpus(config["data"]))
    check_lengths(model, max_length=corpus.max_length, decode=config["decode"])
    directory, cache = Path(config["run_dir"]), cache_directory(config["paths"]["cache"])
    exists = (directory / "config.yaml").exists()
    if exists:
        check_places(directory)
    if directory.exists() and not directory.is_dir():
        raise UserError(f"run_dir={directory} is a file: choose a folder that is new or empty")
    if not exists and directory.is_dir() and any(directory.iterdir()) and not (directory / "config.yaml").exists():
        raise UserError(f"run_dir={directory} holds files but is not a run: choose a folder that is new or empty")
    texts = _read_small_splits(corpus)
    made_of: dict[str, Any] = {"fingerprints": {split: corpus.fingerprint(split) for split in corpus.splits()}}
    if origin is not None:
        made_of["init_from"] = origin.identity
    links = links_for(config, corpus, cache) if is_guided(config) else None
    if links is not None:
        made_of["fingerprints"]["links"] = links_fingerprint(corpus, links)
    if exists:
        _check_same(directory, config, made_of)
        run = Run.open(directory)
        tokenizer = run.tokenizer
    elif origin is not None and config["init_tokenizer"]:
        tokenizer = origin.tokenizer(sampling=config["tokenizer"]["sampling"])
    else:
        tokenizer = cached_tokenizer(corpus, config["tokenizer"], cache)
    stores = {split: open_store(corpus, split, tokenizer, cache) for split in ("train", "dev")}
    report_round_trip(tokenizer, texts["dev"][1])
    check_dev(model, stores["dev"])
    linked = (
        None
        if links is None
        else open_links(corpus, links, tokenizer, stores["train"], cache, fingerprint=made_of["fingerprints"]["links"])
    )
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
        links=linked,
    )
    report_pieces({split: store.pieces for split, store in stores.items()}, fixed=config["init_from"] is not None)
    if not exists:
        build_model(config["model"], vocabulary)  # sizes that are too large for any memory show before there is a run
        environment_now = environment(device, distributed.size())
        run = Run.create(directory, config, tokenizer, corpus=made_of, environment=environment_now)
    return run, corpus, Prepared(data, stores["train"], stores["dev"], *texts["dev"], _aligned(corpus))


def _aligned(corpus: Corpus) -> list[AlignedPair]:
    """The first dev pairs with gold links, where the corpus has some."""
    return list(islice(corpus.aligned("dev") or (), ALIGNED))


def _fitting_budget(config: Config, vocabulary: Vocabulary, store: IdStore, device: torch.device) -> int:
    if distributed.size() > 1:
        raise UserError(
            "train.tokens_per_batch=auto looks at one GPU alone: find the number by a run without torchrun, and set it here"
        )

    def make(tokens: int) -> Trainer:
        settings = TrainSettings(**config["train"] | {"tokens_per_batch": tokens})
        return new_trainer(config, build_model(config["model"], vocabulary), settings, device, alone=True)

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
    return {split: read_split(corpus, split, corpus.fingerprint(split)) for split in corpus.splits() if split != "train"}


def _check_same(directory: Path, config: Config, made_of: dict[str, Any]) -> None:
    if config["resume"] == "never":
        raise UserError(f"run_dir={directory} holds a run already: choose another folder, or resume=auto to continue it")
    stored = read_config(directory)
    config["tokenizer"] |= settings_of_older(directory, stored)
    if config["train"]["tokens_per_batch"] == "auto":  # what was found then
        settings = checked(stored.get("train"), dict[str, Any], f"train in {directory / 'config.yaml'}")
        config["train"]["tokens_per_batch"] = checked(
            settings.get("tokens_per_batch"), int, "train.tokens_per_batch of the run"
        )
    found = differences(stored, config)
    saved = read_corpus(directory)
    found += changed_texts(saved, made_of["fingerprints"])
    if "init_from" in made_of and saved.get("init_from") != made_of["init_from"]:
        found.append("the parameters of init_from")
    if found:
        raise UserError(
            f"run_dir={directory} belongs to another configuration: {', '.join(found)}; "
            "set these back to continue it, or choose another run_dir"
        )
    made = max((checkpoint.updates for checkpoint in Checkpoints(directory / "checkpoints").all()), default=0)
    if (most := config["train"]["max_updates"]) is not None and most < made:
        raise UserError(f"run_dir={directory} has made {made:,} updates: train.max_updates={most} must be no less, or null")
