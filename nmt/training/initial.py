"""Fine-tuning: a run that begins with the parameters of another one (`init_from`).

Where the two have different vocabularies, the pieces that both have, by their text and side, take their rows of the embeddings
and of the output layer along; the other rows stay as they were drawn.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor

from nmt.data.tokenizer import Side, Tokenizer
from nmt.errors import UserError
from nmt.models.seq2seq import Seq2Seq
from nmt.run import Config, Run, differences, settings_of_older
from nmt.training.checkpoint import Checkpoint
from nmt.training.checkpoints import Checkpoints

log = logging.getLogger("nmt")

PIECE_MODULES: dict[str, Side] = {"src_embedding": "src", "tgt_embedding": "tgt", "output": "tgt"}
"""The modules of a model that have a row per piece, and the side of the pieces."""

PIECE_SETTINGS = (
    *("type", "vocab_size", "joint", "byte_fallback", "character_coverage"),
    *("normalization", "target_normalization"),
)
"""The settings that shape a tokenizer, whatever text it is learnt from."""

Rows = tuple[Tensor, Tensor]
"""The rows of shared pieces: there, and here."""


@dataclass(frozen=True)
class Origin:
    """Where a run begins: a file of weights in a checkpoint of another run."""

    run: Run
    checkpoint: Checkpoint
    weights: str

    @property
    def identity(self) -> dict[str, str]:
        """What tells these parameters from all others."""
        name = f"{self.checkpoint.directory.name}/{self.weights}"
        return {"checkpoint": name, "sha256": self.checkpoint.manifest()["sha256"][self.weights]}

    def tokenizer(self, *, sampling: float) -> Tokenizer:
        """The tokenizer of that run, with another strength of subword sampling."""
        old = self.run.tokenizer
        return Tokenizer(old.models, joint=old.joint, sampling=sampling)


def open_origin(config: Config, model: Seq2Seq) -> Origin | None:
    """The origin that a config names, after every check; None without, or where the run has its own checkpoints already.

    Args:
        config: of the new run.
        model: its model, of which only shapes count.

    Raises:
        UserError: if the origin is not there, is damaged, or has another model or another tokenizer than asked for.
    """
    origin = _find(config, Path(config["run_dir"]))
    if origin is not None:
        _warn_of_languages(config, origin.run)
        with torch.device("meta"):
            _check_model(config, origin.run, origin.run.build_model(), model)
        if config["init_tokenizer"]:
            _check_tokenizer(config, origin.run)
    return origin


def fill_from_origin(run: Run, model: Seq2Seq) -> None:
    """Let the fresh model of a run begin with the parameters of its origin; without one it stays as it is."""
    origin = _find(run.config, run.directory)
    if origin is not None:
        old = origin.run.build_model()
        origin.checkpoint.load_model(old, origin.weights)
        rows = {side: shared_rows(origin.run.tokenizer, run.tokenizer, side) for side in PIECE_MODULES.values()}
        copy_parameters(old, model, rows)
        _report(run, origin, rows)


def _find(config: Config, directory: Path) -> Origin | None:
    if config["init_from"] is None:
        for key, default in (("init_checkpoint", "best"), ("init_weights", "auto")):
            if config[key] != default:
                raise UserError(f"{key}={config[key]} says where in a run to begin, but init_from=RUN is not set")
        return None
    if Checkpoints(directory / "checkpoints").all():
        return None
    try:
        run = Run.open(Path(config["init_from"]))
        checkpoint = run.checkpoints.find(config["init_checkpoint"])
        if problem := checkpoint.damage():
            raise UserError(f"{problem}: name another checkpoint")
        weights = checkpoint.file_of(config["init_weights"])
        if not (checkpoint.directory / weights).exists():
            raise UserError(f"that run has no averages (train.ema_decay): set init_weights=raw, not {config['init_weights']}")
    except UserError as error:
        raise UserError(f"init_from={config['init_from']} init_checkpoint={config['init_checkpoint']}: {error}") from error
    return Origin(run, checkpoint, weights)


def _warn_of_languages(config: Config, old: Run) -> None:
    there, here = ([str(data.get(key)) for key in ("src", "tgt")] for data in (old.config["data"], config["data"]))
    if there != here:
        log.warning(f"init_from={old.directory} translates {' to '.join(there)}, this run {' to '.join(here)}")


def _check_tokenizer(config: Config, old: Run) -> None:
    config["tokenizer"] |= settings_of_older(old.directory, old.config)
    keys = [f"tokenizer.{name} (" for name in PIECE_SETTINGS]
    if found := [difference for difference in differences(old.config, config) if difference.startswith(tuple(keys))]:
        raise UserError(
            f"init_from={old.directory} keeps the tokenizer of that run, but {', '.join(found)} differ: set these back, "
            "or learn another tokenizer from this corpus, with init_tokenizer=false"
        )


def _check_model(config: Config, run: Run, old: Seq2Seq, new: Seq2Seq) -> None:
    keys = ", ".join(_model_differences(config, run)) or "none: that run was trained with another version of nmt"
    theirs, ours = _shapes(old), _shapes(new)
    names = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
    if names:
        shown = [f"{name} ({theirs.get(name, 'none')} there, {ours.get(name, 'none')} here)" for name in names[:3]]
        more = f" and {len(names) - len(shown):,} more" if len(names) > len(shown) else ""
        raise UserError(
            f"init_from={run.directory} has a model of another shape: {', '.join(shown)}{more}; keys that differ: {keys}"
        )
    for one, other in combinations(PIECE_MODULES, 2):
        if _ties(new, one, other) and not _ties(old, one, other):
            raise UserError(
                f"init_from={run.directory} has two matrices, {one}.weight and {other}.weight, which are one here; "
                f"keys that differ: {keys}"
            )


def _model_differences(config: Config, old: Run) -> list[str]:
    return [difference for difference in differences(old.config, config) if difference.startswith("model.")]


def _shapes(model: Seq2Seq) -> dict[str, tuple[int | str, ...]]:
    """The shapes of what a model's checkpoint holds, with V for the number of pieces."""
    rows = _piece_parameters(model)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    return {name: ("V", *shape[1:]) if name in rows else shape for name, shape in shapes.items()}


