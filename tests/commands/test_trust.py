"""A run or checkpoint from a stranger runs nothing."""

import json
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from nmt.checks import check_settings
from nmt.cli import main
from nmt.components import build_corpus, build_model, build_optimizer, build_schedule, model_without_memory
from nmt.config import compose
from nmt.data.tokenizer import Tokenizer
from nmt.errors import UserError
from nmt.models.seq2seq import Vocabulary
from nmt.run import Run, read_config
from nmt.training.checkpoint import MODEL, Checkpoint, Contents
from nmt.training.state import whole_weights
from nmt.training.tensors import saved_tensors

VOCABULARY = Vocabulary(13, 13, joint=True)


def test_parts_of_nmt_and_torch_optim_are_built() -> None:
    config = compose("train", ["model=luong_tiny"])
    model = build_model(config["model"], VOCABULARY)
    assert type(build_optimizer(config["optimizer"], model)).__name__ == "Adam"
    assert build_schedule(config["schedule"])(1) > 0
    assert build_corpus(config["data"]).src == "en"


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "torch.save",
        "torch.optim.optimizer.torch.save",
        "torch.optim.optimizer.torch.hub.load",
        "torch.optim.Adam",
        "torch.optim.nowhere.Adam",
        "nmt.cli.main",
        "nmt.run.subprocess.run",
        "nmt.components.importlib.import_module",
        "nmt.data.text.TextCorpus",
        "nmt.models.attention.General",
        "nmt.models.seq2seq.Seq2Seq",
        "nmt.training.schedules.math.exp",
        "nmt",
        "",
        7,
        None,
        ["os.system"],
    ],
)
def test_a_model_that_is_none_is_refused_without_a_call(target: Any) -> None:
    with pytest.raises(UserError, match=r"model\._target_ must name a part for model"):
        build_model({"_target_": target}, VOCABULARY)


def test_other_roles_refuse_what_is_not_theirs() -> None:
    model = torch.nn.Linear(2, 2)
    for target in (
        "torch.optim.optimizer.torch.save",
        "torch.optim.Optimizer",
        "torch.optim.lr_scheduler.LambdaLR",
        "os.remove",
    ):
        with pytest.raises(UserError, match=r"optimizer\._target_"):
            build_optimizer({"_target_": target}, model)
    for target in ("nmt.training.schedules.math.exp", "nmt.training.checkpoint._hash", "os.remove"):
        with pytest.raises(UserError, match=r"schedule\._target_"):
            build_schedule({"_target_": target})
    for target in ("nmt.run.Run", "nmt.data.store.IdStore", "nmt.data.corpus.Corpus", "pathlib.Path"):
        with pytest.raises(UserError, match=r"data\._target_"):
            build_corpus({"_target_": target})


def test_a_nested_target_is_looked_at_too() -> None:
    spec = compose("train", ["model=luong_tiny"])["model"]
    spec["attention"] = {"_target_": "subprocess.run", "args": ["touch", "owned"]}
    with pytest.raises(UserError, match=r"model\.attention\._target_"):
        build_model(spec, VOCABULARY)
    spec["attention"] = {"_target_": "nmt.models.attention.General", "query_dim": {"_target_": "os.getcwd"}}
    with pytest.raises(UserError):
        build_model(spec, VOCABULARY)


def test_a_target_in_place_of_a_value_is_refused() -> None:
    spec = compose("train", ["model=transformer_tiny"])["model"] | {"dim": {"_target_": "os.getpid"}}
    with pytest.raises(UserError, match=r"model\.dim must be int"):
        build_model(spec, VOCABULARY)


def test_interpolations_of_a_saved_config_stay_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hidden")
    config = {"data": {}, "model": {"norm": "${oc.env:SECRET}"}, "tokenizer": {}, "decode": {}}
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)), encoding="utf-8")
    read = read_config(tmp_path)
    assert read["model"]["norm"] == "${oc.env:SECRET}"
    spec = compose("train", ["model=transformer_tiny"])["model"] | read["model"]
    with pytest.raises(UserError, match=r"model\.norm .* interpolation"):
        build_model(spec, VOCABULARY)


