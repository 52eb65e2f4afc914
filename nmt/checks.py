"""Values of settings that no training and no search could use. Imports nothing heavy."""

import math
from collections.abc import Mapping
from typing import Any

from nmt.errors import UserError


def check_settings(config: Any) -> None:
    """Raise `UserError` for values that no training could use; `config` has the fields of `TrainConfig`."""
    normalizations = ("nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity")
    rules = [
        ("tokenizer.type", ("unigram", "bpe")),
        ("tokenizer.normalization", normalizations),
        ("tokenizer.target_normalization", normalizations),
        ("train.precision", ("fp32", "bf16", "fp16")),
        ("train.parallel", ("ddp", "fsdp")),
        ("resume", ("auto", "never")),
    ]
    for key, choices in rules:
        if (value := _get(config, key)) not in choices:
            raise UserError(f"{key} must be one of {', '.join(choices)}, but is {value!r}")
    at_least = {
        "tokenizer.vocab_size": 5,  # four special pieces and one of text
        "tokenizer.train_sentences": 1,
        "train.tokens_per_batch": 1,
        "train.accumulate": 1,
        "train.max_updates": 1,
        "train.max_epochs": 1,
        "train.patience": 1,
        "train.validate_every": 1,
        "train.checkpoint_every": 1,
        "train.log_every": 1,
        "train.keep": 1,
        "train.keep_best": 1,
        "train.max_non_finite": 1,
        "train.threads": 1,
        "seed": 0,
    }
    tokens = config["train"]["tokens_per_batch"]
    if isinstance(tokens, str) and tokens != "auto":
        raise UserError(f"train.tokens_per_batch must be a number, or auto, but is {tokens!r}")
    for key, least in at_least.items():
        if isinstance(value := _get(config, key), int) and value < least:
            raise UserError(f"{key} must be at least {least}, but is {value}")
    at_most = {
        "tokenizer.vocab_size": 10_000_000,
        "tokenizer.train_sentences": 2**31 - 1,
        "train.tokens_per_batch": 100_000_000,
        "train.accumulate": MOST,
        "train.threads": 4096,
    }
    counts = ("max_updates", "max_epochs", "patience", "validate_every", "checkpoint_every", "log_every", "keep", "keep_best")
    at_most |= dict.fromkeys([f"train.{key}" for key in (*counts, "max_non_finite")], 2**53)
    for key, most in at_most.items():
        if isinstance(value := _get(config, key), int) and value > most:
            raise UserError(f"{key} must be at most {most:,}, but is {value:,}")
    if config["seed"] >= 2**63:
        raise UserError(f"seed must be less than 2^63, but is {config['seed']}")
    for key in ("tokenizer.sampling", "train.label_smoothing"):
        if not 0 <= (value := _get(config, key)) < 1:
            raise UserError(f"{key} must be at least 0 and less than 1, but is {value}")
    if (coverage := _get(config, "tokenizer.character_coverage")) is not None and not 0.9 <= coverage <= 1:
        raise UserError(f"tokenizer.character_coverage must be from 0.9 to 1, or null, but is {coverage}")
    if (norm := _get(config, "train.clip_norm")) is not None and not 0 < norm < math.inf:
        raise UserError(f"train.clip_norm must be more than 0, or null for none, but is {norm}")
    if (decay := _get(config, "train.ema_decay")) is not None and not 0 < decay < 1:
        raise UserError(f"train.ema_decay must be between 0 and 1, or null for none, but is {decay}")
    if all(_get(config, f"train.{key}") is None for key in ("max_updates", "max_epochs", "patience")):
        raise UserError("training would never end: set train.max_updates, train.max_epochs or train.patience")
    _check_guide(config)
    check_decode_settings(config["decode"])


def _check_guide(config: Any) -> None:
    guide = config["guide"]
    given = [guide[key] is not None for key in ("links", "run", "reverse")]
    if given not in ([False] * 3, [True, False, False], [False, True, True]):
        raise UserError("guide takes links=FILE, or run=RUN and reverse=RUN of the two directions")
    if not 0 < guide["weight"] < math.inf:
        raise UserError(f"guide.weight must be more than 0, but is {guide['weight']}: leave guide.links out for none")
    clashes = {"tokenizer.sampling": 0, "train.compile": False, "train.gradient_checkpointing": False}
    for key, needed in clashes.items():
        if any(given) and (value := _get(config, key)) != needed:
            raise UserError(f"guided attention needs {key}={str(needed).lower()}, but it is {str(value).lower()}")


