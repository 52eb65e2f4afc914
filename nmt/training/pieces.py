"""What a run's pieces make of its text, said before it trains."""

import logging
from collections.abc import Mapping, Sequence

from nmt.data.counts import PieceCounts
from nmt.data.tokenizer import Side, Tokenizer

log = logging.getLogger("nmt")

MOST_WITHOUT_TEXT = 0.05
"""Share of bytes and unknown pieces above which pieces do not suit a text. Where they were learnt from it, at most half a
percent of its characters are bytes."""


def report_pieces(counts: Mapping[str, Mapping[Side, PieceCounts]], *, fixed: bool) -> None:
    """Log what pieces make of text, and warn where many are bytes or unknown.

    Args:
        counts: of each side of each split.
        fixed: whether the pieces are those of another run.
    """
    by_name = {f"{split}.{side}": own for split, sides in counts.items() for side, own in sides.items()}
    log.info(f"pieces: {'; '.join(f'{name} {own}' for name, own in by_name.items())}")
    unsuited = {name: own.share_without_text for name, own in by_name.items() if own.share_without_text > MOST_WITHOUT_TEXT}
    if unsuited:
        shares = ", ".join(f"{share:.0%} of {name}" for name, share in unsuited.items())
        advice = (
            "learn pieces from this text, with init_tokenizer=false"
            if fixed
            else "train on text like this, or raise tokenizer.vocab_size or tokenizer.character_coverage"
        )
        log.warning(f"the pieces do not suit the text: bytes or unknown pieces are {shares}: {advice}")


def report_round_trip(tokenizer: Tokenizer, references: Sequence[str]) -> None:
    """Warn of references that the pieces cannot say, so that no translation can equal them. Spaces do not count."""
    pieces = tokenizer.encode(references, "tgt")
    pairs = [(reference, tokenizer.decode(ids)) for reference, ids in zip(references, pieces, strict=True)]
    lost = [pair for pair in pairs if _letters(pair[0]) != _letters(pair[1])]
    if lost:
        reference, text = (text if len(text) <= 100 else f"{text[:100]} …" for text in lost[0])
        log.warning(
            f"{len(lost):,} of {len(references):,} dev references ({len(lost) / len(references):.1%}) do not come back from "
            f"their pieces, so no translation can equal them; the first is {reference!r}, which becomes {text!r}: "
            "see tokenizer.target_normalization and tokenizer.byte_fallback"
        )


def _letters(text: str) -> str:
    return "".join(text.split())
