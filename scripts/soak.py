#!/usr/bin/env python3
"""Faults, and whether training ends in the same bits all the same.

    scripts/soak.py [--models bahdanau luong transformer] [--faults 50] [--updates 600] [--seed 1] [--folder DIR]

For each model two runs are trained on the embedded corpus with dropout and subword sampling on. One is left alone. The other
meets so many faults, spread over its whole length, each of a kind that is drawn at random, and is started again after each:

kill       SIGKILL at any moment, also while it starts
writing    SIGKILL while a checkpoint is being written
term, int  SIGTERM or SIGINT, which must end with status 143 or 130, a checkpoint and a line that says how to continue
usr1       SIGUSR1, which must leave a checkpoint, then SIGKILL
full       a full disk: the run must end with status 2 and a line that says so
cut, flip, missing   SIGKILL, then a file of the newest checkpoint is cut short, has one bit altered, or is removed
cache      SIGKILL, then a file in the cache of ids is cut short

At the end the parameters, the optimizer, the random generators, everything that is counted but time, and all validations
must be the same, bit for bit. The last line is a JSON object with the figures; the status is 0 if all is well.

The full disk is a small file system in memory, mounted where only this script sees it (`unshare`); where that is not allowed, a
limit on the size of files stands for it, and the figures say so.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

KINDS = ("kill", "kill", "writing", "term", "int", "usr1", "full", "cut", "flip", "missing", "cache")
CLASSES = (("kill", "writing", "usr1"), ("term", "int"), ("full",), ("cut", "flip", "missing"))
PATIENCE = 300.0
"""Seconds in which anything that is waited for must happen."""
DISK = 96 << 20
"""Bytes of the small disk."""


class BrokenPromiseError(Exception):
    """A promise was not kept."""


@dataclass
class Subject:
    """A run that can be started, watched and hurt."""

    model: str
    directory: Path
    cache: Path
    updates: int
    figures: Counter[str] = field(default_factory=Counter)

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "nmt", "train", f"model={self.model}_tiny", f"run_dir={self.directory}"),
            *(f"paths.cache={self.cache}", "data.train_pairs=600", "data.dev_pairs=8", "data.test_pairs=4"),
            *("tokenizer.vocab_size=500", "tokenizer.sampling=0.1", "model.dropout=0.2", "train.tokens_per_batch=300"),
            *("train.accumulate=2", f"train.max_updates={self.updates}", f"train.validate_every={max(self.updates // 10, 4)}"),
            *(
                "train.checkpoint_every=5",
                "train.log_every=1",
                "train.patience=null",
                "train.ema_decay=0.99",
                "train.keep_best=2",
            ),
            *("decode.beam=2", "decode.max_length=20", "train.threads=1"),
        ]

    def start(self, file_limit: int | None = None) -> "subprocess.Popen[str]":
        def small_files() -> None:
            if file_limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

        self.figures["starts"] += 1
        return subprocess.Popen(
            self.command(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=small_files,
        )

    def logged(self) -> int:
        """The last update in its metrics."""
        try:
            lines = (self.directory / "metrics.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
            return max((json.loads(line)["update"] for line in lines[-3:]), default=0)
        except (FileNotFoundError, ValueError):
            return 0

    def checkpoints(self) -> list[Path]:
        return sorted((self.directory / "checkpoints").glob("step-*"))

    def writing(self) -> bool:
        return any((self.directory / "checkpoints").glob(".writing-*"))

    def wait(self, process: "subprocess.Popen[str]", until: Callable[[], bool]) -> bool:
        """Whether something came before the end of the process."""
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None:
            if until():
                return True
            if time.monotonic() > deadline:
                kill(process)
                raise BrokenPromiseError(f"{self.model}: nothing happened in {PATIENCE} s")
            time.sleep(0.002)
        return False


def kill(process: "subprocess.Popen[str]", number: int = signal.SIGKILL) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)


def expect(process: "subprocess.Popen[str]", status: int, words: str) -> None:
    """The process must end with this status and these words."""
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        kill(process)
        raise BrokenPromiseError("it did not end") from error
    if process.returncode != status or words not in output.splitlines()[-1]:
        raise BrokenPromiseError(f"status {process.returncode} instead of {status}, or not {words!r} in: {output[-2000:]}")


def hurt(subject: Subject, kind: str, when: int, dice: random.Random, *, small_disk: bool) -> bool:
    """Start the run and let a fault happen once it has logged so many updates; False if it ended before."""
    if kind == "full":
        return fill_disk(subject, when, small_disk=small_disk)
    before = subject.logged()
    process = subject.start()
    begun = time.monotonic()
    if kind == "kill" and dice.random() < 0.4:  # any moment, also while it starts
        moment = dice.uniform(0, 4)
        came = subject.wait(process, lambda: time.monotonic() - begun > moment)
    else:
        when = max(when, before + 1, 16)  # so that it is training again, and there are checkpoints to fall back upon
        came = subject.wait(process, lambda: subject.logged() >= when)
    if came:
        came = strike(subject, process, kind, dice)
    kill(process)
    process.communicate()
    if came and kind in ("cut", "flip", "missing"):
        damage(dice.choice(files(subject.checkpoints()[-1])), kind, dice)
    if came and kind == "cache":
        damage(dice.choice(files(subject.cache)), "cut", dice)
    return came


def strike(subject: Subject, process: "subprocess.Popen[str]", kind: str, dice: random.Random) -> bool:
    """The part of a fault that needs a process that runs; False if it ended before."""
    match kind:
        case "writing":
            return subject.wait(process, subject.writing)
        case "term" | "int":
            number = signal.SIGTERM if kind == "term" else signal.SIGINT
            kill(process, number)
            if process.poll() == 0:
                return False
            expect(process, 128 + number, "to continue: nmt train")
        case "usr1":
            before = subject.checkpoints()[-1:]
            kill(process, signal.SIGUSR1)
            return subject.wait(process, lambda: subject.checkpoints()[-1:] != before)
        case _:
            time.sleep(dice.uniform(0, 0.1))
    return process.poll() is None or kind in ("term", "int")


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


def damage(path: Path, kind: str, dice: random.Random) -> None:
    """Cut a file short, alter a bit of it, or take it away."""
    content = bytearray(path.read_bytes())
    if kind == "missing":
        path.unlink()
    elif kind == "cut":
        path.write_bytes(content[: dice.randrange(len(content))])
    else:
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        path.write_bytes(content)


def fill_disk(subject: Subject, when: int, *, small_disk: bool) -> bool:
    """Let the disk be full from an update on; the run must say so and end."""
    if not small_disk:
        process = subject.start(file_limit=400_000)  # bytes: a checkpoint has more, all other files less
        expect(process, 2, "File too large")
        return True
    process = subject.start()
    ballast = subject.directory.parent / "ballast"
    came = subject.wait(process, lambda: subject.logged() >= when)
    if came:
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        try:
            expect(process, 2, "No space left on device")
        finally:
            ballast.unlink()
    kill(process)
    process.communicate()
    return came


def same(a: Any, b: Any) -> bool:
    """Whether two nested values hold the same bits."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def compare(alone: Subject, hurt_one: Subject) -> None:
    """Everything that decides what comes next must be the same."""
    last = [subject.directory / "checkpoints" / "last" for subject in (alone, hurt_one)]
    for name in ("model.safetensors", "ema.safetensors"):
        if not same(*(load_file(path / name) for path in last)):
            raise BrokenPromiseError(f"{alone.model}: {name} differs")
    trainings = [torch.load(path / "training.pt", weights_only=True) for path in last]
    for name in ("optimizer", "random", "scaler"):  # not the environment: somebody may have committed meanwhile
        if not same(*(training[name] for training in trainings)):
            raise BrokenPromiseError(f"{alone.model}: {name} of training.pt differs")
    states = [json.loads((path / "state.json").read_text(encoding="utf-8")) for path in last]
    for state in states:
        del state["seconds"], state["update_seconds"]  # time is not what resumes
    if states[0] != states[1] or states[0]["updates"] != alone.updates:
        raise BrokenPromiseError(f"{alone.model}: what was counted differs: {states}")
    validations = [valid_lines(subject) for subject in (alone, hurt_one)]
    if validations[0] != validations[1] or not validations[0]:
        raise BrokenPromiseError(f"{alone.model}: validations differ: {validations}")


