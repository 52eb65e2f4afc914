#!/usr/bin/env python3
"""Training speed: real target tokens per second of three models on line-aligned text, as one JSON line each.

    scripts/benchmark_training.py --train DIR/train --src de --tgt en [--sizes T B L U] [--updates 60] [--rounds 2]
        [--peer 'COMMAND']

The models, about 2,000 real target tokens an update, joint BPE of 8,000 pieces, dropout 0.1, label smoothing 0.1, Adam:

T  Transformer, 3 + 3 layers, dim 256, feed-forward 1,024, 4 heads, tied embeddings
B  Bahdanau, GRU 256 + 256 and 512, embeddings 256, maxout of 512, so that the projection is as wide as other toolkits'
L  Luong general, LSTM of 2 layers of 512, embeddings 256, input feeding
U  the same without input feeding

Tokens per second = target pieces and ends of sentence that enter the loss / wall time, batches included, padding left out,
the first third of the updates left out. COMMAND is another trainer to measure beside it: it runs once a round, must print a
JSON object with `tokens_per_s` as its last line, and every figure of that round is then also given as a ratio to it.
"""

import argparse
import json
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

import torch

from nmt.components import build_model, build_optimizer, build_schedule
from nmt.config import TokenizerSettings, TrainSettings, compose
from nmt.data.batches import Position, TrainingData
from nmt.data.store import open_store
from nmt.data.text import TextCorpus
from nmt.data.tokenizer import train
from nmt.models.seq2seq import Vocabulary
from nmt.training.loop import Trainer
from nmt.training.loss import TrainedModel

SIZES = {
    "T": ["model=transformer", "model.dropout=0.1"],
    "B": ["model=bahdanau", "model.dropout=0.1", "model.maxout_dim=512"],
    "L": ["model=luong", "model.dropout=0.1"],
    "U": ["model=luong", "model.dropout=0.1", "model.input_feeding=false"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="stem of the two files: DIR/train for DIR/train.de and DIR/train.en")
    parser.add_argument("--src", default="de")
    parser.add_argument("--tgt", default="en")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokens-per-batch", type=int, default=2300, help="padded, on the longer side")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", help="a command to measure beside it")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as cache:
        corpus = TextCorpus(
            src=options.src,
            tgt=options.tgt,
            train=options.train,
            dev=None,
            test=None,
            src_column=None,
            tgt_column=None,
            max_length=256,
        )
        tokenizer = train(corpus.pairs("train"), TokenizerSettings(type="bpe", vocab_size=8000))
        store = open_store(corpus, "train", tokenizer, Path(cache))
        data = TrainingData(store, tokenizer, tokens_per_batch=options.tokens_per_batch, accumulate=1, seed=1)
        for number in range(options.rounds):
            peer = run_peer(options.peer) if options.peer else None
            for size in options.sizes:
                figures = {"size": size, "round": number + 1, **measure(size, data, options.updates)}
                if peer:
                    figures |= {"peer_tokens_per_s": peer, "ratio": round(figures["tokens_per_s"] / peer, 3)}
                print(json.dumps(figures), flush=True)


def measure(size: str, data: TrainingData, updates: int) -> dict[str, float]:
    """Tokens per second of one model, freshly initialised."""
    torch.manual_seed(1)
    config = compose("train", SIZES[size])
    model = build_model(config["model"], Vocabulary(8000, 8000, joint=True))
    optimizer = build_optimizer(config["optimizer"], model)
    settings = TrainSettings(**config["train"])
    device = torch.device("cpu")
    trainer = Trainer(TrainedModel(model, smoothing=0.1), optimizer, build_schedule(config["schedule"]), settings, device)
    sequence = data.updates(Position(0, 0), device)
    tokens, padding, begun = 0, 0.0, 0.0
    for number in range(updates):
        if number == updates // 3:
            tokens, padding, begun = 0, 0.0, time.perf_counter()
        batches, _ = next(sequence)
        trainer.set_rate(number + 1)
        sums = trainer.update(batches)
        tokens += sums.tokens
        padding += sums.padding
    seconds = time.perf_counter() - begun
    sequence.close()
    return {
        "tokens_per_s": round(tokens / seconds),
        "tokens_per_update": round(tokens / (updates - updates // 3)),
        "padding": round(padding / (updates - updates // 3), 4),
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def run_peer(command: str) -> float:
    """The `tokens_per_s` that another trainer reports."""
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.strip().split("\n")[-1])["tokens_per_s"])


if __name__ == "__main__":
    main()