def _piece_parameters(model: Seq2Seq) -> dict[str, Side]:
    """The names of the parameters that have a row per piece, with the side of the pieces."""
    modules = ((module, getattr(model, module), side) for module, side in PIECE_MODULES.items())
    return {f"{name}.{part}": side for name, module, side in modules for part, _ in module.named_parameters()}


def _ties(model: Seq2Seq, one: str, other: str) -> bool:
    return getattr(model, one).weight is getattr(model, other).weight


def shared_rows(old: Tokenizer, new: Tokenizer, side: Side) -> Rows:
    """The ids, in two tokenizers, of the pieces that both have on a side."""
    theirs, ours = (
        tokenizer.pieces(range(tokenizer.src_size if side == "src" else tokenizer.tgt_size), side) for tokenizer in (old, new)
    )
    ids = {piece: n for n, piece in enumerate(theirs)}
    pairs = [(ids[piece], n) for n, piece in enumerate(ours) if piece in ids]
    there, here = torch.tensor(pairs).unbind(1)  # never empty: special pieces have the same names everywhere
    return there, here


@torch.no_grad()
def copy_parameters(old: Seq2Seq, new: Seq2Seq, rows: Mapping[Side, Rows]) -> None:
    """Copy what two models of one shape share: everything, but of pieces only the given rows. What is tied stays tied."""
    sides = _piece_parameters(new)
    theirs = old.state_dict()
    for name, value in new.state_dict().items():
        if name in sides:
            there, here = rows[sides[name]]
            value[here] = theirs[name][there]
        else:
            value.copy_(theirs[name])


def _report(run: Run, origin: Origin, rows: Mapping[Side, Rows]) -> None:
    old, new = origin.run.tokenizer, run.tokenizer
    sizes: dict[Side, int] = {"src": new.src_size, "tgt": new.tgt_size}
    counts = {side: f"{len(rows[side][1]):,} of {size:,}" for side, size in sizes.items()}
    if old.joint and new.joint:
        shared = f"{counts['src']} pieces"
    else:
        shared = f"{counts['src']} source pieces and {counts['tgt']} target pieces"
    log.info(f"parameters begin as those of {origin.run.directory}, {origin.checkpoint.directory.name}, which shares {shared}")
    if found := _model_differences(run.config, origin.run):
        log.warning(f"of the same shape, but not the same model as there: {', '.join(found)}")
