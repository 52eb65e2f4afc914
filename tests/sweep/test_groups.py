"""Which runs belong together, and what tells groups apart."""

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from nmt.config import compose
from nmt.errors import UserError
from nmt.sweep.groups import find_runs, grouped

RESULT = {
    "model": "luong",
    "parameters": 1000,
    "updates": 20,
    "best_update": 10,
    "reason": "train.max_updates=20",
    "tokens": 5000,
    "seconds": 10.0,
    "target_tokens_per_second": 900.0,
    "dev": {"bleu": 20.0},
    "test": {"bleu": 19.0, "chrf": 40.0},
}


def make_run(directory: Path, *overrides: str, **result: Any) -> Path:
    directory.mkdir(parents=True)
    (directory / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(compose("train", overrides))))
    (directory / "result.json").write_text(json.dumps(RESULT | result))
    return directory


def labels(*folders: Path) -> dict[str, list[int]]:
    return {label: [run.seed for run in runs] for label, runs in grouped(find_runs(folders).finished).items()}


def test_runs_of_one_setting_are_a_group_named_by_what_their_slugs_say_beside_the_seed(tmp_path: Path) -> None:
    for model in ("luong_tiny", "luong"):
        for seed in (1, 2, 10):
            make_run(tmp_path / f"model={model},seed={seed}", f"model={model}", f"seed={seed}")
    assert labels(tmp_path) == {"model=luong": [1, 2, 10], "model=luong_tiny": [1, 2, 10]}


def test_without_slugs_groups_are_named_by_the_settings_in_which_they_differ(tmp_path: Path) -> None:
    make_run(tmp_path / "a", "model=luong_tiny")
    make_run(tmp_path / "b", "model=luong_tiny", "model.dropout=0.5")
    make_run(tmp_path / "c", "model=transformer_tiny")
    make_run(tmp_path / "d", "model=transformer_tiny", "seed=2")
    assert labels(tmp_path) == {
        "model=luong model.dropout=0.2": [1],
        "model=luong model.dropout=0.5": [1],
        "model=transformer": [1, 2],
    }


def test_where_nothing_differs_the_model_is_the_name(tmp_path: Path) -> None:
    make_run(tmp_path / "a", "model=luong_tiny")
    assert labels(tmp_path / "a") == {"model=luong": [1]}


def test_paths_and_devices_are_no_settings_but_the_length_of_training_is(tmp_path: Path) -> None:
    make_run(tmp_path / "a", "run_dir=x", "paths.cache=y", "device=cpu", "seed=1")
    make_run(tmp_path / "b", "run_dir=z", "train.keep=1", "seed=2")
    assert [len(group) for group in labels(tmp_path).values()] == [2]
    make_run(tmp_path / "c", "train.max_updates=7", "seed=3")
    assert list(labels(tmp_path)) == ["train.max_updates=null", "train.max_updates=7"]


def test_unfinished_runs_are_set_apart(tmp_path: Path) -> None:
    done = make_run(tmp_path / "done", "seed=1")
    (done / "checkpoints" / "step-0000020").mkdir(parents=True)
    begun = make_run(tmp_path / "begun", "seed=2")
    (begun / "result.json").unlink()
    continued = make_run(tmp_path / "continued", "seed=3")
    (continued / "checkpoints" / "step-0000025").mkdir(parents=True)
    found = find_runs([tmp_path])
    assert [run.directory for run in found.finished] == [done]
    assert found.unfinished == [begun, continued]


def test_a_run_that_repeats_another_is_left_out_and_named(tmp_path: Path) -> None:
    first, again = make_run(tmp_path / "a"), make_run(tmp_path / "b")
    found = find_runs([tmp_path])
    assert [run.directory for run in found.finished] == [first]
    assert found.repeated == [(first, again)]


def test_runs_come_in_the_order_of_the_folders_and_each_once(tmp_path: Path) -> None:
    a, b = make_run(tmp_path / "a", "seed=1"), make_run(tmp_path / "b", "seed=2")
    assert [run.directory for run in find_runs([b, tmp_path]).finished] == [b, a]


def test_a_folder_without_runs_and_a_damaged_result_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run"):
        find_runs([tmp_path])
    with pytest.raises(UserError, match=r"nowhere does not exist"):
        find_runs([tmp_path / "nowhere"])
    run = make_run(tmp_path / "a")
    for damage in ("{", "[]", '{"model": 3}'):
        (run / "result.json").write_text(damage)
        with pytest.raises(UserError, match=r"result\.json is damaged"):
            find_runs([tmp_path])
