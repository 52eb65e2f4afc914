#!/usr/bin/env python3
"""Runs that a stranger has poisoned, and whether any command that is typed about them does harm.

    scripts/attack.py [--only PATTERN] [--short] [--processes 2] [--seconds 20] [--folder DIR]

One tiny run is trained. Then, for each of some 300 attacks, a copy of it is poisoned — links at every place where nmt writes,
pipes, devices and endless files where it reads, parameters, states and settings that lie, escape codes — and a command that a
user might type about it is run. Each must

- end with status 2, or 0 where what is poisoned does not matter to the command;
- say what is wrong in one line, without a traceback and without a byte that a terminal obeys;
- take no more than some seconds of the CPU, and no more memory than a gigabyte beyond what nmt has when it starts;
- change nothing outside of the run: a folder of files, to which all links lead, is compared with what it was.

Commands are forked from one process that has imported everything, so that an attack takes a second or two. The last lines
are a table by kind and every promise that was broken; the status is 0 if there is none.
"""

import argparse
import hashlib
import importlib
import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file

MEMORY = 1 << 30
"""Bytes that a command may take beyond what it begins with."""
PATIENCE = 120.0
"""Seconds after which a command hangs, however busy the machine is."""
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
DATA = ("translate", "raw", "score", "align")
"""Commands whose standard output is data, here a file, and so as it is."""

Poison = Callable[["Site"], None]


@dataclass(frozen=True)
class Site:
    """Where an attack happens.

    Attributes:
        run: the copy that is poisoned.
        outside: a folder with files that must stay as they are.
        work: an empty folder for what the command writes.
        good: a run that nobody has touched.
    """

    run: Path
    outside: Path
    work: Path
    good: Path

    @property
    def checkpoint(self) -> Path:
        return self.run / "checkpoints" / "step-0000004"


@dataclass(frozen=True)
class Attack:
    """A poison and the commands that meet it.

    Attributes:
        kind: to which it belongs.
        name: of the poison.
        poison: puts it into a run.
        commands: that are run, each on a copy of its own.
        refused: whether status 2 is wanted, or None where 0 does as well.
    """

    kind: str
    name: str
    poison: Poison
    commands: tuple[str, ...]
    refused: bool | None = None


def training(run: Path, *more: str) -> list[str]:
    sizes = ["data.train_pairs=100", "data.dev_pairs=4", "data.test_pairs=4", "tokenizer.vocab_size=400", "decode.max_length=8"]
    sizes += ["train.tokens_per_batch=300", "train.validate_every=2", "train.checkpoint_every=2", "train.ema_decay=0.9"]
    sizes += ["decode.beam=2", "train.threads=1", "device=cpu", "model.dim=16", "model.feedforward_dim=16"]
    return ["train", "model=transformer_tiny", f"run_dir={run}", *sizes, *more]


def command_line(command: str, site: Site) -> list[str]:
    run, work = str(site.run), site.work
    texts = [f"src={site.good / 'sources.txt'}", f"tgt={site.good / 'sources.txt'}"]
    match command:
        case "train":
            return training(site.run, "train.max_updates=6")
        case "finetune":
            return training(work / "new", "train.max_updates=2", f"init_from={run}")
        case "translate":
            return ["translate", run, "text=The dog sleeps.", "threads=1"]
        case "raw":
            return ["translate", run, "text=The dog sleeps.", "weights=raw", "threads=1"]
        case "evaluate":
            return ["evaluate", run, "split=dev", "threads=1"]
        case "average":
            return ["average", run, "threads=1"]
        case "report":
            return ["report", run, f"output={work / 'report'}"]
        case "compare":
            return ["compare", str(site.good / "run"), run, f"output={work / 'compare'}", "test=bs", "samples.bs=10"]
        case "explain":
            return ["explain", run, "text=The dog sleeps.", "threads=1"]
        case "align" | "score":
            return [command, run, *texts, "threads=1"]
    raise ValueError(command)


# --- poisons -------------------------------------------------------------------------------------------------------------


