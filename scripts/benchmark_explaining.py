#!/usr/bin/env python3
"""How long each method of explanation takes for one sentence of a run, in seconds, as a JSON line.

    scripts/benchmark_explaining.py RUN "A SENTENCE …" [--rounds 5] [--threads 2]

Each figure is the median of `rounds`, after one that is not counted: forced decoding of the run's own translation, the method,
and its matrices between words; without loading the run, searching the translation, and drawing. `all` is the sum of all
methods but integrated gradients.
"""

import argparse
import json
import statistics
import time

from nmt.decoding.explainer import Explainer
from nmt.decoding.translator import Translator
from nmt.explain.methods import methods_of
from nmt.machine import use_threads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("text")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    use_threads(arguments.threads)
    translator = Translator.load(arguments.run)
    explainer = Explainer(translator)
    (reference,) = translator.translate([arguments.text])
    seconds = {}
    for method in methods_of(translator.model):
        explainer.explain(arguments.text, [method], reference=reference)
        taken = []
        for _ in range(arguments.rounds):
            begun = time.perf_counter()
            explainer.explain(arguments.text, [method], reference=reference)
            taken.append(time.perf_counter() - begun)
        seconds[method] = round(statistics.median(taken), 3)
    seconds["all"] = round(sum(taken for name, taken in seconds.items() if name != "integrated_gradients"), 3)
    print(json.dumps({"words": [len(arguments.text.split()), len(reference.split())], "seconds": seconds}))


if __name__ == "__main__":
    main()
