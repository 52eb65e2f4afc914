"""What a sweep will do, found out and checked before its first run begins."""

import itertools
import re
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.errors import UserError
from nmt.paths import expanded_value
from nmt.sweep.job import check_config
from nmt.sweep.slugs import name_of, slug, swept_settings
from nmt.sweep.study import prepare_search
from nmt.typed import plain, quoted

MOST_CHECKED = 200
"""Configs of a search space that are composed beforehand; a grid's are composed all."""


@dataclass(frozen=True)
class Plan:
    """What a sweep varies and where it goes.

    Attributes:
        overrides: the command line, with what it leaves to us.
        sweep_dir: where the runs go.
        constants: keys that do not vary.
        total: number of runs, or None where a search decides.
        launcher: its class, such as `hydra._internal.core_plugins.basic_launcher.BasicLauncher`.
        swept: the keys that vary, as they were typed, by their names.
        configs: of the runs that were looked at, under what varies in each.
        composed: the config of a run, from what varies in it.
        choices: the choices of configs that do not vary, such as `model: luong`.
    """

    overrides: list[str]
    sweep_dir: Path
    constants: frozenset[str]
    total: int | None
    launcher: str
    swept: dict[str, str]
    configs: dict[tuple[str, ...], dict[str, Any]]
    composed: Callable[[Sequence[str]], dict[str, Any]]
    choices: dict[str, str | None]


def make_plan(hydra: Any, config_name: str, overrides: Sequence[str]) -> Plan:
    """The plan of a command line; `hydra` composes its configs.

    Raises:
        UserError: for what cannot work in any of the runs, or of the sweep itself.
        HydraException: for keys and choices that do not exist.
    """
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    overrides = [*overrides, *_own_defaults(hydra, config_name, overrides)]
    master = hydra.compose_config(config_name=config_name, overrides=overrides, run_mode=RunMode.MULTIRUN)
    sweeper: Any = OmegaConf.to_container(master.hydra.sweeper, resolve=False)
    launcher = str(master.hydra.launcher._target_)
    if launcher.endswith(".SlurmLauncher") and shutil.which("srun") is None:
        raise UserError(
            "hydra/launcher=submitit_slurm needs SLURM, but this machine has no srun: type the command on a login node "
            "of the cluster, or take hydra/launcher=joblib on this machine"
        )
    typed = list(master.hydra.overrides.task)
    params = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
    swept, constants = _parsed(hydra, [*params, *typed])
    searches = not str(sweeper["_target_"]).endswith(".BasicSweeper")
    if not swept and not (searches and (sweeper.get("custom_search_space") or sweeper.get("search_space"))):
        raise UserError("-m is for sweeps, but no key has several values: type one such as seed=1,2,3, or leave out -m")
    for key in ("run_dir", "sweep_dir"):
        if key in swept or (key == "run_dir" and master.run_dir is not None):
            raise UserError(f"{key}= cannot vary in a sweep: its runs lie in sweep_dir, each named by what it varies")
    folder = expanded_value(master.sweep_dir) or str(Path("sweeps") / _default_name(master, _parsed(hydra, typed)[0]))
    if (Path(folder) / "config.yaml").exists():
        raise UserError(f"sweep_dir={folder} is a run: choose another folder for the sweep")
    jobs = _some_jobs(swept) if searches else _grid(swept)
    names = frozenset({*constants, "sweep_dir"})

    def composed(job: Sequence[str]) -> dict[str, Any]:
        lines = [*(override.input_line for override in constants.values()), *job]
        return _without_hydra(hydra.config_loader.load_sweep_config(master, lines))

    configs = {tuple(job): composed(job) for job in jobs}
    for job, config in configs.items():
        _check(config, Path(folder), list(job), names)
    if folder != master.sweep_dir:
        overrides += [quoted(f"sweep_dir={folder}")]
    if str(sweeper["_target_"]).endswith(".OptunaSweeper"):
        overrides += prepare_search(sweeper)
    typed_keys = {name: str(override.get_key_element()) for name, override in swept.items()}
    total = None if searches else len(jobs)
    choices = master.hydra.runtime.choices.items()
    chosen = {key: name for key, name in choices if key not in swept and not key.startswith(("hydra/", "sweep/"))}
    return Plan(overrides, Path(folder), names, total, launcher, typed_keys, configs, composed, chosen)