def put_link(place: str, target: str) -> Poison:
    """A link out of the run where it writes; the target is one of the files or folders outside."""

    def poison(site: Site) -> None:
        path = site.run / place
        remove(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(site.outside / target)

    return poison


def in_pipe(place: str) -> Poison:
    def poison(site: Site) -> None:
        (site.run / place).parent.mkdir(parents=True, exist_ok=True)
        put(place, "fifo")(site)

    return poison


def put_hard_link(place: str) -> Poison:
    def poison(site: Site) -> None:
        remove(site.run / place)
        (site.run / place).hardlink_to(site.outside / "file")

    return poison


def put(place: str, kind: str) -> Poison:
    """Something in place of a file that is read."""

    def poison(site: Site) -> None:
        path = site.run / place
        remove(path)
        match kind:
            case "fifo":
                os.mkfifo(path)
            case "zero" | "tty" | "random":
                path.symlink_to(f"/dev/{kind}")
            case "folder":
                path.mkdir()
            case "loop":
                path.symlink_to(path.name)
            case "nowhere":
                path.symlink_to("/nowhere/at/all")
            case "empty":
                path.touch()
            case "sparse":
                with path.open("wb") as file:
                    file.truncate(10**12)
            case "nested":
                path.write_text("[" * 100_000)
            case "digits":
                path.write_text('{"format": 2, "updates": ' + "9" * 5000 + "}")
            case "binary":
                path.write_bytes(bytes(range(256)) * 16)

    return poison


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def config(change: Callable[[dict[str, Any]], object]) -> Poison:
    """Another config.yaml."""

    def poison(site: Site) -> None:
        path = site.run / "config.yaml"
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(values)
        path.write_text(yaml.safe_dump(values, allow_unicode=False), encoding="utf-8")

    return poison


def setting(key: str, value: Any) -> Poison:
    def change(values: dict[str, Any]) -> None:
        *above, last = key.split(".")
        for name in above:
            values = values[name]
        values[last] = value

    return config(change)


def config_text(text: str) -> Poison:
    """Text at the end of config.yaml."""

    def poison(site: Site) -> None:
        with (site.run / "config.yaml").open("a", encoding="utf-8") as file:
            file.write(text)

    return poison


def signed(change: Callable[[Path], None]) -> Poison:
    """Something else in the checkpoints, with checksums that say that it is right."""

    def poison(site: Site) -> None:
        for checkpoint in (site.run / "checkpoints").glob("step-*"):
            change(checkpoint)
            files = [path for path in checkpoint.iterdir() if path.is_file() and path.name != "manifest.json"]
            sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.stat().st_size < 10**9}
            sums |= {path.name: "0" * 64 for path in files if path.stat().st_size >= 10**9}
            (checkpoint / "manifest.json").write_text(json.dumps({"format": 2, "sha256": sums}), encoding="utf-8")

    return poison


def manifest(change: Callable[[dict[str, Any]], object]) -> Poison:
    def poison(site: Site) -> None:
        path = site.checkpoint / "manifest.json"
        values = json.loads(path.read_text(encoding="utf-8"))
        values = change(values) or values
        path.write_text(json.dumps(values), encoding="utf-8")

    return poison


def json_of(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """A change to a JSON file in a folder; what it gives takes the place of what was there."""

    def changed(folder: Path) -> None:
        values = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps(change(values)), encoding="utf-8")

    return changed


def in_run(change: Callable[[Path], None]) -> Poison:
    return lambda site: change(site.run)


def tensors(change: Callable[[dict[str, torch.Tensor]], object], name: str = "model.safetensors") -> Poison:
    def changed(checkpoint: Path) -> None:
        values = load_file(checkpoint / name)
        change(values)
        save_file(values, checkpoint / name, metadata={"format": "pt"})

    return signed(changed)


