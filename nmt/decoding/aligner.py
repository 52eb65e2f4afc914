"""Word alignments of sentence pairs, by what a model looked at under forced decoding."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

from torch import Tensor

from nmt.data.links import Gold, Link
from nmt.data.tokenizer import Side
from nmt.data.words import Words
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.alignment import counts_of, error_rate
from nmt.explain.alignment import AlignmentRule, links_of, of_words

THRESHOLDS = tuple(n / 20 for n in range(11))
"""Among which one is chosen: 0, 0.05 … 0.5."""


@dataclass(frozen=True)
class Looked:
    """What a pair looked like to a model: attention (H, T + 1, S + 1) of each layer, and the word of each piece.

    Attributes:
        layers: attention, ends of sentence last.
        src: the word of each source piece; `tgt` likewise.
        words: of source and target, how many there are.
        cut: whether a side was too long and its end was not read.
    """

    layers: list[Tensor]
    src: list[int]
    tgt: list[int]
    words: tuple[int, int]
    cut: bool

    def links(self, rule: AlignmentRule) -> list[Link]:
        """The links that a rule finds; none where a side is empty."""
        if not self.layers:
            return []
        weights = of_words(rule.weights(self.layers), self.src, self.tgt, self.words)
        return links_of(weights, threshold=rule.threshold, end=rule.end)


class _Read(NamedTuple):
    """The beginning of a sentence that a model can read: pieces, and the word of each."""

    ids: list[int]
    of_piece: list[int]
    cut: bool


class Aligner:
    """A translator that says which words of given pairs belong together.

    Args:
        translator: with one model, which has attention to the source.
        usual: how links are read off where nothing else is said; None: `AlignmentRule.usual`.

    Raises:
        UserError: if the model has no attention to the source.
    """

    def __init__(self, translator: Translator, usual: AlignmentRule | None = None) -> None:
        if not translator.model.cross_attention():
            raise UserError(
                "a word alignment needs attention to the source, which this model has not: take a run of bahdanau, luong, "
                "hybrid, transformer or decoder_only"
            )
        self.translator = translator
        self.usual = usual or AlignmentRule.usual(translator.model)

    def look(self, sources: Sequence[Words], targets: Sequence[Words]) -> list[Looked]:
        """Let the model read pairs."""
        translator = self.translator
        limit = translator.model.longest_target()
        src = [self._read(words, "src", translator.settings.max_source_length) for words in sources]
        tgt = [self._read(words, "tgt", None if limit is None else limit.pieces - 1) for words in targets]
        filled = [n for n in range(len(src)) if src[n].ids and tgt[n].ids]
        layers = translator.engine.layers([src[n].ids for n in filled], [tgt[n].ids for n in filled])
        found = dict(zip(filled, layers, strict=True))
        words = [(len(one), len(other)) for one, other in zip(sources, targets, strict=True)]
        return [
            Looked(found.get(n, []), one.of_piece, other.of_piece, words[n], one.cut or other.cut)
            for n, (one, other) in enumerate(zip(src, tgt, strict=True))
        ]

    def _read(self, words: Words, side: Side, most: int | None) -> "_Read":
        ids, of_piece = words.of_pieces(self.translator.tokenizer, side, most)
        return _Read(ids[:most], of_piece[:most], cut=most is not None and len(ids) > most)

    def align(self, sources: Sequence[Words], targets: Sequence[Words], rule: AlignmentRule | None = None) -> list[list[Link]]:
        """The links of pairs by a rule, or by the usual one."""
        return [looked.links(rule or self.usual) for looked in self.look(sources, targets)]

    def rules(self, looked: Sequence[Looked]) -> Iterable[AlignmentRule]:
        """Every layer by itself, and the mean of all, each with and without the shift."""
        layers = next((len(one.layers) for one in looked if one.layers), 0)
        places = [*range(1, layers + 1), *([None] if layers > 1 else [])]
        return [replace(self.usual, layer=layer, shift=shift) for layer, shift in product(places, (False, True))]


def choose_rule(looked: Sequence[Looked], gold: Sequence[Gold], rules: Iterable[AlignmentRule]) -> AlignmentRule:
    """The rule with the least alignment error rate, the first among equals."""

    def rate(rule: AlignmentRule) -> float:
        return error_rate([counts_of(one.links(rule), links) for one, links in zip(looked, gold, strict=True)])

    return min(rules, key=rate)
