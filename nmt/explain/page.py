"""What a translation looked at as one HTML page that needs no network."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from torch import Tensor

from nmt.evaluation.findings import CONTROLS


@dataclass(frozen=True)
class Map:
    """How much each word of one side counts for each word of the other.

    Attributes:
        method: what measured it, such as `attention` or `gradient_x_input`.
        kind: `source` from words of the translation to those of the source, `prefix` from words of the translation to the
            words already written, `encoder` from words of the source to each other.
        values: (L, H, R, C) of L layers and H heads, 1 and 1 where a method has none. The last row is the end of sentence,
            and so is the last column, except that `prefix` has the begin of sentence first. May be negative.
    """

    method: str
    kind: str
    values: Tensor


@dataclass(frozen=True)
class Explained:
    """One run's view of a sentence.

    Attributes:
        name: of the run, as typed.
        model: such as `transformer`.
        source: words without the end of sentence.
        target: words without the end of sentence.
        maps: of each method and kind one, most telling first.
    """

    name: str
    model: str
    source: list[str]
    target: list[str]
    maps: list[Map]


def as_page(explained: Sequence[Explained]) -> str:
    """The page, runs side by side; some run has a map. Whatever the words hold is escaped, and so shown, not obeyed."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html").render(runs=[_packed(run) for run in explained])


def _packed(run: Explained) -> dict[str, object]:
    source, target = [[word.translate(CONTROLS) for word in side] for side in (run.source, run.target)]
    shapes = {
        "source": (len(target) + 1, len(source) + 1),
        "prefix": (len(target) + 1, len(target) + 1),
        "encoder": (len(source) + 1, len(source) + 1),
    }
    assert all(each.values.shape[2:] == shapes[each.kind] for each in run.maps)
    return {
        "name": run.name.translate(CONTROLS),
        "model": run.model.translate(CONTROLS),
        "source": source,
        "target": target,
        "maps": [{"method": each.method, "kind": each.kind, **_quantised(each.values)} for each in run.maps],
    }


def _quantised(values: Tensor) -> dict[str, object]:
    """Bytes b for values v, read back as v = scale b / 255, or as v = scale (b - 128) / 127 where some v is negative."""
    values = values.detach().cpu().double()
    scale, signed = values.abs().max().item(), bool((values < 0).any())
    share = values / (scale or 1.0)
    numbers = (128 + 127 * share if signed else 255 * share).round().to(torch.uint8)
    return {
        "layers": values.shape[0],
        "heads": values.shape[1],
        "scale": scale,
        "signed": signed,
        "bytes": base64.b64encode(numbers.numpy().tobytes()).decode("ascii"),
    }
