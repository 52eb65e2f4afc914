"""Run by `test_distributed.py` under torchrun: some updates in float64, whose parameters the first process saves.

dealt_updates.py MODEL ddp|fsdp UPDATES CACHE OUTPUT
"""

import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from nmt.components import build_corpus, build_model, build_optimizer
from nmt.config import TrainSettings, compose
from nmt.data.batches import Position, TrainingData
from nmt.data.store import open_store
from nmt.data.tokenizer import cached_tokenizer
from nmt.models.seq2seq import Vocabulary
from nmt.training import distributed
from nmt.training.loop import Trainer
from nmt.training.loss import TrainedModel
from nmt.training.state import whole_weights


def main(name: str, parallel: str, updates: int, cache: Path, output: Path) -> None:
    torch.set_default_dtype(torch.float64)
    with distributed.joined(torch.device("cpu")) as device:
        weights = update(name, parallel, updates, cache, device)
        distributed.on_first(save_file)(weights, output)


def update(name: str, parallel: str, updates: int, cache: Path, device: torch.device) -> dict[str, torch.Tensor]:
    sizes = ["data.train_pairs=400", "data.dev_pairs=2", "tokenizer.vocab_size=500", "tokenizer.sampling=0.1"]
    config = compose("train", [f"model={name}", "model.dropout=0", *sizes])
    with distributed.first():
        corpus = build_corpus(config["data"])
        tokenizer = cached_tokenizer(corpus, config["tokenizer"], cache)
        store = open_store(corpus, "train", tokenizer, cache)
    data = TrainingData(
        store,
        tokenizer,
        tokens_per_batch=200,
        accumulate=3,
        seed=1,
        process=distributed.rank(),
        processes=distributed.size(),
    )
    torch.manual_seed(1)
    model = build_model(config["model"], Vocabulary(tokenizer.src_size, tokenizer.tgt_size, tokenizer.joint))
    trained = distributed.parallel(TrainedModel(model, smoothing=0.1), device, sharded=parallel == "fsdp")
    optimizer = build_optimizer(config["optimizer"], model)
    trainer = Trainer(trained, optimizer, lambda _: 1.0, TrainSettings(parallel=parallel), device)
    sequence = data.updates(Position(0, 0), device)
    for number in range(1, updates + 1):
        trainer.update(next(sequence)[0], number)
    sequence.close()
    return whole_weights(model)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), Path(sys.argv[5]))
    os._exit(0)  # as `nmt.cli.run` does, and for its reason
