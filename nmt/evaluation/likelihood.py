"""Loss and perplexity of references under a model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nmt.decoding.translator import Scored

LARGEST = 100.0
"""Nats that a perplexity is cut at, as in validation."""


@dataclass(frozen=True)
class Likelihood:
    """-log p of references given their sources, without label smoothing.

    The sum is the same whatever it is divided by. Per token is what training minimises and validation reports; it tells models
    apart only where they share a tokenizer. Per word compares models with different tokenizers: it divides by the words
    between spaces and one end of each sentence, as SRILM's `ppl` does (Stolcke 2002).

    Attributes:
        nats: -Σ ln p over all pieces and ends of sentences.
        tokens: pieces, and one EOS of each sentence.
        words: words between spaces, and one end of each sentence.
        sentences: that were counted.
        left_out: pairs that were not: a source is longer than `decode.max_source_length`, or a reference than the model takes.
    """

    nats: float
    tokens: int
    words: int
    sentences: int
    left_out: int

    @property
    def per_token(self) -> float:
        """Nats."""
        return self.nats / self.tokens

    @property
    def per_word(self) -> float:
        """Nats."""
        return self.nats / self.words

    def as_json(self) -> dict[str, float]:
        """What `scores.json` holds of it."""
        return {
            "per_token": self.per_token,
            "per_word": self.per_word,
            "perplexity_per_token": perplexity(self.per_token),
            "perplexity_per_word": perplexity(self.per_word),
            "nats": self.nats,
            "tokens": self.tokens,
            "words": self.words,
            "sentences": self.sentences,
            "left_out": self.left_out,
        }


def perplexity(nats: float) -> float:
    """exp of a loss, which is cut at `LARGEST`."""
    return math.exp(min(nats, LARGEST))


def likelihood(scored: Sequence[Scored], references: Sequence[str]) -> Likelihood | None:
    """The likelihood of references that a model has scored; None if all were cut."""
    whole = [(one, line) for one, line in zip(scored, references, strict=True) if not one.cut]
    if not whole:
        return None
    return Likelihood(
        nats=-math.fsum(one.log_prob for one, _ in whole),
        tokens=sum(len(one.log_probs) for one, _ in whole),
        words=sum(len(line.split()) + 1 for _, line in whole),
        sentences=len(whole),
        left_out=len(scored) - len(whole),
    )
