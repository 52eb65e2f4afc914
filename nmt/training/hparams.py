"""TensorBoard's HPARAMS tab: what a run was made of, and how good it became, to compare the runs of a sweep."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.api_pb2 import Status
from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG, create_summary_metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import hparams_pb

from nmt.config import free_keys
from nmt.training.board import Board
from nmt.training.record import write_final

ENDS = {"train.max_updates", "train.max_epochs", "train.patience"}
"""Keys that a continuation may change, and that yet decide how good a run becomes."""

SUFFIX = ".hparams"


def write_hparams(directory: Path, config: Mapping[str, Any], updates: int, scores: Mapping[str, float]) -> None:
    """Write what a run is made of, in place of what was written before.

    There is no summary of the whole experiment, which one of the runs would have to write for all: without it TensorBoard takes
    the columns of all runs, and puts those first that differ.

    Args:
        directory: of the run.
        config: its config, as plain values.
        updates: made so far.
        scores: final ones by name, `final/…`; none while it trains.
    """
    folder = directory / "tensorboard"
    earlier = list(folder.glob(f"*{SUFFIX}"))
    board = Board(folder, suffix=SUFFIX)
    board.add(hparams_pb(hyperparameters(config), trial_id="/".join(directory.absolute().parts[-2:])))
    if scores:
        ended = SessionEndInfo(status=Status.STATUS_SUCCESS, end_time_secs=time.time())
        metadata = create_summary_metadata(HParamsPluginData(session_end_info=ended))
        board.add(Summary(value=[Summary.Value(tag=SESSION_END_INFO_TAG, metadata=metadata)]))
        board.scalars(scores, updates)
        write_final(directory / "metrics.jsonl", updates, scores)
    board.close()
    for path in earlier:
        path.unlink()


def hyperparameters(config: Mapping[str, Any]) -> dict[str, bool | float | str]:
    """The dotted keys of a config that decide the result, and when it ends; a part goes by the name of its class.

    A number stays one, and so does a truth value; anything else, a null too, is its text.
    """
    free = free_keys() - ENDS
    return {key: value for key, value in _flat(config) if key not in free}


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, bool | float | str]]:
    flat: list[tuple[str, bool | float | str]] = []
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat += _flat(value, f"{prefix}{name}.")
        elif name == "_target_":
            flat.append((prefix.rstrip("."), str(value).rpartition(".")[2]))
        elif name != "_partial_":
            flat.append((f"{prefix}{name}", value if isinstance(value, bool | int | float) else _text(value)))
    return flat


def _text(value: Any) -> str:
    return "null" if value is None else str(value)
