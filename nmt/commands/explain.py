"""`nmt explain`: what a model looked at, and why it chose a word, as pictures, a page and data."""

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.commands.opening import open_translator, runs_of
from nmt.console import Output
from nmt.decoding.explainer import Explainer, Explanation
from nmt.decoding.translator import Translator
from nmt.errors import UserError, naming
from nmt.explain.methods import METHODS, methods_of
from nmt.explain.page import Explained, Map, as_page
from nmt.explain.plots import explanation_picture, missing_characters
from nmt.files import write_text
from nmt.models.seq2seq import Seq2Seq
from nmt.published import Published
from nmt.run import Config

log = logging.getLogger("nmt")

PICTURES = ("png", "svg")

KINDS = {"source": "", "prefix": "-prefix", "encoder": "-encoder"}
"""What is added to the name of a picture's file."""

PAGE, DATA = "explanation.html", "explanation.json"

USUAL = rf"explanation\.(html|json)|({'|'.join(METHODS)})({'|'.join(KINDS.values())})(-\d+)?\.({'|'.join(PICTURES)})"
"""The names of all files that an explanation may have."""


def main(config: Config) -> None:
    """Explain the translation of `text` by every run of `run=`; pictures, page and data go to one folder."""
    if config["text"] is None:
        raise UserError("nothing to explain: give a sentence with text=…")
    runs = runs_of(config)
    if not runs:
        raise UserError("no run to explain: give a directory that `nmt train` has written, or several")
    folder = Path(config["output"]) if config["output"] else runs[0] / "explanations" / folder_name(config["text"])
    place = Published(folder, "explanation", usual=USUAL, within=None if config["output"] else runs[0])
    place.check((PAGE, DATA))
    translators = [open_translator(config | {"run": str(run)}) for run in runs]
    suffixes = [f"-{number}" if len(runs) > 1 else "" for number in range(1, len(runs) + 1)]
    explanations = []
    for translator in translators:
        methods = chosen_methods(config["method"], translator.model, among_several=len(runs) > 1)
        place.check(_pictures(methods, suffixes))
        explainer = Explainer(translator, units=config["units"])
        explanations.append(explainer.explain(config["text"], methods, reference=config["reference"]))
        _check_choice(config, explanations[-1].maps)
    explained = [
        Explained(str(run), type(translator.model).__name__.lower(), explanation.source, explanation.target, explanation.maps)
        for run, translator, explanation in zip(runs, translators, explanations, strict=True)
    ]
    with place.writing() as scratch:
        data = _data(config, translators, explanations, runs)
        write_text(scratch / DATA, json.dumps(data, ensure_ascii=False) + "\n")
        write_text(scratch / PAGE, as_page(explained))
        for explanation, suffix in zip(explanations, suffixes, strict=True):
            _draw(scratch, explanation, config, suffix=suffix)
    out = Output(highlight=False, soft_wrap=True)
    for explanation in explanations:
        out.print(explanation.translation, markup=False)
    out.print(str(folder / PAGE), markup=False)


def chosen_methods(method: Any, model: Seq2Seq, *, among_several: bool = False) -> list[str]:
    """The methods that `method=` names; `all` are those that the model has, without the slow one.

    Args:
        method: a name, a list of names, or all.
        model: which has some of them.
        among_several: leave out what this one of several models has not.
    """
    if method == "all":
        return [name for name in methods_of(model) if name != "integrated_gradients"]
    names = [str(name) for name in (method if isinstance(method, list) else [method])]
    if not names or "all" in names or method is None:
        raise UserError(f"method must be all, one of {', '.join(METHODS)}, or a list of them, but is {method!r}")
    known = [name for name in names if name in METHODS]
    if among_several and known == names and (had := [name for name in names if name in methods_of(model)]):
        return had
    return list(dict.fromkeys(names))


def folder_name(text: str) -> str:
    """A name for a sentence: its first words, and a hash of all of it."""
    words = re.sub(r"\W+", "-", text.lower()).strip("-")[:40].strip("-")
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{words}-{digest}" if words else digest


def _check_choice(config: Config, maps: Sequence[Map]) -> None:
    """Raise `UserError` unless attention to the source is shown and has the layer and head whose pictures are wanted."""
    shown = next((each.values for each in maps if (each.method, each.kind) == ("attention", "source")), None)
    for dimension, key in enumerate(("layer", "head")):
        if (value := config[key]) is None:
            continue
        if shown is None:
            raise UserError(f"{key}={value} is of method=attention, which is not among the methods: leave it out")
        if not 1 <= value <= shown.size(dimension):
            raise UserError(
                f"{key}={value} is not there: this model has {key}s 1 to {shown.size(dimension)}; null is the mean of all"
            )


def _pictures(methods: Sequence[str], suffixes: Sequence[str]) -> list[str]:
    """The names of the pictures that there may be."""
    parts = product(methods, KINDS.values(), suffixes, PICTURES)
    return [f"{method}{kind}{suffix}.{ending}" for method, kind, suffix, ending in parts]


def _draw(folder: Path, explanation: Explanation, config: Config, *, suffix: str) -> None:
    if missing := missing_characters([*explanation.source, *explanation.target]):
        shown = "".join(sorted(missing))[:20]
        log.warning(
            f"no font of this machine has {shown!r}: the pictures show ▯ instead; install one (on Debian: fonts-noto-cjk, "
            "fonts-noto-core), or see explanation.html, for which the browser has fonts of its own"
        )
    for each in explanation.maps:
        values = _shown(each, config)
        title = each.method if each.method != "attention" else _title(config, each)
        figure = explanation_picture(values, explanation.source, explanation.target, kind=each.kind, title=title)
        for ending in PICTURES:
            path = folder / f"{each.method}{KINDS[each.kind]}{suffix}.{ending}"
            with naming(path):
                figure.savefig(path, dpi=150)


def _shown(shown: Map, config: Config) -> Tensor:
    """(R, C): the chosen layer and head of attention, where this kind has it, else the mean."""
    values = shown.values
    if shown.method == "attention":
        for dimension, key in enumerate(("layer", "head")):
            if (number := config[key]) is not None and number <= values.size(dimension):
                values = values.narrow(dimension, number - 1, 1)
    return values.mean((0, 1))


def _title(config: Config, shown: Map) -> str:
    parts = []
    for key, count in zip(("layer", "head"), shown.values.shape, strict=False):
        number = config[key]
        if count > 1:
            parts.append(f"{key} {number}" if number is not None and number <= count else f"mean of {count} {key}s")
    return ", ".join(["attention", *parts])


def _data(config: Config, translators: list[Translator], explanations: list[Explanation], runs: list[Path]) -> dict[str, Any]:
    """Everything as numbers: docs/explaining.md says what each key means."""
    listed = [
        {
            "run": str(run),
            **{key: translator.origin[0][key] for key in ("checkpoint", "weights")},
            "source": explanation.source,
            "target": explanation.target,
            "translation": explanation.translation,
            "maps": [{"method": each.method, "kind": each.kind, "values": _rounded(each.values)} for each in explanation.maps],
        }
        for run, translator, explanation in zip(runs, translators, explanations, strict=True)
    ]
    return {"text": config["text"], "reference": config["reference"], "units": config["units"], "runs": listed}


def _rounded(values: Tensor) -> list[Any]:
    rounded: list[Any] = torch.round(values.double(), decimals=6).tolist()
    return rounded
