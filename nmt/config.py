"""The settings: one shape each, their defaults, and which of them decide the result of a training run.

A field that decides must not change when a run continues; one marked `free` may. Imports nothing heavy.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING

import nmt
from nmt.errors import UserError


def config_directory() -> Path:
    """Where the YAMLs are: beside the code in a wheel, beside the package in a checkout."""
    package = Path(nmt.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def free(default: Any) -> Any:
    """A setting that may change when a run continues."""
    return field(default=default, metadata={"free": True})


@dataclass
class TokenizerSettings:
    """How SentencePiece learns and cuts pieces."""

    type: str = "unigram"  # or bpe
    vocab_size: int = 8000  # pieces, special ones and 256 bytes included
    joint: bool = True  # one vocabulary for both sides
    sampling: float = 0.0  # subword sampling in training: unigram's alpha, or BPE's dropout
    byte_fallback: bool = True  # characters never seen become bytes, not <unk>
    normalization: str = "nmt_nfkc"  # SentencePiece's rule: nmt_nfkc, nfkc, nmt_nfkc_cf, nfkc_cf or identity
    train_sentences: int = 1_000_000  # pairs, from the start of training, that the pieces are learnt from


@dataclass
class TrainSettings:
    """The training loop."""

    tokens_per_batch: int | str = 4096  # most padded positions of a batch on either side; auto: what fits the GPU
    accumulate: int = 1  # batches of an update
    max_updates: int | None = free(None)
    max_epochs: int | None = free(None)
    patience: int | None = free(10)  # validations without a better dev BLEU before training stops
    validate_every: int = 500  # updates
    checkpoint_every: int = free(500)  # updates
    log_every: int = free(50)  # updates
    keep: int = free(3)  # newest checkpoints kept, beside …
    keep_best: int = free(1)  # … so many of the best
    max_non_finite: int = free(5)  # updates in a row with a loss or gradient that is not finite before training stops
    histograms: bool = free(False)  # draw parameters and gradients at every validation
    profile: bool = free(False)  # leave a trace of a few updates, and a table of where their time went
    label_smoothing: float = 0.1
    clip_norm: float | None = 1.0  # largest gradient norm; null: none
    ema_decay: float | None = None  # of an exponential moving average of the parameters, such as 0.999; null: none
    precision: str = "fp32"  # of products: or bf16, or fp16 with a scaled loss
    compile: bool = False  # by torch.compile
    gradient_checkpointing: bool = False  # computes layers twice to keep less of them
    parallel: str = "ddp"  # under torchrun: every process has the whole model, or (fsdp) a part of it
    threads: int | None = None  # of the CPU; null: torch's choice
    deterministic: bool = False  # only kernels on the GPU that give the same bits again, some of them slower


@dataclass
class DecodeSettings:
    """The search, in validation and in every command that translates."""

    beam: int = 5
    length_penalty: float = 1.0  # scores are log p / length^penalty
    max_length: int = 256  # most target pieces
    length_ratio: float = 2.0  # most target pieces per source piece (EOS counted), beyond …
    length_offset: int = 10  # … this many
    max_source_length: int = 256  # source pieces; what is longer is cut
    batch_size: int = free(64)  # sentences


@dataclass
class PathSettings:
    """Folders outside the run."""

    cache: str = free("${oc.env:NMT_CACHE,${oc.env:XDG_CACHE_HOME,${oc.env:HOME}/.cache}/nmt}")


@dataclass
class TrainConfig:
    """Everything that `nmt train` takes."""

    run_dir: str | None = free(None)  # null: runs/ and the name of the model
    sweep_dir: str | None = free(None)  # with -m; null: sweeps/ and the names of the experiment and of the keys typed
    seed: int = 1
    device: str = free("auto")  # auto, cpu, cuda or cuda:N
    resume: str = free("auto")  # auto continues the run in run_dir, never asks for a new folder
    init_from: str | None = None  # a run whose parameters this one begins with (fine-tuning); null: fresh ones
    init_checkpoint: str = "best"  # of init_from: best, last, averaged or a number of updates
    init_weights: str = "auto"  # of init_from: raw, or ema; auto: ema where there are some
    init_tokenizer: bool = True  # keep the tokenizer of init_from; false: learn one from this corpus
    data: Any = MISSING
    model: Any = MISSING
    optimizer: Any = MISSING
    schedule: Any = MISSING
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    decode: DecodeSettings = field(default_factory=DecodeSettings)
    paths: PathSettings = field(default_factory=PathSettings)


@dataclass
class DecodeOverrides:
    """Changes to the search of a run; null keeps what the run was trained with."""

    beam: int | None = None
    length_penalty: float | None = None
    max_length: int | None = None
    length_ratio: float | None = None
    length_offset: int | None = None
    max_source_length: int | None = None
    batch_size: int | None = None


@dataclass
class RunConfig:
    """What every command takes that opens a run."""

    run: Any = MISSING  # a run directory
    checkpoint: str = "best"  # best, last, averaged or a number of updates
    weights: str = "auto"  # raw, or ema for the averages of train.ema_decay; auto: ema where there are some
    device: str = "auto"
    threads: int | None = None
    decode: DecodeOverrides = field(default_factory=DecodeOverrides)


@dataclass
class EvaluateConfig(RunConfig):
    """Everything that `nmt evaluate` takes."""

    split: str = "test"  # of the run's corpus: dev or test
    input: str | None = None  # a file of source sentences instead …
    reference: Any = None  # … and its translations: a file, or a list of files
    testset: str | None = None  # instead of both: a test set that sacreBLEU knows, such as wmt14 or wmt14/full
    langpair: str | None = None  # of the test set; null: the run's languages
    archive: Any = None  # what sacreBLEU would download for it: a file or a list; null: its own folder, or the network
    metrics: Any = field(default_factory=lambda: ["bleu", "chrf", "chrf++", "ter"])  # a list of them and of comet
    tokenize: str | None = None  # words in BLEU: 13a, zh, char, …; null: 13a, or sacreBLEU's choice for a test set's language
    comet_model: str = "Unbabel/wmt22-comet-da"  # of the Hugging Face Hub, or a file.ckpt
    breakdown: bool = True  # scores by length and by frequency of words, rates of errors, and a picture
    output: str | None = None  # folder for texts and scores; null: one in the run's evaluation/
    data: dict[str, Any] = field(default_factory=dict)  # changes to the run's data, such as data.test=OTHER/test


@dataclass
class TranslateConfig(RunConfig):
    """Everything that `nmt translate` takes."""

    text: str | None = None  # a sentence; null reads `input`
    input: str | None = None  # a file; null is standard input
    output: str | None = None  # a file; null is standard output


@dataclass
class AverageConfig:
    """Everything that `nmt average` takes."""

    run: Any = MISSING  # a run directory
    last: int | None = None  # so many of the newest checkpoints; null: all that the run has kept
    checkpoints: Any = None  # these instead: a list of numbers of updates, best, last
    evaluate: bool = True  # score dev with the averaged parameters, and with those of best and last
    data: dict[str, Any] = field(default_factory=dict)  # changes to the run's data, such as data.dev=OTHER/dev
    device: str = "auto"
    threads: int | None = None
    decode: DecodeOverrides = field(default_factory=DecodeOverrides)


@dataclass
class ReportConfig:
    """Everything that `nmt report` takes."""

    run: Any = MISSING  # sweep folders and runs: one or a list
    output: str | None = None  # folder for table.md, table.csv and plot.png; null: the sweep folder, where one is given


SCHEMAS = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "translate": TranslateConfig,
    "average": AverageConfig,
    "report": ReportConfig,
}


def register() -> None:
    """Make the schemas known to Hydra, as `COMMAND_schema`."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    for command, schema in SCHEMAS.items():
        store.store(name=f"{command}_schema", node=schema)


