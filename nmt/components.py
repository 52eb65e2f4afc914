"""Building the parts that a config names with `_target_`, and nothing else.

A config may come from a stranger, so a target is looked up, not called, until it has proved to be a part of the
expected role that its own module places in `nmt` or `torch.optim`.
"""

import importlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from nmt.data.corpus import Corpus
from nmt.errors import UserError
from nmt.machine import physical_memory
from nmt.models.attention import Attention
from nmt.models.encoder import Encoder
from nmt.models.feedforward import FeedForward
from nmt.models.patterns import Pattern
from nmt.models.positions import Positions
from nmt.models.scores import HeadScore, Score
from nmt.models.seq2seq import Seq2Seq, Vocabulary
from nmt.training.optimizers import check_sharding, check_step, parameter_groups
from nmt.training.schedules import Schedule

Spec = Mapping[str, Any]


def build_corpus(spec: Spec) -> Corpus:
    """The corpus that a config's `data` describes."""
    corpus: Corpus = _build(spec, "data")
    return corpus


def build_model(spec: Spec, vocabulary: Vocabulary) -> Seq2Seq:
    """The model that a config's `model` describes, freshly initialised.

    Raises:
        UserError: if it is none, or one that this machine has not the memory for.
    """
    model_without_memory(spec, vocabulary)
    model: Seq2Seq = _build(spec, "model", vocabulary)
    return model


def model_without_memory(spec: Spec, vocabulary: Vocabulary) -> Seq2Seq:
    """The same on the meta device, where tensors have shapes and nothing else.

    Raises:
        UserError: as `build_model`.
    """
    with torch.device("meta"), _Uninitialised():
        model: Seq2Seq = _build(spec, "model", vocabulary)
    needed = sum(value.nbytes for value in (*model.parameters(), *model.buffers()))
    if needed > (there := physical_memory()):
        raise UserError(f"model takes {needed:,} bytes, but this machine has {there:,}: choose smaller sizes")
    return model


_KEEP_SHAPE = (torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.div)


class _Uninitialised(TorchFunctionMode):
    """Leaves tensors as they are: to initialise one without memory, torch would first import its compiler for a second."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == torch.nn.init.__name__ or func in _KEEP_SHAPE:
            return [*args, *(kwargs or {}).values()][0]
        return func(*args, **(kwargs or {}))


def build_optimizer(spec: Spec, model: torch.nn.Module) -> torch.optim.Optimizer:
    """The optimizer that a config's `optimizer` describes, over the parameters of a model; only matrices decay."""
    target = _target(spec, "optimizer")
    preset = inspect.signature(target).parameters.get("weight_decay")
    weight_decay = _keywords(spec, "optimizer", target).get("weight_decay", preset.default if preset else 0.0)
    optimizer: torch.optim.Optimizer = _build(spec, "optimizer", parameter_groups(model, weight_decay=weight_decay))
    return optimizer


def check_optimizer(spec: Spec, device: torch.device, *, sharded: bool = False) -> None:
    """Raise `UserError` if the optimizer that a config describes cannot train on a device: it takes a step there.

    Args:
        spec: the config's `optimizer`.
        device: of the training.
        sharded: whether each process will have a part of every parameter.
    """
    try:
        check_step(partial(build_optimizer, spec), device)
        if sharded:
            check_sharding(build_optimizer(spec, torch.nn.Linear(1, 1)))
    except UserError:
        raise
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise UserError(_named("optimizer", error)) from error


def build_schedule(spec: Spec) -> Schedule:
    """The schedule that a config's `schedule` describes, whatever it looks at."""
    function = _target(spec, "schedule")
    parameters = inspect.signature(function).parameters.values()
    keywords = _keywords(spec, "schedule", function)
    if given := [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY and p.name in keywords]:
        raise UserError(f"schedule.{given[0]} is what training tells {function.__name__}, not a key")
    watches = any(p.name == "history" for p in parameters)

    def schedule(update: int, history: Sequence[float] = ()) -> float:
        return float(function(update, history, **keywords) if watches else function(update, **keywords))

    try:
        schedule(1)
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from error
    return schedule


def _is_subclass(parent: type) -> Callable[[Any], bool]:
    return lambda target: inspect.isclass(target) and issubclass(target, parent) and target is not parent


_ROLES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "data": ("nmt.data.", _is_subclass(Corpus)),
    "model": ("nmt.models.", _is_subclass(Seq2Seq)),
    "encoder": ("nmt.models.", _is_subclass(Encoder)),
    "attention": ("nmt.models.", _is_subclass(Attention)),
    "score": ("nmt.models.", lambda target: _is_subclass(Score)(target) or _is_subclass(HeadScore)(target)),
    "positions": ("nmt.models.", _is_subclass(Positions)),
    "pattern": ("nmt.models.", _is_subclass(Pattern)),
    "feedforward": ("nmt.models.", _is_subclass(FeedForward)),
    "optimizer": ("torch.optim.", _is_subclass(torch.optim.Optimizer)),
    "schedule": ("nmt.training.schedules", inspect.isfunction),
}
"""For each role the module that must define the part, and what it must be."""


