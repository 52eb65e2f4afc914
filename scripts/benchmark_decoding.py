#!/usr/bin/env python3
"""Decoding speed: sentences per second of beam search, by models of three sizes or by trained runs, as one JSON line each.

    scripts/benchmark_decoding.py --train DIR/train --input DIR/test.de [--src de --tgt en] [--sizes T B L] [--length 15]
        [--beam 5] [--batch 64] [--rounds 2] [--peer NAME='COMMAND' …] [--memory 1 5 20] [--profile]
    scripts/benchmark_decoding.py --run RUN [RUN …] --input DIR/test.de [--beam 5] …

Sizes are those of scripts/benchmark_training.py, with fresh parameters and a joint BPE of 8,000 pieces. Each translation
then has exactly `--length` pieces, its end counted, so that every engine does the same work; trained runs translate as they
like, unless a length is given. The time is that of `Translator.search`: text in, text out.

COMMAND is another engine to measure beside it, once a round; it must print a JSON object with `sentences_per_s` as its last
line, and every figure of that round is then also given as a ratio to it.

The first line says how fast this machine multiplies matrices. A size's `limit` is that of its own matrix products: sentences
per second if the search were nothing but its multiplications (counted by torch's FlopCounterMode, padding among them);
`share` is what it reaches of that. With --memory, `peak_mib` is what a process that translates with each of these beams has
resident at most, and `cache_mib` what the hypotheses carry from step to step. With --profile, a line says where the time goes.
"""

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch
from benchmark_training import PRODUCTS, SIZES, product_rates
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils.flop_counter import FlopCounterMode

from nmt.components import build_model
from nmt.config import DecodeSettings, TokenizerSettings, compose
from nmt.data.files import read_lines
from nmt.data.text import TextCorpus
from nmt.data.tokenizer import Tokenizer, train
from nmt.decoding.translator import Translator
from nmt.machine import use_threads
from nmt.models.cells import Cell, LSTMCell
from nmt.models.seq2seq import Vocabulary

CPU = torch.device("cpu")


def main() -> None:
    options = parsed()
    use_threads(options.threads)
    sentences = list(read_lines(Path(options.input)))
    if options.one:  # a process of its own, whose memory is that of one beam
        print(json.dumps(memory(next(translators(options))[1], sentences)))
        return
    rate = product_rates()
    print(json.dumps({"threads": options.threads, "product_gflops": rate}), flush=True)
    made = list(translators(options))
    for number in range(options.rounds):
        peers = {name: run_peer(command) for name, _, command in (peer.partition("=") for peer in options.peer)}
        if peers:
            print(json.dumps({"round": number + 1, "peers": peers}), flush=True)
        for name, translator in made:
            figures = {"model": name, "round": number + 1, **measure(translator, sentences)}
            figures["limit"] = round(1e9 * max(rate.values()) / flops(translator, sentences))
            figures["share"] = round(figures["sentences_per_s"] / figures["limit"], 3)
            figures |= {f"ratio_{peer}": round(figures["sentences_per_s"] / speed, 2) for peer, speed in peers.items()}
            print(json.dumps(figures), flush=True)
    for name, translator in made:
        for beam in options.memory:
            choice = ["--run", name] if options.run else ["--sizes", name]
            again = [*sys.argv[1:], *choice, "--beam", str(beam), "--one"]
            done = subprocess.run([sys.executable, __file__, *again], capture_output=True, text=True, check=True)
            print(json.dumps({"model": name, "beam": beam, **json.loads(done.stdout.strip().split("\n")[-1])}), flush=True)
        if options.profile:
            print(json.dumps({"model": name, "share_of_time": operators(translator, sentences)}), flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True, help="a file of source sentences")
    parser.add_argument("--run", nargs="+", default=[], help="run directories")
    parser.add_argument(
        "--train", help="stem of the text that pieces are learnt from: DIR/train for DIR/train.de and DIR/train.en"
    )
    parser.add_argument("--src", default="de")
    parser.add_argument("--tgt", default="en")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["T", "B", "L"])
    parser.add_argument("--length", type=int, help="pieces of each translation; 15 for sizes, free for runs")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=COMMAND", help="another engine to measure beside it"
    )
    parser.add_argument("--memory", nargs="+", type=int, default=[], help="beams whose memory is measured")
    parser.add_argument("--profile", action="store_true", help="say where the time goes")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.run and not options.train:
        parser.error("give --run RUN, or --train STEM")
    if options.length is None and not options.run:
        options.length = 15
    return options


