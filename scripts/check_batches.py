#!/usr/bin/env python3
"""Whether translations depend on their batch: a run translates a file in batches of 1 and of 64, and both are compared.

    scripts/check_batches.py RUN FILE [--checkpoint best] [--float64]

Prints one JSON line: sentences, those whose pieces differ, the largest difference of scores among the equal ones, and the
largest among the different ones (near-ties: two hypotheses whose scores lie closer than rounding).
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from nmt.data.files import read_lines
from nmt.decoding.translator import Translation
from nmt.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--checkpoint", default="best")
    parser.add_argument("--float64", action="store_true")
    options = parser.parse_args()
    if options.float64:
        torch.set_default_dtype(torch.float64)
    translator = Run.open(options.run).translator(checkpoint=options.checkpoint, device="cpu")
    if options.float64:
        translator.model.double()
    sentences = list(read_lines(options.file))
    results: list[list[Translation]] = []
    for size in (1, 64):
        translator.settings = replace(translator.settings, batch_size=size)
        results.append(translator.search(sentences))
    best = [[translation.hypotheses[0] for translation in result if translation.hypotheses] for result in results]
    pairs = list(zip(*best, strict=True))
    gaps = {True: 0.0, False: 0.0}
    for one, many in pairs:
        gaps[one.ids == many.ids] = max(gaps[one.ids == many.ids], abs(one.score - many.score))
    different = sum(one.ids != many.ids for one, many in pairs)
    print(
        json.dumps(
            {
                "run": str(options.run),
                "sentences": len(pairs),
                "different": different,
                "largest_score_difference": gaps[True],
                "largest_among_different": gaps[False],
            }
        )
    )


if __name__ == "__main__":
    main()
