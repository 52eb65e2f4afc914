"""The run directory: written by training, opened by every other command; self-contained and movable."""

import errno
import json
import operator
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.checks import check_decode_settings, check_read
from nmt.components import build_model, model_without_memory
from nmt.config import DecodeSettings, GuideSettings, TokenizerSettings, TrainConfig, free_keys
from nmt.data.tokenizer import MANIFEST, Tokenizer
from nmt.errors import UserError
from nmt.files import check_inside, flush, inside, resolved, scratch_folder, write_text, written_whole
from nmt.languages import tokenizer_of
from nmt.lock import held
from nmt.models.seq2seq import Seq2Seq, Vocabulary
from nmt.paths import expanded, same_path
from nmt.saved import MEBIBYTE, checked, read_json, read_yaml
from nmt.tokenisation import tokenisation_of
from nmt.training.checkpoint import Checkpoint
from nmt.training.checkpoints import Checkpoints

if TYPE_CHECKING:
    from nmt.decoding.translator import Translator

Config = dict[str, Any]


class Run:
    """A run directory with its config, as plain values, and its tokenizer."""

    def __init__(self, directory: Path, config: Config, tokenizer: Tokenizer) -> None:
        self.directory = directory
        self.config = config
        self.tokenizer = tokenizer
        self.checkpoints = Checkpoints(directory / "checkpoints")

    @classmethod
    def create(
        cls, directory: Path, config: Config, tokenizer: Tokenizer, *, corpus: Mapping[str, Any], environment: Mapping[str, Any]
    ) -> "Run":
        """Make the directory of a new run: all of it or nothing.

        Raises:
            UserError: if another process has made it by now.
        """
        target = resolved(directory)  # a link stays one
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(target) as scratch:
            (scratch / "tokenizer").mkdir()
            tokenizer.save(scratch / "tokenizer")
            _write_json(scratch / "corpus.json", corpus)
            _write_json(scratch / "environment.json", environment)
            cls(scratch, config, tokenizer).write_config(config)
            flush(scratch)
            try:
                scratch.replace(target)  # which is new or empty
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise UserError(_busy(directory)) from None
                raise
        return cls(directory, config, tokenizer)

    @classmethod
    def open(cls, directory: Path) -> "Run":
        """The run in a directory.

        Raises:
            UserError: if there is none, or its config or tokenizer cannot be read.
        """
        directory = expanded(directory)
        config = read_config(directory)
        settings = config["tokenizer"]
        tokenizer = Tokenizer.load(directory / "tokenizer", joint=settings["joint"], sampling=settings["sampling"])
        return cls(directory, config, tokenizer)

    def write_config(self, config: Config) -> None:
        """Let `config.yaml` say what this run now does; a continuation may have changed what is free."""
        self.config = config
        with written_whole(inside(self.directory, "config.yaml")) as file:
            file.write(OmegaConf.to_yaml(OmegaConf.create(config)))

    def build_model(self) -> Seq2Seq:
        """The run's model, freshly initialised."""
        return build_model(self.config["model"], self._vocabulary())

    def _model_without_memory(self) -> Seq2Seq:
        return model_without_memory(self.config["model"], self._vocabulary())

    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self.tokenizer.src_size, self.tokenizer.tgt_size, self.tokenizer.joint)

    def load_model(self, checkpoint: str, device: torch.device, weights: str = "auto") -> Seq2Seq:
        """The run's model with the parameters of a checkpoint, in evaluation mode.

        Args:
            checkpoint: `best`, `last`, `averaged` or a number of updates.
            device: where it shall be.
            weights: `raw`, `ema` (the averages of train.ema_decay) or `auto`: ema where there are some.

        Raises:
            UserError: if there is no such checkpoint, or it is damaged or without averages.
        """
        return self.load_found(self.checkpoints.find(checkpoint), device, weights)

    def load_found(self, found: Checkpoint, device: torch.device, weights: str = "auto") -> Seq2Seq:
        """The same of a checkpoint at hand."""
        found.check_model(self._model_without_memory(), found.file_of(weights))
        model = self.build_model()
        found.fill(model, found.file_of(weights))
        return model.to(device).eval()

    def locked(self) -> AbstractContextManager[None]:
        """While it is open, no other process trains this run.

        Raises:
            UserError: if another one does.
        """
        return held(self.directory / ".lock", busy=_busy(self.directory))

    def translator_of(self, model: Seq2Seq, device: torch.device, decode: Mapping[str, Any] | None = None) -> "Translator":
        """A translator with a model at hand and the run's decoding settings, changed where `decode` says so; None keeps one."""
        from nmt.decoding.translator import Translator

        changes = {name: value for name, value in (decode or {}).items() if value is not None}
        settings = replace(DecodeSettings(**self.config["decode"]), **changes)
        check_decode_settings(asdict(settings))
        check_read(changes, asdict(settings))
        return Translator(model, self.tokenizer, settings, device, partial(tokenisation_of, self.config))


def check_places(directory: Path) -> None:
    """Raise `UserError` if a run, perhaps a stranger's, has a link, a pipe or a device where training writes."""
    for folder in ("checkpoints", "tokenizer", "tensorboard", "evaluation", "evaluation/test", "non_finite"):
        check_inside(directory, folder, folder=True)
    for name in ("config.yaml", "corpus.json", "environment.json", ".lock", "train.log", "metrics.jsonl", "result.json"):
        check_inside(directory, name)
    check_inside(directory, "profile.txt")


def _busy(directory: Path) -> str:
    return f"another process is training {directory}: wait for its end, or choose another run_dir"


