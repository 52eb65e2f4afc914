#!/usr/bin/env python3
"""Training speed: real target tokens per second of three models on line-aligned text, as one JSON line each.

    scripts/benchmark_training.py --train DIR/train --src de --tgt en [--sizes T B L U] [--updates 60] [--rounds 2]
        [--beside KEY=VALUE …] [--peer 'COMMAND'] [--profile]

The models, about 2,000 real target tokens an update, joint BPE of 8,000 pieces, dropout 0.1, label smoothing 0.1, Adam:

T  Transformer, 3 + 3 layers, dim 256, feed-forward 1,024, 4 heads, tied embeddings
B  Bahdanau, GRU 256 + 256 and 512, embeddings 256, maxout of 512, so that the projection is as wide as other toolkits'
L  Luong general, LSTM of 2 layers of 512, embeddings 256, input feeding
U  the same without input feeding

Tokens per second = target pieces and ends of sentence that enter the loss / wall time, batches included, padding left out,
the first third of the updates left out. COMMAND is another trainer to measure beside it: it runs once a round, must print a
JSON object with `tokens_per_s` as its last line, and every figure of that round is then also given as a ratio to it.

Each KEY=VALUE, such as train.compile=true, is measured in turn with the plain setting, as a ratio to it. The first third of the
updates is not timed, and so neither is what is compiled in it. `kept_mib` is what the first batch keeps for its gradient.

The first line says how fast this machine multiplies matrices, by either library (nmt/models/linear.py). A size's `limit` is
that of its own matrix products: tokens per second if an update were nothing but its multiplications (counted by torch's
FlopCounterMode on the plain code path), at the best of those rates; `share` is what it reaches of that. With --profile, a
line says where the time of an update goes, by torch.profiler: in products, and in the other operators.
"""

import argparse
import contextlib
import itertools
import json
import shlex
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from unittest import mock

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from nmt.components import build_model
from nmt.config import TokenizerSettings, TrainSettings, compose
from nmt.data.batches import Position, TrainingData
from nmt.data.store import open_store
from nmt.data.text import TextCorpus
from nmt.data.tokenizer import train
from nmt.machine import use_threads
from nmt.models.attention import Listener, listening
from nmt.models.cells import Cell, LSTMCell
from nmt.models.linear import prefers_onednn, product
from nmt.models.seq2seq import Vocabulary
from nmt.training.loop import Trainer
from nmt.training.precision import autocast
from nmt.training.session import new_trainer as make_trainer

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
    parser.add_argument("--profile", action="store_true", help="say where the time of an update goes")
    parser.add_argument("--beside", nargs="+", default=[], help="settings to measure beside the plain one")
    parser.add_argument("--peer", help="a command to measure beside it")
    options = parser.parse_args()
    use_threads(options.threads)
    rate = product_rates()
    print(json.dumps({"threads": options.threads, "product_gflops": rate, "onednn": prefers_onednn()}), flush=True)
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
                trainer = new_trainer(size)
                figures = {"size": size, "round": number + 1, "kept_mib": kept(trainer, data)}
                figures |= measure(trainer, data, options.updates)
                figures["limit"] = round(1e9 * max(rate.values()) / flops_per_token(trainer, data))
                figures["share"] = round(figures["tokens_per_s"] / figures["limit"], 3)
                if peer:
                    figures |= {"peer_tokens_per_s": peer, "ratio": round(figures["tokens_per_s"] / peer, 3)}
                print(json.dumps(figures), flush=True)
                for setting in options.beside:
                    compared = new_trainer(size, setting)
                    other = {"kept_mib": kept(compared, data)} if "compile" not in setting else {}
                    other |= measure(compared, data, options.updates)
                    ratio = round(other["tokens_per_s"] / figures["tokens_per_s"], 3)
                    print(json.dumps({"size": size, "round": number + 1, "with": setting, **other, "ratio": ratio}), flush=True)
                if options.profile:
                    print(json.dumps({"size": size, "share_of_time": operators(trainer, data)}), flush=True)