def _own_defaults(hydra: Any, config_name: str, overrides: Sequence[str]) -> list[str]:
    """The choices of configs/sweep that go with the launcher, sweeper and sampler of a command line."""
    from hydra.errors import MissingConfigException
    from hydra.types import RunMode

    try:
        master = hydra.compose_config(config_name=config_name, overrides=list(overrides), run_mode=RunMode.MULTIRUN)
    except MissingConfigException as error:
        if plugin := re.search(r"'(hydra/(?:launcher/(?:joblib|submitit)|sweeper/optuna)\w*)'", str(error)):
            raise UserError(f"{plugin[1]} is not installed: pip install nmt[sweep]") from error
        raise
    pairs = {"hydra/launcher": "sweep/launcher", "hydra/sweeper": "sweep/sweeper", "hydra/sweeper/sampler": "sweep/sampler"}
    chosen = {ours: master.hydra.runtime.choices.get(group) for group, ours in pairs.items()}
    return [f"{ours}={name}" for ours, name in chosen.items() if name in hydra.config_loader.get_group_options(ours)]


def _without_hydra(config: Any) -> dict[str, Any]:
    """The config of a run as plain values."""
    from omegaconf import OmegaConf

    values: Any = OmegaConf.to_container(config, resolve=False)
    del values["hydra"]
    return plain(OmegaConf.create(values), "train")


def _check(config: dict[str, Any], folder: Path, job: list[str], constants: Collection[str]) -> None:
    """Look at the settings of a run, and at the run that may be there."""
    from nmt.checks import check_settings
    from nmt.tokenisation import tokenisation_of

    try:
        check_settings(config)
        tokenisation_of(config).bleu()
    except UserError as error:
        raise UserError(f"{', '.join(job)}: {error}") from error
    check_config(folder / slug(swept_settings(job, constants)), config)


def check_single(hydra_config: Any) -> None:
    """Raise `UserError` if the config of a single run asks for a sweep."""
    choices = hydra_config.runtime.choices
    for key in ("hydra/launcher", "hydra/sweeper"):
        if choices.get(key) != "basic":
            raise UserError(f"{key}={choices.get(key)} is for sweeps: add -m")
    if hydra_config.sweeper.get("params"):
        keys = ", ".join(hydra_config.sweeper.params)
        raise UserError(f"this experiment is a sweep over {keys}: add -m")


def _parsed(hydra: Any, overrides: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The overrides by key, those that vary and those that do not; a later one of a key wins."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create(config_loader=hydra.config_loader)
    last = {name_of(override): override for override in parser.parse_overrides(list(overrides))}
    swept = {key: override for key, override in last.items() if override.is_sweep_override()}
    return swept, {key: override for key, override in last.items() if key not in swept}


def _default_name(master: Any, typed: Mapping[str, Any]) -> str:
    """A name that the same command line always gives: its experiment and the keys that it varies."""
    experiment = master.hydra.runtime.choices.get("experiment")
    parts = [str(experiment)] if experiment and "experiment" not in typed else []
    return "+".join([*parts, *sorted(typed)]).replace("/", "-").replace("@", "-") or "search"


def _grid(swept: Mapping[str, Any]) -> list[list[str]]:
    """The overrides of every run of a grid."""
    for override in swept.values():
        if not override.is_discrete_sweep():
            raise UserError(f"{override.input_line} has no end of values: only a search takes it, hydra/sweeper=optuna")
    return [list(values) for values in itertools.product(*(_values(override) for override in swept.values()))]


def _some_jobs(swept: Mapping[str, Any]) -> list[list[str]]:
    """Overrides that show each key and choice of a search space once, the other keys at their first value."""
    values = {key: _values(override) for key, override in swept.items()}
    first = {key: options[0] for key, options in values.items()}
    others = ((key, option) for key, options in values.items() for option in options[1:])
    changed = ({**first, key: option} for key, option in itertools.islice(others, MOST_CHECKED))
    return [list(job.values()) for job in ({**first}, *changed)]


def _values(override: Any) -> list[str]:
    key = override.get_key_element()
    if override.is_interval_sweep():
        return [f"{key}={override.value().start}", f"{key}={override.value().end}"]
    return [f"{key}={value}" for value in override.sweep_string_iterator()]
