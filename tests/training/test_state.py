"""What a checkpoint may hold beside parameters: each value of the type and shape that training itself would have written."""

import copy
import functools
import json
import pickle
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nmt.components import build_optimizer
from nmt.config import TrainSettings, compose, config_directory
from nmt.errors import UserError
from nmt.training.averages import Averages
from nmt.training.checkpoint import EMA, MODEL, Checkpoint, Contents
from nmt.training.checkpoints import Checkpoints
from nmt.training.loop import Trainer
from nmt.training.progress import Progress
from nmt.training.randomness import check_random_state, random_state
from nmt.training.state import copied, restore, whole_weights
from nmt.training.tensors import checked_optimizer_state

OPTIMIZERS = sorted(path.stem for path in (config_directory() / "optimizer").glob("*.yaml"))


class Small(nn.Module):
    """Parameters with one, two and three dimensions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.weight = nn.Parameter(torch.randn(5, 3))
        self.bias = nn.Parameter(torch.randn(5))
        self.scores = nn.Parameter(torch.randn(2, 3, 1))


@functools.cache
def composed(name: str) -> dict[str, Any]:
    return compose("train", ["model=luong_tiny", f"optimizer={name}"])["optimizer"]


def spec_of(name: str, **changes: Any) -> dict[str, Any]:
    return composed(name) | changes


def trainer_of(model: nn.Module, spec: dict[str, Any]) -> Trainer:
    settings = TrainSettings(ema_decay=0.9)
    return Trainer(
        model, build_optimizer(spec, model), lambda *_: 1.0, settings, torch.device("cpu"), Averages(model, decay=0.9)
    )


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.linspace(-0.3, 0.7, parameter.numel()).view_as(parameter)
    optimizer.step()


def saved_state(spec: dict[str, Any]) -> tuple[Small, torch.optim.Optimizer, dict[str, Any]]:
    model = Small()
    optimizer = build_optimizer(spec, model)
    step(model, optimizer)
    step(model, optimizer)
    return model, optimizer, copied(optimizer.state_dict())


def checkpoint_of(folder: Path, training: dict[str, Any], **changes: Any) -> Checkpoint:
    model = Small()
    state = Progress(updates=2).as_state() | changes
    checkpoints = Checkpoints(folder / "checkpoints")
    checkpoints.finish(
        checkpoints.begin(2), Contents({MODEL: whole_weights(model), EMA: whole_weights(model)}, training, state), keep=1
    )
    return checkpoints.find("last")


def training_of(spec: dict[str, Any]) -> dict[str, Any]:
    return {"optimizer": saved_state(spec)[2], "random": [copied(random_state())], "scaler": {}, "environment": {"cpu": "x"}}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_of_every_optimizer_fits_its_own_checkpoint_and_goes_on_alike(name: str) -> None:
    spec = spec_of(name, weight_decay=0.1) if "weight_decay" in composed(name) else spec_of(name)
    model, optimizer, saved = saved_state(spec)
    again = Small()
    again.load_state_dict(model.state_dict())
    fresh = build_optimizer(spec, again)
    before = copy.deepcopy(again.state_dict())
    loaded = checked_optimizer_state(saved, fresh, Path("training.pt"))
    assert all(torch.equal(value, before[key]) for key, value in again.state_dict().items())
    fresh.load_state_dict(loaded)
    step(model, optimizer)
    step(again, fresh)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in again.state_dict().items())


def broken(value: Tensor) -> dict[str, Any]:
    """By its kind, what a stranger may have put in place of a tensor."""
    return {
        "smaller": torch.zeros(3),
        "larger": torch.zeros(*value.shape, 7),
        "of another type": value.to(torch.float64) if value.is_floating_point() else value.float(),
        "half": value.half(),
        "complex": value.to(torch.complex64),
        "sparse": torch.zeros_like(value).to_sparse(),
        "a number": 1.0,
        "a list": [1.0],
        "nothing": None,
        "a parameter": nn.Parameter(value),
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_tensor_that_does_not_fit_its_parameter_is_refused(name: str) -> None:
    spec = spec_of(name, momentum=0.9) if name == "sgd" else spec_of(name)
    _, _, saved = saved_state(spec)
    keys = [(number, key) for number, values in saved["state"].items() for key in values]
    assert keys
    fresh = build_optimizer(spec, Small())
    for number, key in keys:
        for wrong in broken(saved["state"][number][key]).values():
            state = saved["state"] | {number: saved["state"][number] | {key: wrong}}
            with pytest.raises(UserError, match=key):
                checked_optimizer_state(saved | {"state": state}, fresh, Path("training.pt"))


def spoil(saved: dict[str, Any], kind: str) -> None:
    state = saved["state"]
    match kind:
        case "a view":
            state[0]["exp_avg"] = torch.zeros(1).expand(5, 3)
        case "transposed":
            state[0]["exp_avg"] = torch.zeros(3, 5).t()
        case "a part":
            state[0]["exp_avg"] = torch.zeros(100)[:15].view(5, 3)
        case "shared":
            state[0]["exp_avg_sq"] = state[0]["exp_avg"]
        case "missing":
            del state[0]["exp_avg"]
        case "more":
            state[0]["more"] = torch.zeros(5, 3)
        case "no number":
            state[0]["step"] = torch.tensor(float("nan"))
        case "negative":
            state[0]["step"] = torch.tensor(-3.0)
        case "another parameter":
            state[9] = state[0]
        case "a name":
            state["0"] = state.pop(0)
        case "a list":
            saved["state"] = [state]
        case "no groups":
            saved["param_groups"] = []
        case "other groups":
            saved["param_groups"][0]["params"] = [0, 1, 1]
        case "no dictionary":
            state[0] = [1]


SPOILT = ["a view", "transposed", "a part", "shared", "missing", "more", "no number", "negative", "another parameter", "a name"]
SPOILT += ["a list", "no groups", "other groups", "no dictionary"]


@pytest.mark.parametrize("kind", SPOILT)
def test_a_state_that_no_training_writes_is_refused(kind: str) -> None:
    spec = spec_of("adam")
    _, _, saved = saved_state(spec)
    spoil(saved, kind)
    with pytest.raises(UserError, match=r"training\.pt is damaged"):
        checked_optimizer_state(saved, build_optimizer(spec, Small()), Path("training.pt"))


def test_settings_come_from_the_config_not_from_the_file() -> None:
    spec = spec_of("adam")
    _, _, saved = saved_state(spec)
    saved["param_groups"][0] |= {"lr": float("nan"), "betas": (9.0, 9.0), "fused": "yes", "more": 1}
    optimizer = build_optimizer(spec, Small())
    before = copy.deepcopy(optimizer.param_groups[0])
    optimizer.load_state_dict(checked_optimizer_state(saved, optimizer, Path("training.pt")))
    assert {key: value for key, value in optimizer.param_groups[0].items() if key != "params"} == {
        key: value for key, value in before.items() if key != "params"
    }


def test_a_short_moment_in_training_pt_ends_in_a_message_not_in_a_crash(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
import torch
from nmt.errors import UserError
sys.path.insert(0, sys.argv[2])
from test_state import Small, checkpoint_of, spec_of, step, trainer_of, training_of
from nmt.training.state import restore

spec = spec_of("adam")
training = training_of(spec)
for values in training["optimizer"]["state"].values():
    values["exp_avg"] = torch.zeros(3)
checkpoint = checkpoint_of(Path(sys.argv[1]), training)
model = Small()
trainer = trainer_of(model, spec)
try:
    restore(checkpoint, trainer)
except UserError as error:
    sys.exit(f"refused: {error}")
step(model, trainer.optimizer)
"""
    arguments = [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parent)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("refused: ")
    assert "exp_avg" in done.stderr


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer", 3),
        ("random", []),
        ("random", {"0": 1}),
        ("scaler", {"scale": 1.0}),
        ("scaler", []),
        ("environment", {"cpu": ["x"]}),
        ("environment", {"cpu": "x" * 100_000}),
        ("environment", "x"),
    ],
)
def test_every_part_of_training_pt_has_its_type(tmp_path: Path, key: str, value: Any) -> None:
    spec = spec_of("adam")
    checkpoint = checkpoint_of(tmp_path, training_of(spec) | {key: value})
    with pytest.raises(UserError, match=r"training\.pt is damaged"):
        restore(checkpoint, trainer_of(Small(), spec))