def valid_lines(subject: Subject) -> list[dict[str, Any]]:
    """The scores of all validations, without their time."""
    lines = (subject.directory / "metrics.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    found = [line for line in map(json.loads, lines) if line["kind"] == "valid"]
    return [{key: value for key, value in line.items() if key == "update" or key.startswith("valid/")} for line in found]


def finish(subject: Subject) -> None:
    output, _ = (process := subject.start()).communicate()
    if process.returncode:
        raise BrokenPromiseError(f"{subject.model}: status {process.returncode}: {output[-2000:]}")


def soak(model: str, folder: Path, *, faults: int, updates: int, dice: random.Random, small_disk: bool) -> dict[str, Any]:
    """One model: its figures."""
    alone = Subject(model, folder / f"{model}-alone", folder / "cache", updates)
    subject = Subject(model, folder / f"{model}-hurt", folder / "cache-hurt", updates)
    begun = time.monotonic()
    finish(alone)
    seconds_alone = time.monotonic() - begun
    one_of_each = [dice.choice(kinds) for kinds in dice.sample(CLASSES, len(CLASSES))]  # for a short soak
    deck = one_of_each + [kind for _ in range(0, faults, len(KINDS)) for kind in dice.sample(KINDS, len(KINDS))]
    happened: Counter[str] = Counter()
    for number, kind in enumerate(deck[:faults]):
        when = updates * number // (faults + 1) + dice.randrange(1, 4)
        if not hurt(subject, kind, when, dice, small_disk=small_disk):
            raise BrokenPromiseError(f"{model}: the run ended before fault {number + 1} ({kind}): give it more --updates")
        happened[kind] += 1
        print(f"{model}: fault {number + 1} of {faults}: {kind}, at update {subject.logged()}", file=sys.stderr, flush=True)
    finish(subject)
    compare(alone, subject)
    seconds = {"seconds_alone": round(seconds_alone, 1), "seconds_hurt": round(time.monotonic() - begun - seconds_alone, 1)}
    return {
        "model": model,
        "faults": faults,
        "kinds": dict(sorted(happened.items())),
        "updates": updates,
        **seconds,
        "same_bits": True,
    }


def mounted(folder: Path) -> bool:
    """Mount a small disk there; False where that is not allowed."""
    return not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], capture_output=True, check=False
    ).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["bahdanau", "luong", "transformer"])
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--folder", type=Path, help="where the runs are; default: a temporary one")
    options = parser.parse_args()
    if "NMT_SOAK_INSIDE" not in os.environ and shutil.which("unshare"):
        allowed = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0
        if allowed:  # so that mounts are seen by nobody else, and go when this ends
            os.environ["NMT_SOAK_INSIDE"] = "1"
            os.execvp("unshare", ["unshare", "-rm", sys.executable, *sys.argv])
    dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        results = []
        for model in options.models:
            folder = (options.folder or Path(temporary)) / model
            folder.mkdir(parents=True)
            small_disk = mounted(folder)
            try:
                numbers = {"faults": options.faults, "updates": options.updates}
                results.append(soak(model, folder, **numbers, dice=dice, small_disk=small_disk))
            except BrokenPromiseError as broken:
                print(f"seed {options.seed}: {broken}", file=sys.stderr)
                return 1
            finally:
                if small_disk:
                    subprocess.run(["umount", "-l", str(folder)], check=False)
            print(json.dumps(results[-1]), flush=True)
    print(json.dumps({"seed": options.seed, "full_disk": "mounted" if small_disk else "file size limit", "results": results}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
