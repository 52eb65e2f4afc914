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
from nmt.files import folder_inside
from nmt.training.board import Board
from nmt.training.record import write_once

ENDS = {"train.max_updates", "train.max_epochs", "train.patience"}
"""Keys that a continuation may change, and that yet decide how good a run becomes."""

SUFFIX = ".hparams"


def write_hparams(directory: Path, config: Mapping[str, Any]) -> None:
    """Write what a run is made of, as its training begins or goes on, in place of what was written before.

    There is no summary of the whole experiment, which one of the runs would have to write for all: without it TensorBoard takes
    the columns of all runs, and puts those first that differ.
    """
    folder = folder_inside(directory, "tensorboard")
    for earlier in folder.glob(f"*{SUFFIX}"):  # TensorBoard would go on showing the oldest
        earlier.unlink()
    board = Board(folder, suffix=SUFFIX)
    board.add(hparams_pb(hyperparameters(config), trial_id=_text("/".join(directory.absolute().parts[-2:]))))
    board.close()


def write_final(directory: Path, updates: int, scores: Mapping[str, float]) -> None:
    """Write how good a run became, in `final/…`, once for so many updates, in TensorBoard and in metrics.jsonl."""
    if not write_once(directory, "final", updates, scores):
        return
    board = Board(directory / "tensorboard")
    ended = SessionEndInfo(status=Status.STATUS_SUCCESS, end_time_secs=time.time())
    metadata = create_summary_metadata(HParamsPluginData(session_end_info=ended))
    board.add(Summary(value=[Summary.Value(tag=SESSION_END_INFO_TAG, metadata=metadata)]))
    board.scalars(scores, updates)
    board.close()


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
    text = "null" if value is None else str(value)
    return text.encode(errors="backslashreplace").decode()  # the name of a folder need not be UTF-8
