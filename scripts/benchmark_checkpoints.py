#!/usr/bin/env python3
"""What checkpoints cost, and whether memory stays flat, on line-aligned text.

    scripts/benchmark_checkpoints.py --train DIR/train --src de --tgt en [--size T] [--updates 1000] [--every 60] [--threads 2]

Trains one of the models of benchmark_training.py and hands over a checkpoint (parameters, averages, optimizer, random
generators) every so many seconds. While one is written in the background, updates may be slower: so its cost is the time for
which training stood still, and what the updates beside its writing took longer than the median of the others. The JSON line
gives both in seconds and as a share of a minute, as for one checkpoint a minute, and resident memory at tenths of the updates.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from benchmark_training import SIZES, new_trainer

from nmt.config import TokenizerSettings
from nmt.data.batches import Position, TrainingData
from nmt.data.store import open_store
from nmt.data.text import TextCorpus
from nmt.data.tokenizer import train
from nmt.machine import environment, use_threads
from nmt.training.averages import Averages
from nmt.training.checkpoints import Checkpoints, CheckpointWriter
from nmt.training.loss import TrainedModel
from nmt.training.memory import memory
from nmt.training.progress import Progress
from nmt.training.state import save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="stem of the two files: DIR/train for DIR/train.de and DIR/train.en")
    parser.add_argument("--src", default="de")
    parser.add_argument("--tgt", default="en")
    parser.add_argument("--size", choices=SIZES, default="T")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two checkpoints")
    parser.add_argument("--tokens-per-batch", type=int, default=2300)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    use_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        stems = {"train": options.train, "dev": None, "test": None}
        corpus = TextCorpus(src=options.src, tgt=options.tgt, **stems, src_column=None, tgt_column=None, max_length=256)
        tokenizer = train(corpus.pairs("train"), TokenizerSettings(type="bpe", vocab_size=8000))
        store = open_store(corpus, "train", tokenizer, Path(folder) / "cache")
        data = TrainingData(store, tokenizer, tokens_per_batch=options.tokens_per_batch, accumulate=1, seed=1)
        print(json.dumps({"size": options.size, "threads": options.threads} | measure(data, options, Path(folder))))


def measure(data: TrainingData, options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Seconds that each checkpoint cost, and resident memory in MiB over time."""
    trainer = new_trainer(options.size)
    trained: TrainedModel = trainer.trained  # type: ignore[assignment]
    trainer.averages = Averages(trained.model, decay=0.999)
    now = environment(trainer.device, 1)
    progress = Progress()
    speeds: list[float] = []  # seconds per token of updates with nothing beside them
    beside: list[tuple[float, int]] = []  # seconds and tokens of updates beside a checkpoint
    stopped: list[float] = []
    resident: list[int] = []
    sequence = data.updates(Position(0, 0), trainer.device)
    with CheckpointWriter(Checkpoints(folder / "checkpoints"), keep=3) as writer:
        last = time.perf_counter()
        for number in range(1, options.updates + 1):
            busy, begun = writer.busy(), time.perf_counter()
            batches, position = next(sequence)
            sums = trainer.update(batches, number)
            progress.advance(position, sums.tokens)
            seconds = time.perf_counter() - begun
            if busy:
                beside.append((seconds, sums.tokens))
            elif number > 20:
                speeds.append(seconds / sums.tokens)
            if time.perf_counter() - last >= options.every:
                last = time.perf_counter()
                save(writer, trained.model, trainer, progress, now)
                stopped.append(time.perf_counter() - last)
            if number % max(options.updates // 10, 1) == 0:
                resident.append(round(memory(trainer.device)["memory/host"]))
        peak = round(memory(trainer.device)["memory/host_peak"])
    sequence.close()
    usual = statistics.median(speeds)
    slower = sum(seconds - usual * tokens for seconds, tokens in beside) / max(len(stopped), 1)
    still = statistics.mean(stopped) if stopped else 0.0
    return {
        "updates": options.updates,
        "tokens_per_s": round(1 / usual),
        "checkpoints": len(stopped),
        "stood_still_s": round(still, 3),
        "slower_s": round(slower, 3),
        "share_of_a_minute": round((still + slower) / 60, 5),
        "resident_mib": resident,
        "peak_mib": peak,
        "checkpoint_mib": sum(path.stat().st_size for path in (folder / "checkpoints" / "last").glob("*")) >> 20,
    }


if __name__ == "__main__":
    main()
