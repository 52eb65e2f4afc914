"""Explanations of a translation: from text to matrices between its words."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.decoding.engine import evaluating
from nmt.decoding.translator import Translator
from nmt.decoding.words import source_words, words_of
from nmt.errors import UserError
from nmt.explain.attribution import Attribution
from nmt.explain.maps import Pair, read
from nmt.explain.methods import method_named
from nmt.explain.norms import layer_norms
from nmt.explain.page import Map
from nmt.explain.units import merged
from nmt.models.seq2seq import Limit

UNITS = ("words", "pieces")


@dataclass(frozen=True)
class Side:
    """A sentence as it is shown.

    Attributes:
        ids: its pieces.
        of_piece: the unit, a word or a piece, that each piece belongs to, from 0.
        units: their text.
    """

    ids: list[int]
    of_piece: list[int]
    units: list[str]

    @property
    def then_end(self) -> list[int]:
        """The unit of each piece and of EOS, which is one of its own."""
        return [*self.of_piece, len(self.units)]

    @property
    def after_beginning(self) -> list[int]:
        """The unit of BOS, 0, and of each piece."""
        return [0, *(number + 1 for number in self.of_piece)]


@dataclass(frozen=True)
class Explanation:
    """What the methods say of a sentence and its translation: `maps` between `source` and `target`."""

    source: list[str]
    target: list[str]
    translation: str
    maps: list[Map]


class Explainer:
    """A translator that says what it looked at.

    Args:
        translator: of one run.
        units: `words`, which spaces separate, or `pieces`.

    Raises:
        UserError: if the units are unknown.
    """

    def __init__(self, translator: Translator, *, units: str = "words") -> None:
        if units not in UNITS:
            raise UserError(f"units must be {' or '.join(UNITS)}, but is {units!r}")
        self.translator = translator
        self.units = units

    def explain(self, text: str, methods: Sequence[str], *, reference: str | None = None) -> Explanation:
        """Explain the translation that the search finds, or a given one, under forced decoding.

        Raises:
            UserError: if there is no such method, or a sentence is empty or longer than the model allows.
        """
        translator, model = self.translator, self.translator.model
        known = {name: method_named(name, model) for name in methods}
        src = self.source(text)
        tgt = self.target(text, reference)
        pair = Pair.of(src.ids, tgt.ids, translator.device)
        maps: list[Map] = []
        with evaluating(model):
            for name, method in known.items():
                if name == "attention":
                    maps += self._attention(pair, src, tgt)
                elif name == "norms":
                    maps.append(_between(name, torch.stack(layer_norms(model, pair)).unsqueeze(1), src, tgt))
                else:
                    maps += _maps(name, method(model, pair).shares(), src, tgt)
        return Explanation(src.units, tgt.units, translator.tokenizer.decode(tgt.ids), maps)

    def source(self, text: str) -> Side:
        """The source sentence; raises `UserError` if it is empty or too long."""
        tokenizer = self.translator.tokenizer
        longest = Limit("decode.max_source_length", self.translator.settings.max_source_length)
        read = tokenizer.beginning(text, "src", longest.pieces)
        surfaces = tokenizer.surfaces(read, "src")
        if not surfaces:
            raise UserError("the sentence is empty: give it with text=…")
        if len(surfaces) > longest.pieces:
            more = "" if read == text else " more than"
            raise UserError(
                f"the sentence has{more} {len(surfaces)} pieces, but {longest.key} is {longest.pieces}: split it, or raise "
                f"{longest.key} where the model allows it"
            )
        pieces = [piece for piece, _ in surfaces]
        ids = tokenizer.encode([text], "src")[0]
        if self.units == "pieces":
            return Side(ids, list(range(len(ids))), pieces)
        return Side(ids, words_of(pieces), source_words(surfaces))

    def target(self, text: str, reference: str | None) -> Side:
        """The given translation, or the one that the search finds; raises `UserError` if it is empty or too long."""
        translator = self.translator
        if reference is None:
            ids = translator.search([text])[0].hypotheses[0].ids
        else:
            ids = translator.tokenizer.encode([reference], "tgt")[0]
            if not ids:
                raise UserError("the reference is empty: give a translation, or leave it out for the run's own")
            limit = translator.model.longest_target()
            if limit is not None and len(ids) >= limit.pieces:
                raise UserError(f"the reference has {len(ids)} pieces, but must have less than {limit.key}={limit.pieces}")
        pieces = translator.tokenizer.pieces(ids, "tgt")
        if self.units == "pieces":
            return Side(ids, list(range(len(ids))), pieces)
        of_piece = words_of(pieces)
        words = [
            translator.tokenizer.decode([n for n, word in zip(ids, of_piece, strict=True) if word == number])
            for number in range(max(of_piece, default=-1) + 1)
        ]
        return Side(ids, of_piece, words)

    @torch.inference_mode()
    def _attention(self, pair: Pair, src: Side, tgt: Side) -> list[Map]:
        """Every layer and head of attention to the source, to the prefix and within the source."""
        maps = read(self.translator.model, pair).maps
        S = pair.src.size(1)
        encoder = maps.encoder or [source for source, _ in maps.joint]
        decoder = maps.decoder or [target[..., S:] for _, target in maps.joint]
        found = [_between("attention", torch.stack(maps.cross), src, tgt)]
        if decoder:
            found.append(_to_prefix("attention", torch.stack(decoder), tgt))
        if encoder:
            size = (len(src.units) + 1, len(src.units) + 1)
            found.append(Map("attention", "encoder", merged(torch.stack(encoder), src.then_end, src.then_end, size)))
        return found


def _maps(name: str, attribution: Attribution, src: Side, tgt: Side) -> list[Map]:
    found = [_between(name, attribution.source[None, None], src, tgt)]
    if attribution.prefix is not None:
        found.append(_to_prefix(name, attribution.prefix[None, None], tgt))
    return found


def _between(name: str, weights: Tensor, src: Side, tgt: Side) -> Map:
    """Weights (L, H, T, S) of pieces as those of target units and EOS over source units and EOS."""
    return Map(name, "source", merged(weights, tgt.then_end, src.then_end, (len(tgt.units) + 1, len(src.units) + 1)))


def _to_prefix(name: str, weights: Tensor, tgt: Side) -> Map:
    """Weights (L, H, T, T) of pieces as those of target units and EOS over BOS and target units."""
    size = (len(tgt.units) + 1, len(tgt.units) + 1)
    return Map(name, "prefix", merged(weights, tgt.then_end, tgt.after_beginning, size))