def header(change: Callable[[dict[str, Any]], object], *, length: int | None = None) -> Poison:
    """A header that lies about what follows."""

    def changed(checkpoint: Path) -> None:
        content = (checkpoint / "model.safetensors").read_bytes()
        size = int.from_bytes(content[:8], "little")
        values = json.loads(content[8 : 8 + size])
        change(values)
        text = json.dumps(values).encode()
        begin = (len(text) if length is None else length).to_bytes(8, "little")
        (checkpoint / "model.safetensors").write_bytes(begin + text + content[8 + size :])

    return signed(changed)


def state(change: Callable[[dict[str, Any]], object]) -> Poison:
    """Another training.pt."""

    def changed(checkpoint: Path) -> None:
        values = torch.load(checkpoint / "training.pt", weights_only=True)
        change(values)
        torch.save(values, checkpoint / "training.pt")

    return signed(changed)


def moments(value: Callable[[torch.Tensor], Any], key: str = "exp_avg") -> Poison:
    def change(values: dict[str, Any]) -> None:
        for one in values["optimizer"]["state"].values():
            one[key] = value(one[key])

    return state(change)


class Shell:
    """Unpickling it would write a file outside."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def shell(site: Site) -> None:
    signed(lambda checkpoint: torch.save({"optimizer": Shell(site.outside / "owned")}, checkpoint / "training.pt"))(site)


def sparse(name: str) -> Poison:
    def changed(checkpoint: Path) -> None:
        with (checkpoint / name).open("r+b") as file:
            file.truncate(10**12)

    return signed(changed)


ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
WRITTEN: dict[str, tuple[str, ...]] = {
    "train.log": ("train",),
    ".train.log": ("train",),
    "metrics.jsonl": ("train",),
    ".metrics.jsonl": ("train",),
    "result.json": ("train",),
    ".result.json": ("train",),
    ".config.yaml": ("train",),
    ".lock": ("train",),
    "evaluation/dev/hypotheses.txt": ("evaluate",),
    "evaluation/dev/sources.txt": ("evaluate",),
    "evaluation/dev/references.txt": ("evaluate",),
    "evaluation/dev/scores.json": ("evaluate",),
    "evaluation/dev/.scores.json": ("evaluate",),
    "evaluation/dev/breakdown.png": ("evaluate",),
    "evaluation/average.json": ("average",),
}
"""Files of a run that commands write."""
FOLDERS: dict[str, tuple[str, ...]] = {
    "evaluation": ("evaluate", "average", "train"),
    "evaluation/dev": ("evaluate",),
    "evaluation/test": ("train",),
    "explanations": ("explain",),
    "tensorboard": ("train",),
    "checkpoints/step-0000006": ("train",),
    "checkpoints/averaged": ("average",),
    "checkpoints/.writing-step-0000006": ("train",),
    "checkpoints/.writing-averaged": ("average",),
    "checkpoints/.old-step-0000002": ("train",),
}
"""Folders of a run that commands write into."""
READ: dict[str, tuple[str, ...]] = {
    "config.yaml": ("translate", "report", "train"),
    "tokenizer/joint.model": ("translate",),
    "checkpoints/step-0000004/manifest.json": ("translate", "train"),
    "checkpoints/step-0000004/state.json": ("translate", "train"),
    "checkpoints/step-0000004/model.safetensors": ("explain", "finetune"),
    "checkpoints/step-0000004/ema.safetensors": ("translate", "train"),
    "checkpoints/step-0000004/training.pt": ("average", "train"),
    "corpus.json": ("evaluate", "train"),
    "result.json": ("report",),
    "metrics.jsonl": ("train",),
    "evaluation/test/hypotheses.txt": ("compare", "report"),
    "evaluation/test/sources.txt": ("compare",),
    "evaluation/test/references.txt": ("compare",),
    "evaluation/test/scores.json": ("report", "compare"),
}
"""Files of a run that commands read."""


def attacks() -> Iterator[Attack]:
    for place, commands in WRITTEN.items():
        yield Attack("link to a file", place, put_link(place, "file"), commands)
        yield Attack("link to a new file", place, put_link(place, "new"), commands)
        yield Attack("pipe where it writes", place, in_pipe(place), commands)
    yield Attack("hard link", "train.log", put_hard_link("train.log"), ("train",))
    yield Attack("hard link", "metrics.jsonl", put_hard_link("metrics.jsonl"), ("train",))
    for place, commands in FOLDERS.items():
        yield Attack("link to a folder", place, put_link(place, "folder"), commands)
    for place, commands in READ.items():
        for kind in ("fifo", "zero", "tty", "folder", "loop", "nowhere", "empty", "sparse", "nested", "digits", "binary"):
            yield Attack(
                f"{kind} in place of a file", place, put(place, kind), commands[: 2 if kind in ("fifo", "zero") else 1]
            )
    yield from _of_configs()
    yield from _of_checkpoints()
    yield from _of_states()
    yield from _of_results()
    yield from _of_escapes()


def _of_configs() -> Iterator[Attack]:
    bomb = "x0: &x0 [1,1,1,1,1,1,1,1,1]\n" + "".join(f"x{n}: &x{n} [{','.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 30))
    texts = {
        "an alias bomb": bomb,
        "deep nesting": f"deep: {'[' * 20_000}",
        "deep keys": "\n".join(" " * n + "k:" for n in range(500)),
        "a number of 5,000 digits": f"seed2: {'9' * 5000}",
        "sixties": f"seed2: {':'.join(['59'] * 50_000)}",
        "a million values": f"many: [{','.join(['1'] * 110_000)}]",
        "a Python object": "x: !!python/object/apply:os.system ['touch owned']",
        "bytes": "x: !!binary aGVsbG8=",
        "a set": "x: !!set {a, b}",
        "a number for a key": "7: 8",
        "a key twice": "seed: 1\nseed: 2",
    }
    for name, text in texts.items():
        yield Attack("config text", name, config_text(text), ("translate", "report"), refused=True)
    yield Attack("config text", "a long string", setting("model.norm", "x" * 200_000), ("translate",), refused=True)
    chain: dict[str, Any] = {"_target_": "nmt.models.encoder.Nothing"}
    for _ in range(100):
        chain = {"_target_": "nmt.models.recurrent.RecurrentEncoder", "encoder": chain}
    sizes = {
        "model.encoder_layers": 10**9,
        "model.decoder_layers": 1001,
        "model.heads": 10**6,
        "model.dim": 10**6,
        "model.feedforward_dim": 10**30 % 2**62,
        "model.dropout": float("nan"),
        "model.positions": {"_target_": "nmt.models.positions.Learned", "_partial_": True, "length": 10**9},
        "model.pattern": chain,
        "model.feedforward": "nmt.models.feedforward.ReLU",
        "model._target_": "os.system",
        "model.norm": {"_target_": "os.system"},
        "model.normalization": "${oc.env:HOME}",
        "decode.beam": 10**6,
        "decode.batch_size": 10**9,
        "decode.max_length": 10**9,
        "decode.n_best": 10**7,
        "decode.search": ["beam"],
        "decode.seed": "x",
        "decode": [1],
        "tokenizer.sampling": "much",
        "guide": [1, 2],
        "guide.weight": "x",
        "data.src": ["en"],
        "model": None,
        "data": 3,
    }
    for key, value in sizes.items():
        yield Attack("config value", key, setting(key, value), ("translate",), refused=True)
    texts_of_data: dict[str, Any] = {
        "dev_pairs": 10**9,
        "train_pairs": 10**9,
        "_target_": "nmt.cli.main",
        "seed": [1],
        "max_length": -1,
    }
    for key, value in texts_of_data.items():
        yield Attack("config data", key, setting(f"data.{key}", value), ("evaluate",), refused=True)
    for path in ("/dev/zero", "/dev/tty", "/proc/self/mem"):
        text = {"_target_": "nmt.data.text.TextCorpus", "src": "en", "tgt": "de", "max_length": 100}
        text |= {"train": f"{path}.tsv", "test": None, "src_column": None, "tgt_column": None}
        yield Attack(
            "config data", path, config(lambda v, p=path, t=text: v.update(data=t | {"dev": p})), ("evaluate",), refused=True
        )  # type: ignore[misc]
    yield Attack("config value", "seed", setting("seed", "x"), ("report",), refused=True)
    yield Attack("config value", "no train", config(lambda values: values.pop("train")), ("report", "train"))


def _of_checkpoints() -> Iterator[Attack]:
    first: Callable[[dict[str, Any]], Any] = lambda values: next(name for name in values if name != "__metadata__")  # noqa: E731
    lies: dict[str, Poison] = {
        "a header of 2^60 bytes": header(lambda _: None, length=2**60),
        "a header beyond the file": header(lambda _: None, length=10**7),
        "a shape of 10^12": header(lambda values: values[first(values)].update(shape=[10**6, 10**6])),
        "offsets beyond the file": header(lambda values: values[first(values)].update(data_offsets=[0, 10**12])),
        "offsets turned round": header(lambda values: values[first(values)].update(data_offsets=[8, 4])),
        "a type that is none": header(lambda values: values[first(values)].update(dtype="F99")),
        "numbers as text": header(lambda values: values[first(values)].update(shape=["1"])),
        "a list": header(lambda values: values.update(more=[1])),
        "a tensor less": tensors(lambda values: values.pop(first(values))),
        "a tensor more": tensors(lambda values: values.update(more=torch.zeros(3))),
        "a smaller tensor": tensors(lambda values: values.update({first(values): torch.zeros(3)})),
        "a larger tensor": tensors(lambda values: values.update({first(values): torch.zeros(300, 300)})),
        "whole numbers": tensors(lambda values: values.update({first(values): values[first(values)].long()})),
        "1 TB": sparse("model.safetensors"),
    }
    for name, poison in lies.items():
        yield Attack("parameters", name, poison, ("raw", "average"), refused=True)
    names = ("../../../outside/file", "/etc/passwd", "..", "optimizer/../state.json", "a\\b", f"x{ESCAPE}", "", "config.yaml")
    for name in names:
        poison = manifest(lambda values, name=name: values["sha256"].update({name: "0" * 64}))  # type: ignore[misc]
        yield Attack("manifest", repr(name), poison, ("translate", "train"))
    others: dict[str, Callable[[dict[str, Any]], object]] = {
        "no checksums": lambda values: values.pop("sha256"),
        "a list": lambda _: [1],
        "checksums that are numbers": lambda values: values.update(sha256={"model.safetensors": 3}),
        "a format of text": lambda values: values.update(format="x"),
        "a format of 4,000 digits": lambda values: values.update(format=10**4000),
        "a negative format": lambda values: values.update(format=-1),
    }
    for name, change in others.items():
        yield Attack("manifest", name, manifest(change), ("translate",), refused=True)
    ema = tensors(lambda values: values.update({first(values): torch.zeros(3)}), "ema.safetensors")
    yield Attack("parameters", "smaller averages", ema, ("translate", "train"), refused=True)


def _of_states() -> Iterator[Attack]:
    wrong: dict[str, Poison] = {
        "a moment of three elements": moments(lambda _: torch.zeros(3)),
        "a larger moment": moments(lambda value: torch.zeros(*value.shape, 3)),
        "a moment of another type": moments(lambda value: value.double()),
        "a complex moment": moments(lambda value: value.to(torch.complex64)),
        "a sparse moment": moments(lambda value: value.to_sparse()),
        "a moment without memory": moments(lambda value: torch.zeros(1).expand(value.shape)),
        "a moment on no device": moments(lambda value: value.to("meta")),
        "a moment that is a number": moments(lambda _: 1.0),
        "a step that is large": moments(lambda _: torch.zeros(100), "step"),
        "no moment": state(lambda values: [one.pop("exp_avg") for one in values["optimizer"]["state"].values()]),
        "other parameters": state(lambda values: values["optimizer"]["state"].update({999: {}})),
        "no groups": state(lambda values: values["optimizer"].update(param_groups=[])),
        "no optimizer": state(lambda values: values.pop("optimizer")),
        "a scale": state(lambda values: values.update(scaler={"scale": float("nan")})),
        "a generator that is short": state(lambda values: values["random"][0].update(torch=torch.zeros(3, dtype=torch.uint8))),
        "NumPy's beyond its end": state(lambda values: values["random"][0]["numpy"].__setitem__(2, 10**6)),
        "Python's of text": state(lambda values: values["random"][0].update(python=(3, ("x",) * 625, None))),
        "no generators": state(lambda values: values.update(random=[])),
        "an environment of lists": state(lambda values: values.update(environment={"cpu": [1]})),
        "an environment of a megabyte": state(lambda values: values.update(environment={"cpu": "x" * 10**6})),
        "a pickle": shell,
        "text": signed(lambda checkpoint: (checkpoint / "training.pt").write_text("hello") and None),
        "1 TB": sparse("training.pt"),
    }
    for name, poison in wrong.items():
        yield Attack("training.pt", name, poison, ("train",), refused=True)
    rate = state(lambda values: values["optimizer"]["param_groups"][0].update(lr=float("nan")))
    yield Attack("training.pt", "a learning rate of nan", rate, ("train",), refused=False)
    counts: dict[str, Callable[[Any], Any]] = {
        "negative": lambda values: values | {"updates": -1},
        "text": lambda values: values | {"updates": "x"},
        "4,000 digits": lambda values: values | {"tokens": 10**4000},
        "nan": lambda values: values | {"seconds": float("nan")},
        "infinite": lambda values: values | {"update_seconds": float("inf")},
        "a position beyond the data": lambda values: values | {"position": {"epoch": 0, "update": 10**9}},
        "a negative position": lambda values: values | {"position": {"epoch": -5, "update": 0}},
        "a list of best": lambda values: values | {"best": [1, 2]},
        "a history of text": lambda values: values | {"history": ["a"]},
        "a list": lambda _: [1],
        "nothing": lambda _: {},
        "more": lambda values: values | {"more": 1},
    }
    for name, change in counts.items():
        yield Attack("state.json", name, signed(json_of("state.json", change)), ("train",), refused=True)


def _of_results() -> Iterator[Attack]:
    wrong: dict[str, Callable[[Any], Any]] = {
        "a list": lambda _: [1],
        "nothing": lambda _: {},
        "text for numbers": lambda values: dict.fromkeys(values, "x"),
        "nested": lambda values: {key: {"a": {}} for key in values},
        "not a number": lambda values: {key: float("nan") for key in values},
        "4,000 digits": lambda values: dict.fromkeys(values, 10**4000),
    }
    for name, change in wrong.items():
        yield Attack("result.json", name, in_run(json_of("result.json", change)), ("report",), refused=True)
        yield Attack("corpus.json", name, in_run(json_of("corpus.json", change)), ("train", "evaluate"))
        yield Attack("scores.json", name, in_run(json_of("evaluation/test/scores.json", change)), ("report",), refused=False)


def _of_escapes() -> Iterator[Attack]:
    yield Attack("escape codes", "a setting", setting("decode.search", ESCAPE), ("translate",), refused=True)
    yield Attack("escape codes", "a key", setting(f"model.{ESCAPE}", 1), ("translate", "report"))
    yield Attack("escape codes", "a class", setting("model._target_", f"nmt.models.{ESCAPE}"), ("translate",), refused=True)
    yield Attack("escape codes", "a language", setting("data.src", ESCAPE), ("evaluate", "report", "finetune"))
    yield Attack("escape codes", "a setting that differs", setting("train.clip_norm", ESCAPE), ("train",), refused=True)
    yield Attack(
        "escape codes",
        "a tensor",
        tensors(lambda values: values.update({ESCAPE: torch.zeros(2)})),
        ("raw",),
        refused=True,
    )
    yield Attack(
        "escape codes", "the environment", state(lambda values: values.update(environment={"cpu": ESCAPE})), ("train",)
    )
    named = in_run(json_of("result.json", lambda values: values | {"model": ESCAPE}))
    yield Attack("escape codes", "the name of a model", named, ("report",))

    def texts(run: Path) -> None:
        path = run / "evaluation/test/hypotheses.txt"
        path.write_text(
            path.read_text(encoding="utf-8").replace("\n", f" {ESCAPE}\n").replace("\u202e", "\u202e "), encoding="utf-8"
        )

    yield Attack("escape codes", "translations", in_run(texts), ("compare",))

    def folders(run: Path) -> None:
        for name in ("step-", "step-99"):
            (run / "checkpoints" / f"{name}{ESCAPE}").mkdir()
        (run / "tokenizer" / f"{ESCAPE}.model").touch()

    yield Attack("escape codes", "names of files", in_run(folders), ("translate",), refused=True)

    def renamed(site: Site) -> None:
        (site.run / "config.yaml").unlink()
        (site.run / f"{ESCAPE}").mkdir()

    yield Attack("escape codes", "a folder", renamed, ("translate", "report"), refused=True)


# --- what is watched -----------------------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, str]:
    """Everything below a folder: what it is and what it holds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(status.st_mode) else ""
        found[str(path.relative_to(folder))] = f"{stat.S_IFMT(status.st_mode)} {content}"
    return found