def translators(options: argparse.Namespace) -> Iterator[tuple[str, Translator]]:
    """What is to be measured, by its name."""
    settings = {"beam": options.beam, "batch_size": options.batch}
    if options.length is not None:
        settings |= {"min_length": options.length - 1, "max_length": options.length - 1}  # the end is one more
    for run in options.run:
        yield run, Translator.load(run).having(**settings)
    if not options.run:
        tokenizer = learnt(options)
        for size in options.sizes:
            torch.manual_seed(1)
            config = compose("train", SIZES[size])
            model = build_model(config["model"], Vocabulary(8000, 8000, joint=True)).eval()
            yield size, Translator(model, tokenizer, DecodeSettings(**settings), CPU)


def learnt(options: argparse.Namespace) -> Tokenizer:
    splits = {"train": options.train, "dev": None, "test": None}
    corpus = TextCorpus(src=options.src, tgt=options.tgt, src_column=None, tgt_column=None, max_length=256, **splits)
    return train(corpus.pairs("train"), TokenizerSettings(type="bpe", vocab_size=8000))


def measure(translator: Translator, sentences: list[str]) -> dict[str, float]:
    """Speed, after a first batch that is not timed."""
    translator.search(sentences[:64])
    begun = time.perf_counter()
    found = translator.search(sentences)
    seconds = time.perf_counter() - begun
    pieces = sum(len(translation.hypotheses[0].ids) + 1 for translation in found if translation.hypotheses)
    return {
        "sentences_per_s": round(len(sentences) / seconds, 1),
        "pieces_per_s": round(pieces / seconds),
        "parameters": sum(p.numel() for p in translator.model.parameters()),
    }


@contextlib.contextmanager
def in_one_thread() -> Iterator[None]:
    """While it is open, a search is one thread's work, which profilers and counters see."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def flops(translator: Translator, sentences: list[str]) -> float:
    """Floating-point operations of all matrix products, per sentence."""
    linear, counted = torch.nn.functional.linear, 0

    def counting(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        nonlocal counted  # torch's counter does not see all linear maps in inference mode
        counted += 2 * x.numel() * weight.size(0)
        with _disable_current_modes():
            return linear(x, weight, bias)

    with contextlib.ExitStack() as plain:
        plain.enter_context(in_one_thread())
        plain.enter_context(mock.patch("nmt.models.linear.prefers_onednn", lambda: False))
        plain.enter_context(mock.patch.object(LSTMCell, "read", Cell.read))
        plain.enter_context(mock.patch("torch.nn.functional.linear", counting))
        others = plain.enter_context(FlopCounterMode(display=False))
        translator.search(sentences)
    return (counted + others.get_total_flops()) / len(sentences)


def operators(translator: Translator, sentences: list[str]) -> dict[str, float]:
    """The share of time of all matrix products and fused attention, and of the twelve dearest others."""
    with in_one_thread(), profile(activities=[ProfilerActivity.CPU]) as recorded:
        translator.search(sentences[:256])
    times: Counter[str] = Counter()
    for event in recorded.key_averages():
        times["products" if any(part in event.key for part in PRODUCTS) else event.key] += event.self_cpu_time_total
    total = sum(times.values())
    return {name: round(spent / total, 3) for name, spent in times.most_common(13)}


def memory(translator: Translator, sentences: list[str]) -> dict[str, float]:
    """MiB that this process has resident at most after translating, and MiB of the state of a batch at its largest."""
    step, cached = translator.model.step, 0

    def noting(*arguments: torch.Tensor) -> object:
        nonlocal cached
        features, state = step(*arguments)
        cached = max(cached, sum(x.untyped_storage().nbytes() for x in {x.data_ptr(): x for x in state.values()}.values()))
        return features, state

    with mock.patch.object(translator.model, "step", noting):
        translator.search(sentences)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_mib": peak >> 10, "cache_mib": cached >> 20}


def run_peer(command: str) -> float:
    """The `sentences_per_s` that another engine reports."""
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.strip().split("\n")[-1])["sentences_per_s"])


if __name__ == "__main__":
    main()
