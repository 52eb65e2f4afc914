#!/usr/bin/env python3
"""Whether a translation depends on anything but its sentence: a run translates a file in several ways that must give the same.

    scripts/check_search.py RUN FILE [--beam 5] [--checkpoint best] [--float64] [--uncached 100]

One JSON line for each way, compared with batches of 64 sentences of like length: sentences whose best pieces differ, the
largest difference of scores among the equal ones, and the largest among the different ones (near-ties: two hypotheses whose
scores lie closer than rounding).

one at a time     batches of 1
as they come      batches of 64 in the order of the file, of unlike lengths
more padding      nine more columns of padding
without cache     every step from the whole prefix, by the model's `forward`; the first `--uncached` sentences

The last line counts lists of hypotheses that are not sorted or not distinct, and gives the largest difference between
the score of a hypothesis and that of the same pieces by forced decoding.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.data.files import read_lines
from nmt.decoding.search import Hypothesis
from nmt.decoding.translator import Translator
from nmt.decoding.wrapped import Wrapped
from nmt.models.seq2seq import Memory, Seq2Seq, State
from nmt.vocabulary import PAD

Found = list[list[Hypothesis]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--checkpoint", default="best")
    parser.add_argument("--float64", action="store_true")
    parser.add_argument("--uncached", type=int, default=100)
    options = parser.parse_args()
    if options.float64:
        torch.set_default_dtype(torch.float64)
    translator = Translator.load(options.run, checkpoint=options.checkpoint, device="cpu")
    translator = translator.having(beam=options.beam, n_best=options.beam)
    if options.float64:
        translator.model.double()
    sentences = [sentence for sentence in read_lines(options.file) if sentence.strip()]
    expected = found_by(translator, sentences)
    shared = {"run": str(options.run), "float": "64" if options.float64 else "32", "beam": options.beam}

    def report(way: str, found: Found) -> None:
        print(json.dumps(shared | {"way": way, **compared(expected, found)}), flush=True)

    report("one at a time", found_by(translator.having(batch_size=1), sentences))
    report("as they come", in_chunks(translator, sentences))
    report("more padding", found_by(altered(translator, Padded), sentences))
    report("without cache", found_by(altered(translator, Uncached), sentences[: options.uncached]))
    print(json.dumps(shared | properties(translator, sentences, expected)))


def found_by(translator: Translator, sentences: Sequence[str]) -> Found:
    return [translation.hypotheses for translation in translator.search(sentences)]


def in_chunks(translator: Translator, sentences: Sequence[str]) -> Found:
    size = translator.settings.batch_size
    return [one for n in range(0, len(sentences), size) for one in found_by(translator, sentences[n : n + size])]


def compared(expected: Found, found: Found) -> dict[str, Any]:
    gaps = {True: 0.0, False: 0.0}
    different = 0
    for one, other in zip(expected, found, strict=False):
        same = one[0].ids == other[0].ids
        different += not same
        gaps[same] = max(gaps[same], abs(one[0].score - other[0].score))
    return {
        "sentences": len(found),
        "different": different,
        "largest_score_difference": gaps[True],
        "largest_among_different": gaps[False],
    }


def properties(translator: Translator, sentences: Sequence[str], found: Found) -> dict[str, Any]:
    unsorted = sum([h.score for h in row] != sorted((h.score for h in row), reverse=True) for row in found)
    repeated = sum(len({tuple(h.ids) for h in row}) < len(row) for row in found)
    flat = [(sentence, h) for sentence, row in zip(sentences, found, strict=True) for h in row]
    scored = translator.score_pieces([sentence for sentence, _ in flat], [h.ids for _, h in flat])
    gap = max(abs(one.hypothesis.score - h.score) for one, (_, h) in zip(scored, flat, strict=True))
    return {"hypotheses": len(flat), "lists_unsorted": unsorted, "lists_repeating": repeated, "forced_score_difference": gap}


def altered(translator: Translator, wrapper: Callable[[Seq2Seq], Seq2Seq]) -> Translator:
    return Translator(wrapper(translator.model).eval(), translator.tokenizer, translator.settings, translator.device)


class Padded(Wrapped):
    """With sources that are padded more than they need."""

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        pad = torch.nn.functional.pad
        return self.model.encode(pad(src, (0, 9), value=PAD), pad(src_mask, (0, 9)))


class Uncached(Wrapped):
    """With no state but the pieces so far."""

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        return {"src": src, "mask": src_mask}

    def start(self, memory: Memory) -> State:
        return {"prefix": memory["src"].new_empty(len(memory["src"]), 1, 0)}

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        prefix = torch.cat([state["prefix"], tokens.unsqueeze(2)], dim=2)  # (B, K, t)
        K = tokens.size(1)
        src, mask = memory["src"].repeat_interleave(K, 0), memory["mask"].repeat_interleave(K, 0)
        features = self.model(src, prefix.flatten(0, 1), mask)[:, -1]
        return features.unflatten(0, tokens.shape), {"prefix": prefix}


if __name__ == "__main__":
    main()