def test_a_whole_checkpoint_is_restored(tmp_path: Path) -> None:
    spec = spec_of("adam")
    trainer = trainer_of(Small(), spec)
    restored = restore(checkpoint_of(tmp_path, training_of(spec)), trainer)
    assert restored.progress.updates == 2
    assert trainer.optimizer.state_dict()["state"][0]["step"] == 2
    restored.continue_random()


def generators(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    state = copied(random_state())
    change(state)
    return state


def patched(state: Tensor, offset: int, code: str, value: int) -> Tensor:
    content = bytearray(state.numpy().tobytes())
    struct.pack_into(code, content, offset, value)
    return torch.frombuffer(content, dtype=torch.uint8).clone()


WRONG_GENERATORS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "python, short": lambda state: state.update(python=(3, (1, 2), None)),
    "python, a word": lambda state: state.update(python=(3, tuple("x" * 625), None)),
    "python, a version": lambda state: state.update(python=(2, state["python"][1], None)),
    "python, a gauss": lambda state: state.update(python=(3, state["python"][1], float("nan"))),
    "numpy, short": lambda state: state.update(numpy=["MT19937", torch.zeros(3, dtype=torch.int64), 0, 0, 0.0]),
    "numpy, beyond its end": lambda state: state["numpy"].__setitem__(2, 10_000),
    "numpy, before its beginning": lambda state: state["numpy"].__setitem__(2, -1),
    "numpy, another one": lambda state: state["numpy"].__setitem__(0, "PCG64"),
    "numpy, negative": lambda state: state["numpy"][1].__setitem__(0, -1),
    "torch, short": lambda state: state.update(torch=state["torch"][:100].clone()),
    "torch, of another type": lambda state: state.update(torch=state["torch"].float()),
    "torch, beyond its end": lambda state: state.update(torch=patched(patched(state["torch"], 8, "<i", 624), 16, "<Q", 624)),
    "torch, without end": lambda state: state.update(torch=patched(state["torch"], 8, "<i", 10**6)),
    "cuda, short": lambda state: state.update(cuda=[torch.zeros(3, dtype=torch.uint8)]),
    "cuda, a number": lambda state: state.update(cuda=3),
    "missing": lambda state: state.pop("numpy"),
}


