"""The run directory and the settings that may change."""

from pathlib import Path

import pytest

from nmt.config import compose, free_keys
from nmt.data.tokenizer import Tokenizer
from nmt.errors import UserError
from nmt.run import Run, differences, read_config


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


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("decode: {beam: two}", "decode cannot be read"),
        ("decode: {beam: 0}", "decode.beam must be at least 1"),
        ("decode: {beams: 3}", "decode cannot be read"),
        ("decode: {beam: '${oc.env:HOME}'}", "must be a plain value"),
        ("tokenizer: {sampling: x}", "tokenizer cannot be read"),
        ("model: 7", "lacks one of"),
        ("{", "cannot be read"),
    ],
)
def test_a_config_that_was_edited_wrongly_is_named(tmp_path: Path, line: str, message: str) -> None:
    parts = {"data": "{}", "model": "{}", "tokenizer": "{}", "decode": "{}"} | {line.partition(":")[0]: None}
    text = "".join(f"{key}: {value}\n" for key, value in parts.items() if value) + line + "\n"
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_config(tmp_path)