def _build(spec: Spec, key: str, *arguments: Any) -> Any:
    target = _target(spec, key)
    keywords = _keywords(spec, key, target)
    try:
        inspect.signature(target).bind(*arguments, **keywords)
    except TypeError as error:
        raise UserError(f"{key} ({target.__name__}): {error}") from error
    try:
        return target(*arguments, **keywords)
    except UserError:
        raise
    except (ValueError, RuntimeError, TypeError, IndexError, OverflowError) as error:  # values that do not fit
        raise UserError(_named(key, error)) from error


def _named(key: str, error: Exception) -> str:
    """The first line of an error of a part, without torch's own trace, and the key that it is about."""
    words = str(error).split("\n")[0]
    return words if key in words else f"{key}: {words}"


def _target(spec: Spec, key: str) -> Any:
    """The class or function that a config names, after it has proved that it may be called."""
    role = key.rpartition(".")[2]
    if not isinstance(spec, Mapping) or "_target_" not in spec:
        raise UserError(f"{key} must name its class in _target_, but is {spec!r}")
    name = spec["_target_"]
    place, fits = _ROLES[role]
    if isinstance(name, str) and name.startswith(("nmt.", "torch.optim.")):
        target = _look_up(name)
        if target is not None and f"{target.__module__}.".startswith(f"{place.rstrip('.')}.") and fits(target):
            return target
    raise UserError(f"{key}._target_ must name a part for {role} that is defined in {place.rstrip('.')}, but is {name!r}")


def _look_up(name: str) -> Any:
    """The class or function behind a dotted name, or None."""
    path, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(path), attribute, None)
    except ImportError:
        return None
    return found if inspect.isclass(found) or inspect.isfunction(found) else None


def _keywords(spec: Spec, key: str, target: Any) -> dict[str, Any]:
    """The keyword arguments of a part, their names and types checked; a nested part becomes its constructor."""
    parameters = {p.name: p for p in inspect.signature(target).parameters.values() if p.kind is not p.VAR_POSITIONAL}
    types_ = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    keywords: dict[str, Any] = {}
    for name, value in spec.items():
        if name in ("_target_", "_partial_"):
            continue
        if name not in parameters:
            known = ", ".join(n for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY or p.default is not p.empty)
            raise UserError(f"{key}.{name} is not a key of {target.__name__}; its keys are: {known}")
        if isinstance(value, Mapping) and name in _ROLES:
            part = _target(value, f"{key}.{name}")
            keywords[name] = partial(part, **_keywords(value, f"{key}.{name}", part))
            continue
        if name in _ROLES and name != "data":
            choice = f"{key}.{name}".replace(".", "/")
            raise UserError(f"{key}.{name} is a choice of its own, written with a slash: {choice}=…; here it is {value!r}")
        if isinstance(value, str) and "${" in value:
            raise UserError(f"{key}.{name} ({value!r}) holds an interpolation, which is not resolved in a saved config")
        _check_type(value, types_.get(name, Any), f"{key}.{name}")
        keywords[name] = value
    return keywords


def _check_type(value: Any, annotation: Any, key: str) -> None:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        accepted = typing.get_args(annotation)
    else:
        accepted = (annotation,)
    accepted = tuple(kind for kind in accepted if kind is not torch.Tensor)  # no config holds one
    if len(accepted) == 1 and typing.get_origin(accepted[0]) is tuple:
        _check_items(value, typing.get_args(accepted[0]), key)
        return
    plain = {int, float, str, bool, type(None)}
    if not accepted or not set(accepted) <= plain:
        return  # lists, tensors and the like explain themselves where they are used
    fits = type(value) in accepted or (type(value) is int and float in accepted)
    if not fits:
        wanted = " or ".join("null" if kind is type(None) else kind.__name__ for kind in accepted)
        raise UserError(f"{key} must be {wanted}, but is {value!r}")
    if type(value) is int and abs(value) > (most := _most(key)):
        raise UserError(f"{key} must be at most {most:,}, but is {value:,}")


def _most(key: str) -> int:
    """What no whole number of a part exceeds: sizes of a model decide how much memory and time its making takes."""
    if not key.startswith("model."):
        return 2**63 - 1
    return 1_000 if key.endswith(("layers", "heads")) else 1_000_000


def _check_items(value: Any, kinds: tuple[Any, ...], key: str) -> None:
    if not isinstance(value, list | tuple) or (Ellipsis not in kinds and len(value) != len(kinds)):
        raise UserError(f"{key} must be a list of {len(kinds)} values, but is {value!r}")
    for number, (item, kind) in enumerate(zip(value, kinds, strict=False)):
        _check_type(item, kind, f"{key}[{number}]")