@dataclass(frozen=True)
class Outcome:
    """What became of a command: its kind, its name, and every promise that it broke."""

    kind: str
    name: str
    status: int
    seconds: float
    memory: int
    broken: list[str]


def run_forked(arguments: list[str], site: Site, begun_with: int) -> tuple[int, float, int, bool]:
    """Run a command line in a fork: its status, seconds of the CPU, peak memory in bytes, and whether it had to be killed."""
    child = os.fork()
    if child == 0:
        os.setsid()
        os.chdir(site.work)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(site.work.parent / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in ((0, "r"), (1, "w"), (2, "w")))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
        code = 70
        try:
            code = importlib.import_module("nmt.cli").main(arguments)
        except BaseException as error:
            if isinstance(error, SystemExit):
                code = int(error.code or 0)
            else:
                sys.excepthook(type(error), error, error.__traceback__)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    deadline, killed = time.monotonic() + PATIENCE, False
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, killed
        if time.monotonic() > deadline or resident(child) > begun_with + 2 * MEMORY:
            killed = True
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.01)


def resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def judge(attack: Attack, command: str, home: Path, seconds: float) -> Outcome:
    """Poison a copy, run the command, and see which promises are broken."""
    with tempfile.TemporaryDirectory(dir=home) as temporary:
        folder = Path(temporary)
        site = Site(folder / "evil", folder / "outside", folder / "work", home / "good")
        shutil.copytree(home / "good" / "run", site.run, symlinks=True)
        (site.outside / "folder").mkdir(parents=True)
        (site.outside / "file").write_text("precious\n")
        (site.outside / "folder" / "scores.json").write_text("precious\n")
        site.work.mkdir()
        attack.poison(site)
        before = snapshot(site.outside)
        begun_with = resident(os.getpid())
        status, used, memory, killed = run_forked(command_line(command, site), site, begun_with)
        error, out = ((folder / name).read_text(encoding="utf-8", errors="replace") for name in ("err", "out"))
        messages = [line for line in error.splitlines() if line.startswith("nmt ")]
        wanted = {True: (2,), False: (0,), None: (0, 2)}[attack.refused]
        broken = {
            "hangs, or takes all memory": killed,
            f"status {status}: {error.strip().splitlines()[-1:]}": not killed and status not in wanted,
            f"{used:.1f} s of the CPU": used > seconds,
            f"{(memory - begun_with) >> 20} MiB of memory": memory > begun_with + MEMORY,
            "a traceback": "Traceback" in error,
            f"{len(messages)} messages": status == 2 and len(messages) != 1,
            "escape codes on stderr": OBEYED.search(error) is not None,
            "escape codes on stdout": command not in DATA and OBEYED.search(out) is not None,
            "something outside was changed": snapshot(site.outside) != before,
        }
        name = f"{attack.name}: nmt {command}"
        return Outcome(attack.kind, name, status, used, memory - begun_with, [what for what, is_so in broken.items() if is_so])