def test_a_yaml_tag_in_a_saved_config_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"data: !!python/object/apply:os.mkdir ['{tmp_path / 'owned'}']\n")
    with pytest.raises(UserError, match="could not determine a constructor"):
        read_config(tmp_path)
    assert not (tmp_path / "owned").exists()


class Bomb:
    """Unpickling it makes a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.path,)


def test_a_pickle_in_a_checkpoint_runs_nothing(tmp_path: Path, tokenizer: Tokenizer) -> None:
    config = compose("train", ["model=transformer_tiny"])
    run = Run.create(tmp_path / "run", config, tokenizer, corpus={}, environment={})
    contents = Contents({MODEL: whole_weights(run.build_model())}, {"optimizer": {}}, {"updates": 1, "best": [{"update": 1}]})
    run.checkpoints.finish(run.checkpoints.begin(1), contents, keep=1)
    checkpoint = run.checkpoints.find("best")
    torch.save({"optimizer": Bomb(tmp_path / "owned")}, checkpoint.directory / "training.pt")
    with pytest.raises(UserError, match="more than tensors"):
        checkpoint.training()
    assert not (tmp_path / "owned").exists()


def test_a_checkpoint_of_a_newer_format_says_so(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 99, "sha256": {}}))
    with pytest.raises(UserError, match=r"format 99.*newer nmt"):
        Checkpoint(tmp_path).damage()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("encoder_layers", 10**9, r"model\.encoder_layers must be at most 1,000, but is 1,000,000,000"),
        ("decoder_layers", 1001, r"model\.decoder_layers must be at most 1,000"),
        ("heads", 10**6, r"model\.heads must be at most 1,000"),
        ("dim", 10**7, r"model\.dim must be at most 1,000,000"),
        ("dim", 10**6, r"model takes .* bytes, but this machine has"),
        ("feedforward_dim", 10**30, r"model\.feedforward_dim must be at most 1,000,000"),
        (
            "positions",
            {"_target_": "nmt.models.positions.Learned", "length": 10**9},
            r"model\.positions\.length must be at most 1,000,000",
        ),
    ],
)
def test_a_model_that_no_machine_holds_is_refused_before_it_takes_memory(key: str, value: Any, message: str) -> None:
    spec = compose("train", ["model=transformer_tiny"])["model"] | {key: value}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=message):
        build_model(spec, VOCABULARY)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


def test_a_model_without_memory_has_the_shapes_of_the_model_and_draws_nothing() -> None:
    for name in (
        "bahdanau_tiny",
        "luong_tiny",
        "transformer_tiny",
        "hybrid_tiny",
        "decoder_only_tiny",
        "cho_tiny",
        "encdec_tiny",
    ):
        spec = compose("train", [f"model={name}"])["model"]
        before = torch.get_rng_state()
        shapes = {key: value.shape for key, value in model_without_memory(spec, VOCABULARY).state_dict().items()}
        assert torch.get_rng_state().equal(before)
        assert shapes == {key: value.shape for key, value in build_model(spec, VOCABULARY).state_dict().items()}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tokenizer.vocab_size=1000000000000", r"tokenizer\.vocab_size must be at most 10,000,000"),
        ("decode.beam=1000000", r"decode\.beam must be at most 1,000"),
        ("decode.batch_size=1000000000", r"decode\.batch_size must be at most 10,000"),
        ("decode.max_length=1000000000", r"decode\.max_length must be at most 1,000,000"),
        ("decode.beam=999 decode.batch_size=9999", r"decode\.batch_size times decode\.beam must be at most 100,000"),
        ("train.tokens_per_batch=100000000000", r"train\.tokens_per_batch must be at most"),
    ],
)
def test_sizes_that_are_typed_have_bounds(override: str, message: str) -> None:
    config = compose("train", ["model=transformer_tiny", *override.split()])
    with pytest.raises(UserError, match=message):
        check_settings(config)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_counts_of_the_grammar_have_bounds(split: str) -> None:
    spec = compose("train", ["model=luong_tiny"])["data"]
    with pytest.raises(UserError, match=rf"data\.{split}_pairs must be at most"):
        build_corpus(spec | {f"{split}_pairs": 10**9})


def header_of(values: dict[str, Any], data: bytes, length: int | None = None) -> bytes:
    text = json.dumps(values).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


WEIGHT = {"weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
LIES = {
    "long": header_of(WEIGHT, bytes(24), length=2**60),
    "longer than the file": header_of(WEIGHT, bytes(24), length=10**6),
    "a larger shape": header_of({"weight": WEIGHT["weight"] | {"shape": [10**6, 10**6]}}, bytes(24)),
    "offsets beyond": header_of({"weight": WEIGHT["weight"] | {"data_offsets": [0, 10**12]}}, bytes(24)),
    "offsets turned round": header_of({"weight": WEIGHT["weight"] | {"data_offsets": [24, 0]}}, bytes(24)),
    "whole numbers": header_of({"weight": WEIGHT["weight"] | {"dtype": "I32"}}, bytes(24)),
    "more behind": header_of(WEIGHT, bytes(25)),
    "a list": header_of({"weight": [1]}, bytes(24)),
    "nested": (10**6).to_bytes(8, "little") + b"[" * 10**6,
    "nothing": b"",
}


@pytest.mark.parametrize("kind", LIES)
def test_a_header_of_parameters_that_lies_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / MODEL
    path.write_bytes(header_of(WEIGHT, bytes(24)))
    assert saved_tensors(path)["weight"]["shape"] == [2, 3]
    path.write_bytes(LIES[kind])
    with pytest.raises(UserError, match=r"model\.safetensors (is damaged|was cut short or altered)"):
        saved_tensors(path)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "..", "optimizer/../x", "a/b", "config.yaml", "x\x1b[2J", ""])
def test_a_manifest_names_nothing_but_files_of_a_checkpoint(name: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 2, "sha256": {name: "0" * 64}}))
    with pytest.raises(UserError, match="is not the name of a file in a checkpoint"):
        Checkpoint(tmp_path).manifest()


READ = {
    "config.yaml": ("translate", "text=Hund"),
    "tokenizer/joint.model": ("translate", "text=Hund"),
    "checkpoints/step-0000001/manifest.json": ("translate", "text=Hund"),
    "checkpoints/step-0000001/state.json": ("translate", "text=Hund"),
    "checkpoints/step-0000001/training.pt": ("translate", "text=Hund"),
    "checkpoints/step-0000001/model.safetensors": ("translate", "text=Hund"),
    "checkpoints/step-0000001/ema.safetensors": ("translate", "text=Hund"),
    "result.json": ("report",),
}


@pytest.mark.parametrize("kind", ["fifo", "zero", "sparse", "nested"])
@pytest.mark.parametrize("place", READ)
def test_what_is_no_file_of_ours_is_neither_waited_for_nor_read_to_its_end(
    place: str, kind: str, tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    run = tmp_path / "evil"
    shutil.copytree(make_run("transformer_tiny"), run, symlinks=True)
    path = run / place
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    elif kind == "nested":
        path.write_text("[" * 100_000)
    else:
        path.touch()
        os.truncate(path, 10**12)
    command, *more = READ[place]
    assert main([command, str(run), *more]) == 2


def test_the_size_of_a_model_is_compared_with_its_file_before_it_takes_memory(
    tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    run = tmp_path / "evil"
    shutil.copytree(make_run("transformer_tiny"), run, symlinks=True)
    text = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(text.replace("feedforward_dim: 128", "feedforward_dim: 1000000"), encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"does not fit the run's config\.yaml"):
        Run.open(run).load_model("best", torch.device("cpu"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB
