"""What the folder of a sweep is of: the keys that vary in it, and what all the others make of them.

It is kept, so that a command with another purpose does not put its runs between those that are there.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nmt.errors import UserError
from nmt.files import written_whole
from nmt.run import differences, flat, read_config
from nmt.saved import read_json
from nmt.sweep.job import other_text
from nmt.sweep.plan import MOST_CHECKED, Plan
from nmt.sweep.slugs import settings_in, slug, swept_settings
from nmt.typed import in_quotes

SHOWN = 6
"""How many differences an error names."""

GUIDES = ("links", "run", "reverse")


@dataclass
class Sample:
    """A run of a sweep.

    Attributes:
        varies: its overrides of the keys that vary.
        settings: its whole config, by dotted key.
    """

    varies: list[str]
    settings: dict[str, Any]


@dataclass
class Identity:
    """What a sweep is of.

    Attributes:
        swept: the keys that vary.
        choices: the choices of configs that do not, such as `model: luong`.
        samples: runs that together have each value once.
    """

    swept: list[str]
    choices: dict[str, str | None] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)


def keep_identity(path: Path, plan: Plan) -> None:
    """See that a plan continues the sweep in its folder, if there is one, and keep what that is of.

    Values that are new to a key continue it, and so do other values of what is free. A sweep without a record of what it is of,
    by an older version, is known by its runs.

    Raises:
        UserError: if other keys vary, or another setting, or text, decides the result.
    """
    if path.exists():
        kept = read_json(path, Identity, advice="choose another sweep_dir")
    else:
        kept = Identity(sorted(plan.swept), samples=_samples_there(plan))
    if kept.swept != sorted(plan.swept):
        raise _other_keys(plan, kept.swept)
    configs = {tuple(sorted(varies)): config for varies, config in plan.configs.items()}
    for sample in kept.samples:
        key = tuple(sorted(sample.varies))
        configs[key] = configs.get(key) or _composed(plan, sample)
        if found := _differences(sample, configs[key], plan):
            raise _other(plan, _shortened(kept, found, plan))
    _check_texts(plan, configs)
    seen = {override for sample in kept.samples for override in sample.varies}
    for varies, config in plan.configs.items():
        if (not varies or set(varies) - seen) and len(kept.samples) < MOST_CHECKED:
            kept.samples.append(Sample(list(varies), flat(config)))
            seen |= set(varies)
    kept.choices = plan.choices
    with written_whole(path) as file:
        json.dump(asdict(kept), file, indent=1)


def _samples_there(plan: Plan) -> list[Sample]:
    """The runs in a sweep's folder, as their names say what varies in them."""
    samples = []
    for path in sorted(plan.sweep_dir.glob("*/config.yaml")):
        name = path.parent.name
        settings = None if name.startswith(".") else settings_in(name)
        if settings is None:
            continue
        if settings.keys() != plan.swept.keys():
            raise _other_keys(plan, settings, f" in {name}")
        varies = [f"{plan.swept[key]}={_override_value(value)}" for key, value in settings.items()]
        samples.append(Sample(varies, flat(read_config(path.parent))))
    return samples


def _override_value(said: str) -> str:
    """A value in the name of a run, as it must be typed."""
    try:
        json.loads(said)
    except ValueError:
        return said if said[:1] == said[-1:] == "'" else in_quotes(said)
    return said


def _composed(plan: Plan, sample: Sample) -> dict[str, Any]:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        return plan.composed(sample.varies)
    except (HydraException, OmegaConfBaseException) as error:
        reason = str(error).splitlines()[0]
        raise _other(plan, [f"what is typed does not go with its run {', '.join(sample.varies)} ({reason})"]) from error


def _differences(sample: Sample, config: dict[str, Any], plan: Plan) -> list[str]:
    """What decides the result and differs. That there are guiding links decides; where they are is free."""
    found = differences(sample.settings, config)
    for name in GUIDES:
        old, new = sample.settings.get(f"guide.{name}"), config["guide"][name]
        if f"guide.{name}" not in plan.swept and (old is None) != (new is None):
            found.append(f"guide.{name} ({old} → {new})")
    return found


def _check_texts(plan: Plan, configs: dict[tuple[str, ...], dict[str, Any]]) -> None:
    """Raise `UserError` if a run that is there was made of other text."""
    runs = {plan.sweep_dir / slug(swept_settings(varies, plan.constants)): config for varies, config in configs.items()}
    first, *others = configs.values()
    if all(other["data"] == first["data"] for other in others):
        there = [path.parent for path in plan.sweep_dir.glob("[!.]*/corpus.json")]
        runs |= {path: first for path in there if (settings_in(path.name) or {}).keys() == plan.swept.keys()}
    for directory, config in runs.items():
        try:
            found = other_text(directory, config) if (directory / "corpus.json").exists() else []
        except UserError:  # text that is missing, or a damaged run, is for that run to say when it has its turn
            continue
        if found:
            raise _other(plan, [*found, *_data_differences(directory, config)])


def _data_differences(directory: Path, config: dict[str, Any]) -> list[str]:
    old, new = flat(read_config(directory)["data"]), flat(config["data"])
    return [f"data.{key} ({old.get(key)} → {new.get(key)})" for key in sorted(old | new) if old.get(key) != new.get(key)]


def _shortened(kept: Identity, found: Sequence[str], plan: Plan) -> list[str]:
    """Differences, the choices of configs first, without what is below these."""
    choices = {key: (kept.choices[key], plan.choices.get(key)) for key in kept.choices}
    changed = {key: pair for key, pair in choices.items() if pair[0] != pair[1]}
    below = tuple(f"{key.partition('@')[2] or key}.".replace("/", ".") for key in changed)
    rest = [difference for difference in found if not difference.startswith(below or "\0")]
    more = [f"{len(rest) - SHOWN} more"] if len(rest) > SHOWN else []
    return [*(f"{key} ({old} → {new})" for key, (old, new) in changed.items()), *rest[:SHOWN], *more]


def _other_keys(plan: Plan, keys: Iterable[str], where: str = "") -> UserError:
    return _other(plan, [f"the keys that vary ({', '.join(sorted(keys))}{where} → {', '.join(sorted(plan.swept))})"])


def _other(plan: Plan, found: Sequence[str]) -> UserError:
    return UserError(
        f"sweep_dir={plan.sweep_dir} is of another sweep: {', '.join(found)}; set these back to continue it, "
        "or choose another sweep_dir"
    )
