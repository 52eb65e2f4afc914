"""Whether a model can take the longest sentences that may come: found before any text is read where that is possible."""

from collections.abc import Mapping
from typing import Any

from nmt.data.store import IdStore
from nmt.errors import UserError
from nmt.models.seq2seq import Limit, Seq2Seq


def check_lengths(model: Seq2Seq, *, max_length: int, decode: Mapping[str, Any]) -> None:
    """Raise `UserError` if longer sentences may come than the model can take, or if no sentence can fill its window.

    Args:
        model: on any device.
        max_length: `data.max_length`.
        decode: the settings of the search.
    """
    longest_source = max(max_length, decode["max_source_length"]) + 1  # with EOS
    longest_target = max(max_length, decode["max_length"]) + 1
    for side, limit, longest, key in (
        ("source", model.longest_source(), longest_source, "max_source_length"),
        ("target", model.longest_target(), longest_target, "max_length"),
    ):
        if limit is not None and limit.pieces < longest:
            raise UserError(
                f"{limit.key} leaves room for {limit.pieces} {side} pieces, but data.max_length={max_length} and "
                f"decode.{key}={decode[key]} let {longest} come, the end of sentence counted: raise {limit.key}, or lower these"
            )
    window = model.source_window()
    if window is not None and window > longest_source:
        raise UserError(
            f"model.attention.D={window // 2} makes a window of {window} source positions, but data.max_length={max_length} "
            f"and decode.max_source_length={decode['max_source_length']} let only {longest_source} come: lower it, or take a "
            "global attention such as model/attention=general"
        )


def check_dev(model: Seq2Seq, dev: IdStore) -> None:
    """Raise `UserError` if the dev split has sentences that are longer than the model can take."""
    _check_side(model.longest_source(), int(dev.lengths["src"].max(initial=0)) + 1, "source")
    _check_side(model.longest_target(), int(dev.lengths["tgt"].max(initial=0)) + 1, "target")


def _check_side(limit: Limit | None, longest: int, side: str) -> None:
    if limit is not None and longest > limit.pieces:
        raise UserError(
            f"data.dev has a {side} sentence of {longest} pieces, the end of sentence counted, but {limit.key} leaves room for "
            f"{limit.pieces}: raise it, or remove the sentence"
        )
