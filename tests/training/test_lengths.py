"""Sentences that a model cannot take are found before any text is read, where that is possible."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nmt.cli import main
from nmt.components import build_model
from nmt.errors import UserError
from nmt.models.seq2seq import Seq2Seq, Vocabulary
from nmt.training.lengths import check_dev, check_lengths

Compose = Callable[..., dict[str, Any]]


def checked(compose_model: Compose, *overrides: str, max_length: int = 50, source: int = 60, target: int = 70) -> Seq2Seq:
    model = build_model(compose_model(*overrides), Vocabulary(20, 20, joint=True))
    check_lengths(model, max_length=max_length, decode={"max_source_length": source, "max_length": target})
    return model


def test_a_location_table_must_hold_the_longest_source_with_its_end(compose_model: Compose) -> None:
    overrides = ("model=luong_tiny", "model/attention=location")
    checked(compose_model, *overrides, "model.attention.score.length=61")
    message = (
        r"model\.attention\.score\.length leaves room for 60 source pieces, but data\.max_length=50 and "
        r"decode\.max_source_length=60 let 61 come, .*: raise model\.attention\.score\.length, or lower these"
    )
    with pytest.raises(UserError, match=message):
        checked(compose_model, *overrides, "model.attention.score.length=60")


def test_learned_positions_must_hold_both_sides(compose_model: Compose) -> None:
    overrides = ("model=transformer_tiny", "model/positions=learned")
    checked(compose_model, *overrides, "model.positions.length=71")
    with pytest.raises(UserError, match=r"model\.positions\.length leaves room for 70 target pieces, .* decode\.max_length=70"):
        checked(compose_model, *overrides, "model.positions.length=70")
    with pytest.raises(UserError, match=r"leaves room for 70 source pieces, but data\.max_length=80 "):
        checked(compose_model, *overrides, "model.positions.length=70", max_length=80)


def test_one_stack_shares_its_positions_between_source_and_target(compose_model: Compose) -> None:
    overrides = ("model=decoder_only_tiny", "model/positions=learned")
    checked(compose_model, *overrides, "model.positions.length=142")
    with pytest.raises(UserError, match=r"leaves room for 70 target pieces"):
        checked(compose_model, *overrides, "model.positions.length=141")


@pytest.mark.parametrize("attention", ["local_m", "local_p"])
def test_a_window_must_fit_into_the_longest_source(compose_model: Compose, attention: str) -> None:
    overrides = ("model=luong_tiny", f"model/attention={attention}")
    checked(compose_model, *overrides, "model.attention.D=30")
    message = (
        r"model\.attention\.D=31 makes a window of 63 source positions, but data\.max_length=50 and "
        r"decode\.max_source_length=60 let only 61 come: lower it, or take a global attention"
    )
    with pytest.raises(UserError, match=message):
        checked(compose_model, *overrides, "model.attention.D=31")


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["model=hybrid_tiny", "model/positions@model.encoder.positions=learned"], "model.encoder.positions.length"),
        (
            ["model=encdec_tiny", "model/encoder=transformer", "model/positions@model.encoder.positions=learned"],
            "model.encoder.positions.length",
        ),
        (
            [
                "model=luong_tiny",
                "model/encoder=transformer",
                "model/attention=location",
                "model/positions@model.encoder.positions=learned",
                "model.attention.score.length=999",
            ],
            "model.encoder.positions.length",
        ),
    ],
)
def test_positions_of_an_encoder_below_a_recurrent_decoder_must_hold_its_source(
    compose_model: Compose, overrides: list[str], key: str
) -> None:
    checked(compose_model, *overrides, f"{key}=61")
    with pytest.raises(UserError, match=f"{key} leaves room for 60 source pieces"):
        checked(compose_model, *overrides, f"{key}=60")


def test_models_without_tables_take_any_length(compose_model: Compose) -> None:
    for model in ("transformer_tiny", "luong_tiny", "bahdanau_tiny", "encdec_tiny", "cho_tiny", "decoder_only_tiny"):
        checked(compose_model, f"model={model}", max_length=10**6, source=10**6, target=10**6)


def test_a_dev_sentence_beyond_the_table_is_named(compose_model: Compose) -> None:
    model = checked(compose_model, "model=luong_tiny", "model/attention=location", "model.attention.score.length=61")
    store: Any = SimpleNamespace(lengths={"src": np.array([3, 60]), "tgt": np.array([3, 900])})
    check_dev(model, store)
    store.lengths["src"] = np.array([3, 61])
    with pytest.raises(UserError, match=r"data\.dev has a source sentence of 62 pieces, .* leaves room for 61: raise it"):
        check_dev(model, store)


def test_the_command_stops_before_it_reads_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    arguments = ["model=luong", "model/attention=location", "model.attention.score.length=90", "data.train_pairs=10000000"]
    assert main(["train", *arguments, f"run_dir={run}"]) == 2
    assert "model.attention.score.length leaves room for 90 source pieces" in capsys.readouterr().err
    assert not run.exists()