def product_rates() -> dict[str, float]:
    """GFLOP/s of matrix products that training has: the best of three shapes, by torch's own product and by ours."""
    best: Counter[str] = Counter()
    for rows, inner, columns in ((1024, 1024, 1024), (130, 512, 2048), (512, 512, 8000)):
        a, b = torch.randn(rows, inner), torch.randn(columns, inner)
        for name, multiply in (("torch", torch.nn.functional.linear), ("nmt", product)):
            for _ in range(10):
                begun = time.perf_counter()
                multiply(a, b)
                best[name] = max(best[name], 2e-9 * rows * inner * columns / (time.perf_counter() - begun))
    return {name: round(rate) for name, rate in best.items()}


def new_trainer(size: str, *overrides: str) -> Trainer:
    """One model, freshly initialised, with all that its updates need."""
    torch.manual_seed(1)
    config = compose("train", [*SIZES[size], *overrides])
    model = build_model(config["model"], Vocabulary(8000, 8000, joint=True))
    return make_trainer(config, model, TrainSettings(**config["train"]), torch.device("cpu"), alone=True)


def measure(trainer: Trainer, data: TrainingData, updates: int) -> dict[str, float]:
    """Tokens per second of one model."""
    sequence = data.updates(Position(0, 0), trainer.device)
    tokens, padding, begun = 0, 0.0, 0.0
    for number in range(updates):
        if number == updates // 3:
            tokens, padding, begun = 0, 0.0, time.perf_counter()
        batches, _ = next(sequence)
        trainer.set_rate(number + 1)
        sums = trainer.update(batches, 1)
        tokens += sums.tokens
        padding += sums.padding
    seconds = time.perf_counter() - begun
    sequence.close()
    return {
        "tokens_per_s": round(tokens / seconds),
        "tokens_per_update": round(tokens / (updates - updates // 3)),
        "padding": round(padding / (updates - updates // 3), 4),
        "parameters": sum(p.numel() for p in trainer.trained.model.parameters()),
    }


def kept(trainer: Trainer, data: TrainingData) -> int:
    """MiB of tensors that the first batch keeps between forward and backward, parameters left out."""
    storages: dict[int, int] = {}
    parameters = {parameter.untyped_storage().data_ptr() for parameter in trainer.trained.parameters()}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    sequence = data.updates(Position(0, 0), trainer.device)
    (batch,), _ = next(sequence)
    sequence.close()
    with (
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        autocast(trainer.settings.precision, trainer.device),
    ):
        loss, _ = trainer.trained.train()(batch)  # which holds them until it goes
    found = sum(storages.values()) >> 20
    del loss
    return found


def flops_per_token(trainer: Trainer, data: TrainingData, updates: int = 5) -> float:
    """Floating-point operations of all matrix products of an update, per real target token."""
    tokens = 0
    with contextlib.ExitStack() as plain:
        plain.enter_context(mock.patch("nmt.models.linear.prefers_onednn", lambda: False))
        plain.enter_context(mock.patch.object(LSTMCell, "read", Cell.read))
        plain.enter_context(listening(Listener(lambda *_: None)))
        counter = plain.enter_context(FlopCounterMode(display=False))
        sequence = data.updates(Position(0, 0), trainer.device)
        for batches, _ in itertools.islice(sequence, updates):
            tokens += trainer.update(batches, 1).tokens
        sequence.close()
    return counter.get_total_flops() / tokens


PRODUCTS = ("linear_pointwise", "mkldnn_rnn_layer", "::mm", "::addmm", "::bmm", "::baddbmm", "::addmv", "flash_attention")


def operators(trainer: Trainer, data: TrainingData, updates: int = 5) -> dict[str, float]:
    """The share of time of all matrix products, recurrent layers and fused attention, and of the ten dearest others."""
    sequence = data.updates(Position(0, 0), trainer.device)
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for batches, _ in itertools.islice(sequence, updates):
            trainer.update(batches, 1)
    sequence.close()
    times: Counter[str] = Counter()
    for event in recorded.key_averages():
        name = "products" if any(part in event.key for part in PRODUCTS) else event.key
        times[name] += event.self_cpu_time_total
    total = sum(times.values())
    return {name: round(spent / total, 3) for name, spent in times.most_common(11)}


def run_peer(command: str) -> float:
    """The `tokens_per_s` that another trainer reports."""
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.strip().split("\n")[-1])["tokens_per_s"])


if __name__ == "__main__":
    main()
