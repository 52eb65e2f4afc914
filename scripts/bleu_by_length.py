#!/usr/bin/env python3
"""BLEU by the length of the source: a table in Markdown and a picture of evaluated runs.

    scripts/bleu_by_length.py runs/a runs/b … --output bleu.png [--split test] [--edges 10 20 30 40] [--least 30]

Reads what `nmt evaluate` (or the end of training) left in RUN/evaluation/SPLIT. Length is counted in words between spaces.
Sentences go into the ranges 1 … 10, 11 … 20 and so on, those of the last range are longer than the last edge; a range with
fewer than LEAST sentences is left out. Each range is scored by sacreBLEU as a corpus of its own.
"""

import argparse
from pathlib import Path

from matplotlib.figure import Figure

from nmt.data.files import read_lines
from nmt.evaluation.breakdown import FEW, LENGTHS, length_ranges
from nmt.evaluation.metrics import score
from nmt.run import read_config
from nmt.tokenisation import Tokenisation, tokenisation_of

Scores = dict[str, list[float]]
Evaluated = tuple[list[str], list[str], list[str], Tokenisation]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--edges", nargs="+", type=int, default=LENGTHS)
    parser.add_argument("--least", type=int, default=FEW, help="sentences that a range needs")
    parser.add_argument("--output", type=Path, required=True, help="a picture")
    options = parser.parse_args()
    texts = {run.name: read(run, options.split) for run in options.runs}
    sources = [text[0] for text in texts.values()]
    if any(other != sources[0] for other in sources[1:]):
        parser.error("the runs were evaluated on different sentences")
    ranges = length_ranges(sources[0], sorted(options.edges))
    ranges = {name: lines for name, lines in ranges.items() if len(lines) >= options.least}
    scores: Scores = {name: [bleu(text, lines) for lines in ranges.values()] for name, text in texts.items()}
    everything = {name: bleu(text, list(range(len(sources[0])))) for name, text in texts.items()}
    print(table(ranges, scores, everything))
    draw(list(ranges), scores).savefig(options.output, dpi=150)


def read(run: Path, split: str) -> Evaluated:
    """Sources, hypotheses and references of an evaluated split, and how the run's BLEU cuts words."""
    names = ("sources.txt", "hypotheses.txt", "references.txt")
    sources, hypotheses, references = (list(read_lines(run / "evaluation" / split / name)) for name in names)
    return sources, hypotheses, references, tokenisation_of(read_config(run))


def bleu(text: Evaluated, lines: list[int]) -> float:
    """BLEU of some lines."""
    hypotheses, references, words = text[1:]
    return score([hypotheses[n] for n in lines], [references[n] for n in lines], ["bleu"], words)["bleu"].score


def table(ranges: dict[str, list[int]], scores: Scores, everything: dict[str, float]) -> str:
    """Markdown, a row for each run."""
    head = ["words", *(f"{name} ({len(lines)})" for name, lines in ranges.items()), "all"]
    rows = [head, ["---"] * len(head)]
    rows += [[name, *(f"{value:.2f}" for value in values), f"{everything[name]:.2f}"] for name, values in scores.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def draw(ranges: list[str], scores: Scores) -> Figure:
    """A line for each run."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, values) in enumerate(scores.items()):
        axes.plot(ranges, values, marker="osD^vPX<>"[number % 9], label=name)
    axes.set_xlabel("words of the source sentence")
    axes.set_ylabel("BLEU")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


if __name__ == "__main__":
    main()
