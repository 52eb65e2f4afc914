"""Validation: dev loss, and dev scores by the very search and metrics that `nmt evaluate` uses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from nmt.data.batches import Batch, collate, plan
from nmt.data.store import IdStore
from nmt.data.tokenizer import SIDES
from nmt.data.words import AlignedPair
from nmt.decoding.aligner import Aligner
from nmt.decoding.engine import evaluating
from nmt.decoding.translator import Translator
from nmt.evaluation.alignment import score_alignment
from nmt.evaluation.metrics import Score, score
from nmt.explain.alignment import AlignmentRule
from nmt.explain.entropy import entropies
from nmt.explain.maps import Pair, read
from nmt.explain.plots import heat_map
from nmt.explain.record import cross_attention_map
from nmt.tokenisation import Tokenisation
from nmt.training import distributed
from nmt.training.precision import autocast
from nmt.vocabulary import EOS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = (0, 1)
"""Numbers of the dev sentences whose attention is drawn."""

MEASURED = 16
"""Dev sentences, from the first, whose attention is measured."""

LONGEST = 100
"""Pieces of them that are read."""

ALIGNED = 200
"""Dev pairs whose alignment error rate is measured, where they have gold links."""


@dataclass(frozen=True)
class Validation:
    """What one validation found: dev loss, scores, translations, and pictures and figures of attention, by name.

    The first of the scores is that of the leading metric.
    """

    loss: float
    scores: dict[str, Score]
    hypotheses: list[str]
    pictures: "dict[str, Figure]"
    looks: dict[str, float]

    @property
    def score(self) -> float:
        """By which the best validation is chosen."""
        return next(iter(self.scores.values())).score

    @property
    def signatures(self) -> dict[str, str]:
        """Everything that decides the scores."""
        return {name: found.signature for name, found in self.scores.items()}

    @property
    def perplexity(self) -> float:
        """exp of the dev loss, which is cut at 100."""
        return math.exp(min(self.loss, 100.0))

    def figures(self, prefix: str) -> dict[str, float]:
        """Everything that is a number, by name."""
        named = {"loss": self.loss, "perplexity": self.perplexity} | {name: s.score for name, s in self.scores.items()}
        return {prefix + name: value for name, value in named.items()}


def validate(
    translator: Translator,
    sources: Sequence[str],
    references: Sequence[str],
    loss: float,
    *,
    aligned: Sequence[AlignedPair] = (),
    rule: AlignmentRule | None = None,
    tokenisation: Tokenisation | None = None,
) -> Validation:
    """Translate and score the dev split, and draw what the model looked at in its first sentences.

    Args:
        translator: with the model in training.
        sources: of the dev split.
        references: their translations.
        loss: of the split.
        aligned: pairs with gold links, of which the alignment error rate is measured.
        rule: how links are read off attention; None: the usual one.
        tokenisation: of BLEU, and by it the leading metric; None is 13a.
    """
    translations = distributed.shared_out(translator.search, sources)
    hypotheses = [translation.text for translation in translations]
    pictures = {}
    for n in SHOWN:
        if n < len(sources) and translations[n].hypotheses:
            picture = attention_picture(translator, sources[n], translations[n].hypotheses[0].ids)
            if picture is not None:
                pictures[f"attention/dev_{n + 1}"] = picture
    looks = attention_entropies(translator, sources[:MEASURED], references[:MEASURED])
    if aligned and translator.model.cross_attention():
        found = Aligner(translator).align([pair.src for pair in aligned], [pair.tgt for pair in aligned], rule)
        looks["valid/alignment_error_rate"] = score_alignment(found, [pair.gold for pair in aligned], samples=1).error_rate
    words = tokenisation or Tokenisation()
    return Validation(loss, score(hypotheses, references, words.ordered(), words), hypotheses, pictures, looks)


def attention_entropies(translator: Translator, sources: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """The mean entropy of every head over sentence pairs under forced decoding, in nats, by the name of its curve."""
    tokenizer, model = translator.tokenizer, translator.model
    most = [min(LONGEST, longest) for longest in (translator.settings.max_source_length, translator.settings.max_length)]
    texts = zip((sources, references), SIDES, most, strict=True)
    src, tgt = (tokenizer.encode_cut(own, side, longest)[0] for own, side, longest in texts)
    with evaluating(model), torch.no_grad():
        pairs = [Pair.of(one, other, translator.device) for one, other in zip(src, tgt, strict=True)]
        return entropies([read(model, pair).maps for pair in pairs])


def attention_picture(translator: Translator, source: str, tgt: list[int]) -> "Figure | None":
    """A heat map of target pieces over source pieces; None for a model without attention."""
    tokenizer, model = translator.tokenizer, translator.model
    src = tokenizer.encode_cut([source], "src", translator.settings.max_source_length)[0][0]
    with evaluating(model):
        weights = cross_attention_map(model, src, tgt)
    if weights is None:
        return None
    return heat_map(weights, tokenizer.pieces([*src, EOS], "src"), tokenizer.pieces([*tgt, EOS], "tgt"))


@torch.no_grad()
def dev_loss(trained: nn.Module, batches: Sequence[Batch], precision: str, device: torch.device) -> float:
    """-log p per target token, in nats, without dropout or smoothing; every process computes a share of the batches."""
    share = list(batches[distributed.rank() :: distributed.size()])
    share += [Batch.nothing()] * (-(-len(batches) // distributed.size()) - len(share))
    total = torch.zeros((), device=device)
    with evaluating(trained):
        for batch in share:
            with autocast(precision, device):
                total += trained(batch.to(device))[1]
    return float(distributed.summed(total)) / sum(batch.tokens for batch in batches)


def dev_batches(store: IdStore, tokens: int) -> list[Batch]:
    """All pairs of a split in batches, always the same."""
    lengths = {side: store.lengths[side] + 1 for side in SIDES}
    budget = max(tokens, int(lengths["src"].max()), int(lengths["tgt"].max()))
    batches = plan(lengths["src"], lengths["tgt"], tokens=budget, seed=0, epoch=0)
    return [collate(*([store.ids(n, side) for n in numbers.tolist()] for side in SIDES)) for numbers in batches]
