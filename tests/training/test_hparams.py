"""The HPARAMS tab, as TensorBoard's own plugin reads it."""

import json
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, get_experiment, list_session_groups
from tensorboard.plugins.hparams.backend_context import Context

from nmt.config import compose
from nmt.training.hparams import hyperparameters, write_final, write_hparams

EVERY_STATUS = [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_RUNNING, api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_FAILURE]


def tab(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The columns, and the rows by the name of their run."""
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    backend = Context(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(folder))))
    request = api_pb2.ListSessionGroupsRequest(allowed_statuses=EVERY_STATUS, slice_size=100)
    groups = list_session_groups.Handler(RequestContext(), backend, "", request).run()
    columns = get_experiment.Handler(RequestContext(), backend, "", api_pb2.GetExperimentRequest()).run()
    return columns, {group.name.rpartition("/")[2]: group for group in groups.session_groups}


def figures(row: Any) -> dict[str, float]:
    return {metric.name.tag: metric.value for metric in row.metric_values}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two finished runs of different models."""
    for name, model, bleu in (("a", "luong_tiny", 10.0), ("b", "transformer_tiny", 20.0)):
        run = tmp_path / name
        config = compose("train", [f"model={model}", "optimizer.lr=0.001", f"seed={len(name)}"])
        write_hparams(run, config)
        write_final(run, 7, {"final/dev_bleu": bleu, "final/parameters": 1e6})
    return tmp_path


def test_a_sweep_of_different_models_has_a_row_a_run_and_the_columns_of_all(sweep: Path) -> None:
    columns, rows = tab(sweep)
    assert {name: figures(row)["final/dev_bleu"] for name, row in rows.items()} == {"a": 10.0, "b": 20.0}
    assert {name: row.hparams["model"].string_value for name, row in rows.items()} == {"a": "Luong", "b": "Transformer"}
    names = [column.name for column in columns.hparam_infos]
    assert {"model.heads", "model.attention.score", "optimizer.lr", "seed"} <= set(names)
    assert names[0] == "model"  # of those that all have, the only one that differs
    assert {metric.name.tag for metric in columns.metric_infos} == {"final/dev_bleu", "final/parameters"}


def test_values_keep_their_kinds(sweep: Path) -> None:
    hparams = tab(sweep)[1]["b"].hparams
    assert hparams["optimizer.lr"].number_value == 0.001
    assert hparams["tokenizer.joint"].bool_value is True
    assert hparams["tokenizer.joint"].WhichOneof("kind") == "bool_value"
    assert hparams["train.max_updates"].string_value == "null"


def test_a_run_is_shown_before_it_has_its_scores(tmp_path: Path) -> None:
    run, config = tmp_path / "a", compose("train", [])
    write_hparams(run, config)
    (row,) = tab(tmp_path)[1].values()
    assert (row.sessions[0].status, figures(row)) == (api_pb2.STATUS_UNKNOWN, {})
    write_final(run, 7, {"final/dev_bleu": 1.0})
    (row,) = tab(tmp_path)[1].values()
    assert (row.sessions[0].status, figures(row)) == (api_pb2.STATUS_SUCCESS, {"final/dev_bleu": 1.0})


def test_a_continued_run_shows_its_latest(sweep: Path) -> None:
    write_hparams(sweep / "a", compose("train", ["model=luong_tiny", "train.max_updates=14"]))
    for _ in range(2):  # the command of a finished run only scores it again
        write_final(sweep / "a", 14, {"final/dev_bleu": 30.0})
    row = tab(sweep)[1]["a"]
    assert row.hparams["train.max_updates"].number_value == 14.0
    assert figures(row) == {"final/dev_bleu": 30.0, "final/parameters": 1e6}
    assert {metric.name.tag: metric.training_step for metric in row.metric_values}["final/dev_bleu"] == 14
    lines = [json.loads(line) for line in (sweep / "a" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["kind"], line["update"], line["final/dev_bleu"]) for line in lines] == [
        ("final", 7, 10.0),
        ("final", 14, 30.0),
    ]
    shown = EventAccumulator(str(sweep / "a" / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in shown.Scalars("final/dev_bleu")] == [(7, 10.0), (14, 30.0)]


def test_only_what_decides_a_result_or_its_end_is_a_hyperparameter() -> None:
    found = hyperparameters(compose("train", ["model=luong_tiny", "train.log_every=7"]))
    assert {
        "model",
        "model.attention",
        "optimizer",
        "seed",
        "decode.beam",
        "train.max_epochs",
        "train.patience",
    } <= found.keys()
    left_out = ("run_dir", "device", "resume", "paths.cache", "train.log_every", "train.keep", "train.profile")
    assert [key for key in left_out if key in found] == []
    assert not any("_target_" in key or "_partial_" in key for key in found)
    assert all(isinstance(value, bool | int | float | str) for value in found.values())
