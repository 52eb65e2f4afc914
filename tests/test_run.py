"""The run directory and the settings that may change."""

import copy
import importlib
from pathlib import Path

import pytest
import torch

from nmt.config import compose, free_keys
from nmt.data.tokenizer import Tokenizer
from nmt.errors import UserError
from nmt.run import Run, differences, read_config, settings_of_older
from nmt.training.checkpoint import EMA, MODEL, Contents
from nmt.training.state import whole_weights


def test_only_settings_that_decide_the_result_are_differences() -> None:
    old = compose("train", ["model=luong_tiny"])
    free = ["train.max_updates=7", "train.patience=3", "train.keep=1", "run_dir=x", "device=cpu", "decode.batch_size=3"]
    assert differences(old, compose("train", ["model=luong_tiny", *free, "data.train_pairs=7"])) == []
    changed = compose("train", ["model=luong_tiny", "optimizer.lr=1", "seed=2", "model.layers=3", "decode.beam=2"])
    assert differences(old, changed) == [
        "decode.beam (5 → 2)",
        "model.layers (1 → 3)",
        "optimizer.lr (0.0005 → 1)",
        "seed (1 → 2)",
    ]


def test_the_keys_that_are_free_are_those_that_the_design_names() -> None:
    assert free_keys() == {
        *("run_dir", "sweep_dir", "device", "resume", "paths.cache", "decode.batch_size"),
        *("train.max_updates", "train.max_epochs", "train.patience", "train.log_every", "train.checkpoint_every"),
        *("train.keep", "train.keep_best", "train.max_non_finite", "train.histograms", "train.profile"),
        *("guide.links", "guide.run", "guide.reverse"),  # whose links are compared by their fingerprint
    }


def test_a_run_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tokenizer, "save", full)
    with pytest.raises(OSError, match="No space left"):
        Run.create(tmp_path / "run", compose("train"), tokenizer, corpus={}, environment={})
    assert list(tmp_path.iterdir()) == []


def test_weights_are_those_asked_for(tmp_path: Path, tokenizer: Tokenizer) -> None:
    config = compose("train", ["model=transformer_tiny"])
    run = Run.create(tmp_path / "run", config, tokenizer, corpus={}, environment={})
    raw, averages = (whole_weights(run.build_model()) for _ in range(2))
    state = {"updates": 1, "best": [{"update": 1}]}
    run.checkpoints.finish(run.checkpoints.begin(1), Contents({MODEL: raw, EMA: averages}, {}, state), keep=1)
    name, cpu = "output.weight", torch.device("cpu")
    loaded = {weights: run.load_model("best", cpu, weights).state_dict()[name] for weights in ("raw", "ema", "auto")}
    assert loaded["raw"].equal(raw.get(name, raw["tgt_embedding.weight"]))
    assert loaded["ema"].equal(averages.get(name, averages["tgt_embedding.weight"]))
    assert loaded["auto"].equal(loaded["ema"])
    assert not loaded["raw"].equal(loaded["ema"])
    with pytest.raises(UserError, match="weights must be auto, raw or ema, but is 'foo'"):
        run.load_model("best", cpu, "foo")


@pytest.mark.parametrize("command", ["evaluate", "translate"])
def test_commands_pass_on_which_weights_to_take(tmp_path: Path, tokenizer: Tokenizer, command: str) -> None:
    run = Run.create(tmp_path / "run", compose("train", ["model=transformer_tiny"]), tokenizer, corpus={}, environment={})
    contents = Contents({MODEL: whole_weights(run.build_model())}, {}, {"updates": 1, "best": [{"update": 1}]})
    run.checkpoints.finish(run.checkpoints.begin(1), contents, keep=1)
    text = ["text=a"] if command == "translate" else ["split=dev"]
    config = compose(command, [f"run={run.directory}", "weights=ema", *text])
    with pytest.raises(UserError, match=r"only a run with train\.ema_decay has averages"):
        importlib.import_module(f"nmt.commands.{command}").main(config)


def test_a_setting_that_an_older_nmt_did_not_know_has_its_default() -> None:
    new = compose("train", ["model=luong_tiny"])
    old = copy.deepcopy(new)
    del old["train"]["ema_decay"], old["train"]["precision"], old["init_weights"]
    assert differences(old, new) == []
    assert differences(old, compose("train", ["model=luong_tiny", "train.precision=bf16"])) == ["train.precision (fp32 → bf16)"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("decode: {beam: two}", "decode cannot be read"),
        ("decode: {beam: 0}", "decode.beam must be at least 1"),
        ("decode: {beams: 3}", "decode cannot be read"),
        ("decode: {beam: '${oc.env:HOME}'}", "must be a plain value"),
        ("tokenizer: {sampling: x}", "tokenizer cannot be read"),
        ("model: 7", "lacks one of"),
        ("{", "is damaged, or is not what nmt writes"),
    ],
)
def test_a_config_that_was_edited_wrongly_is_named(tmp_path: Path, line: str, message: str) -> None:
    parts = {"data": "{}", "model": "{}", "tokenizer": "{}", "decode": "{}"} | {line.partition(":")[0]: None}
    text = "".join(f"{key}: {value}\n" for key, value in parts.items() if value) + line + "\n"
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_config(tmp_path)


@pytest.mark.parametrize("rule", ["nmt_nfkc", "nfkc_cf"])
def test_the_tokenizer_of_an_older_run_normalises_both_sides_alike_and_has_all_characters(
    rule: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    config = compose("train", [f"tokenizer.normalization={rule}"])
    new = {key: config["tokenizer"].pop(key) for key in ("target_normalization", "character_coverage")}
    run = Run.create(tmp_path / "run", config, tokenizer, corpus={}, environment={}).directory
    for path in (run / "tokenizer").iterdir():
        path.rename(path.with_name("joint.model")) if path.name == "src.model" else path.unlink()
    opened = Run.open(run)
    wanted = {"target_normalization": rule, "character_coverage": 1.0}
    assert settings_of_older(run, opened.config) == wanted
    assert opened.config["tokenizer"].items() >= wanted.items()
    assert opened.tokenizer.models["tgt"] == tokenizer.models["src"]
    config["tokenizer"] |= new
    newer = Run.create(tmp_path / "newer", config, tokenizer, corpus={}, environment={}).directory
    assert settings_of_older(newer, read_config(newer)) == {}
    assert read_config(newer)["tokenizer"].items() >= new.items()


@pytest.mark.parametrize(
    ("language", "tokenize", "found"),
    [
        ("de", None, []),
        ("de", "13a", []),
        ("de", "char", ["tokenize (13a → char)"]),
        ("zh_CN", None, ["tokenize (13a → None)"]),
        ("zh_CN", "13a", []),
        ("th", None, ["tokenize (13a → None)"]),
    ],
)
def test_a_run_of_an_older_nmt_was_scored_with_13a_in_every_language(
    language: str, tokenize: str | None, found: list[str]
) -> None:
    new = compose("train", ["data=text", "data.src=en", f"data.tgt={language}", f"tokenize={tokenize or 'null'}"])
    old = {key: value for key, value in new.items() if key != "tokenize"}
    assert differences(old, new) == found
    assert differences(old | {"tokenize": tokenize}, new) == []
