#!/usr/bin/env python
"""Compares rules for the end of beam search on runs: BLEU, sentences scored below greedy search, and speed.

    scripts/compare_stop_rules.py RUN… --split dev

A sentence counts as below greedy when the score by which the search ranks, that of the length rule, is less for the beam's best
hypothesis than for the greedy one; it is right when it equals its reference. All rules translate in turn, in several rounds;
the speed is the best of these, by the time of the processor, so that other work beside counts less.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from nmt.components import build_corpus
from nmt.data.corpus import read_split
from nmt.decoding import engine
from nmt.decoding.scoring import Scoring
from nmt.decoding.stopping import Ahead, Count, Exact, Standing, Stop
from nmt.decoding.translator import Translation, Translator
from nmt.evaluation.metrics import score
from nmt.machine import use_threads
from nmt.run import Run
from nmt.tokenisation import Tokenisation, tokenisation_of

CLOSE = 1e-5
"""Scores that differ by less are the same hypothesis in another batch."""


class AheadAlone(Ahead):
    """The rule without its count of finished hypotheses."""

    def done(self, standing: Standing) -> Tensor:
        return standing.worst_wanted >= standing.live / self.scoring.lp(standing.live.new_tensor(standing.length + 1))


class AheadOfTheWorst(Ahead):
    """No live hypothesis is ahead of any of W finished ones: what Hugging Face's `early_stopping=False` does."""

    def done(self, standing: Standing) -> Tensor:
        bound = standing.live / self.scoring.lp(standing.live.new_tensor(standing.length + 1))
        return standing.scores[:, -1] >= bound


RULES: dict[str, Callable[[Scoring], Stop]] = {
    "count, patience 1": lambda scoring: Count(scoring, 1.0),
    "count, patience 2": lambda scoring: Count(scoring, 2.0),
    "ahead of the best": AheadAlone,
    "ahead of the best, W finished": Ahead,
    "ahead of the W-th best": AheadOfTheWorst,
    "exact": Exact,
}


def translated(translator: Translator, sources: list[str], rule: Callable[[Scoring], Stop]) -> tuple[list[Translation], float]:
    """Translations under a rule, and the seconds of the processor that they took."""
    usual = engine.stop_of
    engine.stop_of = lambda _, scoring: rule(scoring)
    try:
        begun = time.process_time()
        return translator.search(sources), time.process_time() - begun
    finally:
        engine.stop_of = usual


def best_scores(translations: list[Translation]) -> Tensor:
    return torch.tensor([one.hypotheses[0].score for one in translations])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--sentences", type=int, default=None, help="only so many from the start")
    parser.add_argument("--beams", type=int, nargs="+", default=[5])
    parser.add_argument("--rules", nargs="+", default=["average", "none"], help="length rules")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=None)
    parsed = parser.parse_args()
    use_threads(parsed.threads)
    for directory in parsed.runs:
        run = Run.open(directory)
        sources, references = read_split(build_corpus(run.config["data"]), parsed.split)
        sources, references = sources[: parsed.sentences], references[: parsed.sentences]
        translator = Translator.load(directory)
        for length_rule in parsed.rules:
            for beam in parsed.beams:
                having = translator.having(length_rule=length_rule, beam=beam)
                compare(having, sources, references, directory, parsed.rounds, tokenisation_of(run.config))


def compare(
    translator: Translator, sources: list[str], references: list[str], directory: Path, rounds: int, words: Tokenisation
) -> None:
    settings = translator.settings
    greedy, _ = translated(translator.having(beam=1), sources, Exact)
    bleu = score([one.text for one in greedy], references, ["bleu"], words)["bleu"].score
    what = f"beam {settings.beam}, length rule {settings.length_rule}"
    print(f"\n{directory.name}, {len(sources):,} sentences, {what}: greedy {bleu:.2f} BLEU")
    print("| rule | BLEU | right | below greedy | sentences per CPU second |")
    print("|---|---|---|---|---|")
    best_time = dict.fromkeys(RULES, float("inf"))
    found: dict[str, list[Translation]] = {}
    for _ in range(rounds):
        for name, rule in RULES.items():
            found[name], seconds = translated(translator, sources, rule)
            best_time[name] = min(best_time[name], seconds)
    floor = best_scores(greedy)
    for name, translations in found.items():
        bleu = score([one.text for one in translations], references, ["bleu"], words)["bleu"].score
        below = int((best_scores(translations) < floor - CLOSE).sum())
        right = sum(one.text == reference for one, reference in zip(translations, references, strict=True))
        print(f"| {name} | {bleu:.2f} | {right} | {below} | {len(sources) / best_time[name]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