def compose(command: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The config of a command as plain values, as the command line would compose it."""
    import hydra
    from omegaconf import OmegaConf

    register()
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        plain: Any = OmegaConf.to_container(hydra.compose(command, list(overrides)), resolve=True, throw_on_missing=True)
    return dict(plain)


def all_keys(command: str, choices: Sequence[str] = ()) -> list[str]:
    """The dotted keys of a command, with choices such as `model=luong` where they compose, else with its defaults."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        try:
            composed = hydra.compose(command, list(choices))
        except HydraException:
            composed = hydra.compose(command)
    keys = _dotted(OmegaConf.to_container(composed, resolve=False))
    return [key for key in keys if not key.rpartition(".")[2].startswith("_")]


def _dotted(value: Any, prefix: str = "") -> list[str]:
    if not isinstance(value, dict):
        return []
    return [key for name, item in value.items() for key in (f"{prefix}{name}", *_dotted(item, f"{prefix}{name}."))]


def free_keys(schema: Any = TrainConfig, prefix: str = "") -> set[str]:
    """The dotted keys that may change when a run continues."""
    keys = set()
    for item in fields(schema):
        name = f"{prefix}{item.name}"
        if item.metadata.get("free"):
            keys.add(name)
        elif isinstance(item.type, type) and is_dataclass(item.type):
            keys |= free_keys(item.type, f"{name}.")
    return keys


def check_settings(config: Any) -> None:
    """Raise `UserError` for values that no training could use; `config` has the fields of `TrainConfig`."""
    rules = [
        ("tokenizer.type", ("unigram", "bpe")),
        ("tokenizer.normalization", ("nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity")),
        ("train.precision", ("fp32", "bf16", "fp16")),
        ("train.parallel", ("ddp", "fsdp")),
        ("resume", ("auto", "never")),
    ]
    for key, choices in rules:
        if (value := _get(config, key)) not in choices:
            raise UserError(f"{key} must be one of {', '.join(choices)}, but is {value!r}")
    at_least = {
        "tokenizer.vocab_size": 1,
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
    if config["seed"] >= 2**63:
        raise UserError(f"seed must be less than 2^63, but is {config['seed']}")
    for key in ("tokenizer.sampling", "train.label_smoothing"):
        if not 0 <= (value := _get(config, key)) < 1:
            raise UserError(f"{key} must be at least 0 and less than 1, but is {value}")
    if (norm := _get(config, "train.clip_norm")) is not None and not 0 < norm < math.inf:
        raise UserError(f"train.clip_norm must be more than 0, or null for none, but is {norm}")
    if (decay := _get(config, "train.ema_decay")) is not None and not 0 < decay < 1:
        raise UserError(f"train.ema_decay must be between 0 and 1, or null for none, but is {decay}")
    if all(_get(config, f"train.{key}") is None for key in ("max_updates", "max_epochs", "patience")):
        raise UserError("training would never end: set train.max_updates, train.max_epochs or train.patience")
    check_decode_settings(config["decode"])


def check_decode_settings(decode: Any) -> None:
    """Raise `UserError` for a search that cannot run; a null is not looked at."""
    for key, least in {"beam": 1, "max_length": 1, "length_offset": 0, "max_source_length": 1, "batch_size": 1}.items():
        if (value := decode[key]) is not None and value < least:
            raise UserError(f"decode.{key} must be at least {least}, but is {value}")
    for key in ("length_penalty", "length_ratio"):
        if (value := decode[key]) is not None and not 0 <= value <= 100:
            raise UserError(f"decode.{key} must be from 0 to 100, but is {value}")


def _get(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = config[name]
    return config