def make_good(folder: Path) -> None:
    """Train the run that is poisoned, as a user would."""
    folder.mkdir(parents=True)
    for arguments in (
        training(folder / "run", "train.max_updates=4"),
        ["evaluate", str(folder / "run"), "split=dev", "threads=1"],
    ):
        done = subprocess.run([sys.executable, "-m", "nmt", *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
    (folder / "sources.txt").write_text("The dog sleeps.\nThe cat sees the child.\n", encoding="utf-8")


def import_everything() -> None:
    """What a command would import, so that a fork has it."""
    for name in ("nmt.cli", "hydra", "matplotlib.pyplot", "sacrebleu", "torch.distributed.tensor", "tensorboard"):
        importlib.import_module(name)
    for path in (Path(importlib.import_module("nmt").__path__[0]) / "commands").glob("[a-z]*.py"):
        importlib.import_module(f"nmt.commands.{path.stem}")
    torch.set_num_threads(1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", default="", help="of the attacks, those in whose kind, name and command this pattern is found"
    )
    parser.add_argument("--short", action="store_true", help="one attack of each kind")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the CPU that a command may take")
    parser.add_argument("--folder", type=Path, help="where the runs are; default: a temporary one")
    options = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        home = Path(temporary)
        os.environ |= {"HOME": temporary, "NMT_CACHE": f"{temporary}/cache", "OMP_NUM_THREADS": "1", "TERM": "dumb"}
        make_good(home / "good")
        import_everything()
        chosen = [(attack, command) for attack in attacks() for command in attack.commands]
        chosen = [one for one in chosen if re.search(options.only, f"{one[0].kind}: {one[0].name}: nmt {one[1]}")]
        if options.short:
            chosen = list({attack.kind: (attack, command) for attack, command in reversed(chosen)}.values())
        outcomes = run_all(chosen, home, options.processes, options.seconds)
    return report(outcomes)


def run_all(chosen: list[tuple[Attack, str]], home: Path, processes: int, seconds: float) -> list[Outcome]:
    """Every attack, dealt out to some processes, which fork in turn."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def work(first: int) -> None:
        for attack, command in chosen[first::processes]:
            answers.put(judge(attack, command, home, seconds))

    workers = [context.Process(target=work, args=(number,)) for number in range(processes)]
    for worker in workers:
        worker.start()
    outcomes = []
    for number in range(len(chosen)):
        outcomes.append(answers.get())
        last = outcomes[-1]
        said = f"{number + 1} of {len(chosen)}: {last.kind}: {last.name}: status {last.status}, {last.seconds:.1f} s"
        print(said + "".join(f"; BROKEN: {what}" for what in last.broken), file=sys.stderr, flush=True)
    for worker in workers:
        worker.join()
    return outcomes


def report(outcomes: list[Outcome]) -> int:
    """Print the table, and what was broken; the status."""
    kinds: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        kinds.setdefault(outcome.kind, []).append(outcome)
    print(f"{'kind':<34}{'attacks':>8}{'refused':>9}{'broken':>8}{'most s':>8}{'most MiB':>10}")
    for kind, several in kinds.items():
        counts = Counter("broken" if one.broken else "refused" if one.status else "harmless" for one in several)
        most = max(one.seconds for one in several), max(one.memory for one in several) >> 20
        print(f"{kind:<34}{len(several):>8}{counts['refused']:>9}{counts['broken']:>8}{most[0]:>8.1f}{most[1]:>10,}")
    failed = [one for one in outcomes if one.broken]
    for one in failed:
        print(f"{one.kind}: {one.name}: {'; '.join(one.broken)}")
    print(json.dumps({"attacks": len(outcomes), "broken": len(failed)}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