def read_config(directory: Path) -> Config:
    """The config of a run as plain values; interpolations in it are left as they are.

    Raises:
        UserError: if the directory is not a run, or its config cannot be read.
    """
    path = directory / "config.yaml"
    if not path.exists():
        what = "has no config.yaml" if directory.is_dir() else "does not exist"
        raise UserError(f"{directory} is not a run: it {what}; give a directory that `nmt train` has written (run=DIR)")
    found = read_yaml(path)
    wanted = ("data", "model", "tokenizer", "decode")
    if not isinstance(found, dict) or not all(isinstance(found.get(key), dict) for key in wanted):
        raise UserError(f"{path} is not the config of a run: it lacks one of {', '.join(wanted)}")
    config: Config = found
    config["tokenizer"] = _older(config["tokenizer"]) | config["tokenizer"]
    if "stop" not in config["decode"] and config["decode"].get("patience", 1) != 1:
        config["decode"]["stop"] = "count"  # the only rule that an older nmt had
    for key in ("src", "tgt"):
        checked(config["data"].get(key), str | None, f"data.{key} in {path}")  # type: ignore[arg-type]  # which msgspec knows
    for key, schema in (("decode", DecodeSettings), ("tokenizer", TokenizerSettings), ("guide", GuideSettings)):
        if key in config:
            config[key] = _section(config[key], schema, f"{path}: {key}")
    check_decode_settings(config["decode"])
    return config


def _section(settings: Any, schema: type, where: str) -> Config:
    """The settings of one kind, those that an older nmt did not know with their defaults."""
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.create(_plain(checked(settings, Config, where))))
        return dict(OmegaConf.to_container(merged, throw_on_missing=True))  # type: ignore[arg-type]  # of a dict
    except (OmegaConfBaseException, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{where} cannot be read: {str(error).splitlines()[0]}") from error


def settings_of_older(directory: Path, config: Config) -> dict[str, Any]:
    """Of a run whose tokenizer an older nmt has made the settings that it did not have, as it made it; of any other none."""
    if (directory / "tokenizer" / MANIFEST).exists():
        return {}
    return {key: config["tokenizer"][key] for key in _older(config["tokenizer"])}


def _older(tokenizer: Mapping[str, Any]) -> dict[str, Any]:
    """How an nmt without these settings made a tokenizer: with one normalisation, and a piece for every character."""
    rule = tokenizer.get("normalization", TokenizerSettings.normalization)
    return {"target_normalization": rule, "character_coverage": 1.0}


def read_corpus(directory: Path) -> dict[str, Any]:
    """What `corpus.json` of a run says that it was made of; raises `UserError` if it cannot be read."""
    path = directory / "corpus.json"
    advice = "start anew in another run_dir"
    try:
        saved = read_json(path, dict[str, Any], most=MEBIBYTE, advice=advice)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: {advice}") from error
    checked(saved, _MadeOf, path, advice=advice)
    return saved


class _MadeOf(TypedDict):
    """What is read of `corpus.json`."""

    fingerprints: dict[str, str]
    init_from: NotRequired[dict[str, str]]


def changed_texts(saved: Mapping[str, Any], fingerprints: Mapping[str, str]) -> list[str]:
    """The splits whose text is not the one that a run was made of."""
    old = saved["fingerprints"]
    changed = [f"the text of data.{split}" for split in ("train", "dev") if old.get(split) != fingerprints.get(split)]
    return [*changed, *(["the links of guide"] if old.get("links") != fingerprints.get("links") else [])]


def _plain(settings: Config) -> Config:
    """Settings none of which is an interpolation: nothing of a saved config is resolved."""
    for key, value in settings.items():
        if isinstance(value, dict | list) or (isinstance(value, str) and "${" in value):
            raise UserError(f"{key} ({value!r}) must be a plain value")
    return settings


def differences(old: Config, new: Config) -> list[str]:
    """Keys that decide the result and differ, each as `key (old → new)`.

    A setting that an older nmt did not know has its default, but `tokenize`: that nmt took 13a for every language. Of `data`,
    only languages and lengths are compared: what the files hold is compared by fingerprint, and where they lie is free.
    """
    free = free_keys()
    old_flat, new_flat = flat(_defaults()) | flat(old), flat(new)
    if new_flat.get("train.tokens_per_batch") == "auto":  # which is what was found then
        new_flat["train.tokens_per_batch"] = old_flat["train.tokens_per_batch"]
    if "tokenize" not in old:
        words = new_flat.get("tokenize") or tokenizer_of(str(new_flat.get("data.tgt") or ""))
        old_flat["tokenize"] = new_flat.get("tokenize") if words == "13a" else "13a"
    found = []
    for key in sorted(old_flat.keys() | new_flat.keys()):
        is_path = key.startswith("data.") and key not in ("data.src", "data.tgt", "data.max_length")
        same = same_path if key == "init_from" else operator.eq
        if key not in free and not is_path and not same(old_flat.get(key), new_flat.get(key)):
            found.append(f"{key} ({old_flat.get(key)} → {new_flat.get(key)})")
    return found


def _defaults() -> Config:
    """Of the settings; components have theirs in their YAML."""
    plain: Any = OmegaConf.to_container(OmegaConf.structured(TrainConfig), resolve=False)
    return {key: value for key, value in plain.items() if key not in ("data", "model", "optimizer", "schedule")}


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a config by dotted key."""
    values: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            values |= flat(value, f"{prefix}{key}.")
        else:
            values[f"{prefix}{key}"] = value
    return values


def _write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