MOST = 1_000_000
"""What no number of pieces of a search exceeds."""
MOST_AT_ONCE = {"beam": 1_000, "n_best": 1_000, "samples": 1_000, "batch_size": 10_000}
MOST_HYPOTHESES = 100_000
"""What is searched in one batch: sentences, times the beam or the samples."""


def check_decode_settings(decode: Any) -> None:
    """Raise `UserError` for a search that cannot run; a null is not looked at."""
    choices = {
        "search": ("beam", "sample", "mbr"),
        "stop": ("ahead", "count", "exact"),
        "length_rule": ("average", "wu", "none"),
        "utility": ("chrf", "bleu"),
    }
    for key, known in choices.items():
        if (value := decode[key]) is not None and value not in known:
            raise UserError(f"decode.{key} must be one of {', '.join(known)}, but is {value!r}")
    at_least = {"beam": 1, "n_best": 1, "samples": 1, "batch_size": 1, "max_length": 1, "max_source_length": 1}
    for key, least in (at_least | {"min_length": 0, "length_offset": 0, "top_k": 0, "seed": 0}).items():
        if (value := decode[key]) is not None and value < least:
            raise UserError(f"decode.{key} must be at least {least}, but is {value}")
    pieces = ("top_k", "min_length", "max_length", "max_source_length", "length_offset")
    for key, most in (dict.fromkeys(pieces, MOST) | MOST_AT_ONCE).items():
        if (value := decode[key]) is not None and value > most:
            raise UserError(f"decode.{key} must be at most {most:,}, but is {value:,}")
    if (value := decode["seed"]) is not None and value >= 2**63:
        raise UserError(f"decode.seed must be less than 2^63, but is {value:,}")
    for key in ("length_penalty", "coverage_penalty", "length_ratio"):
        if (value := decode[key]) is not None and not 0 <= value <= 100:
            raise UserError(f"decode.{key} must be from 0 to 100, but is {value}")
    if (value := decode["temperature"]) is not None and not 1e-3 <= value < math.inf:
        raise UserError(
            f"decode.temperature must be at least 0.001, but is {value}: there already only the likeliest piece is drawn"
        )
    if (value := decode["top_p"]) is not None and not 0 < value <= 1:
        raise UserError(f"decode.top_p must be more than 0 and at most 1, which takes all pieces, but is {value}")
    if (value := decode["patience"]) is not None and not value > 0:
        raise UserError(f"decode.patience must be more than 0, but is {value}: 1 is usual")
    if any(decode[key] is None for key in ("search", "beam", "samples", "n_best", "min_length", "max_length", "batch_size")):
        return  # which the run's own settings complete
    wide = "beam" if decode["search"] == "beam" else "samples"
    if (value := decode["batch_size"] * decode[wide]) > MOST_HYPOTHESES:
        raise UserError(f"decode.batch_size times decode.{wide} must be at most {MOST_HYPOTHESES:,}, but is {value:,}")
    most = {"beam": decode["beam"], "mbr": decode["samples"]}.get(decode["search"], decode["n_best"])
    if decode["n_best"] > most:
        key = "samples" if decode["search"] == "mbr" else "beam"
        raise UserError(f"decode.n_best ({decode['n_best']}) must be at most decode.{key} ({most})")
    if decode["min_length"] > decode["max_length"]:
        raise UserError(f"decode.min_length ({decode['min_length']}) is more than decode.max_length ({decode['max_length']})")


READ_BY = {
    "beam": ("beam",),
    "stop": ("beam",),
    "patience": ("beam",),
    "samples": ("mbr",),
    "utility": ("mbr",),
    **dict.fromkeys(("temperature", "top_k", "top_p", "seed"), ("sample", "mbr")),
}
"""Settings that not every search reads, and which do."""


def check_read(typed: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise `UserError` for a setting that was typed, but that the search to be made would not look at."""
    search = settings["search"]
    for key in typed:
        if key in READ_BY and search not in READ_BY[key]:
            wanted = " or ".join(f"decode.search={name}" for name in READ_BY[key])
            raise UserError(f"decode.{key} is not read by decode.search={search}: add {wanted}, or leave it out")
    if "patience" in typed and settings["stop"] != "count":
        raise UserError(
            f"decode.patience is not read by decode.stop={settings['stop']}: add decode.stop=count, or leave it out"
        )
    if "length_penalty" in typed and settings["length_rule"] == "none" and typed["length_penalty"]:
        raise UserError("decode.length_penalty is not read by decode.length_rule=none: take average or wu, or leave it out")


def _get(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = config[name]
    return config