@pytest.mark.parametrize("kind", WRONG_GENERATORS)
def test_the_state_of_a_random_generator_that_would_be_read_beyond_its_end_is_refused(kind: str) -> None:
    with pytest.raises(UserError, match="damaged"):
        check_random_state(generators(WRONG_GENERATORS[kind]), Path("training.pt"))


def test_every_state_that_the_generators_come_by_is_accepted() -> None:
    for seed in range(3):
        for drawn in (0, 1, 5, 623, 624, 625, 2000):
            torch.manual_seed(seed)
            np.random.seed(seed)
            random.seed(seed)
            for _ in range(drawn):
                torch.rand(1)
                np.random.standard_normal()
                random.gauss(0, 1)
            torch.randn(seed)
            check_random_state(copied(random_state()), Path("training.pt"))


@pytest.mark.parametrize(
    "change",
    [
        {"updates": -1},
        {"updates": 1.5},
        {"updates": "2"},
        {"updates": 10**30},
        {"tokens": None},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"position": {"epoch": -1, "update": 0}},
        {"position": {"epoch": 0, "update": "0"}},
        {"position": {"epoch": 0}},
        {"history": ["x"]},
        {"history": 3},
        {"best": [3]},
        {"best": [{"update": "a", "bleu": 1.0, "loss": 1.0}]},
        {"more": 1},
    ],
)
def test_a_state_that_counts_what_cannot_be_counted_is_refused(change: dict[str, Any]) -> None:
    state = json.loads(json.dumps(Progress(updates=2).as_state()))
    assert Progress.from_state(dict(state)).updates == 2
    with pytest.raises(UserError, match=r"state\.json of a checkpoint is damaged"):
        Progress.from_state(state | change)


def test_averages_of_another_shape_are_refused(tmp_path: Path) -> None:
    spec = spec_of("adam")
    checkpoint = checkpoint_of(tmp_path, training_of(spec))
    weights = load_file(checkpoint.directory / EMA)
    name = next(iter(weights))
    for wrong in ({**weights, name: torch.zeros(1)}, {}):
        save_file(wrong, checkpoint.directory / EMA)
        with pytest.raises(UserError, match=r"ema\.safetensors does not fit"):
            restore(checkpoint, trainer_of(Small(), spec))


def test_an_archive_that_becomes_larger_when_it_is_read_is_refused(tmp_path: Path) -> None:
    checkpoint = checkpoint_of(tmp_path, training_of(spec_of("adam")))
    path = checkpoint.directory / "training.pt"
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match="its archive is not as torch writes it"):
        checkpoint.training()
    path.write_bytes(pickle.dumps({"a": 1}))  # torch's format of old
    with pytest.raises(UserError, match="was cut short or altered"):
        checkpoint.training()
