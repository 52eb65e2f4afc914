"""Translations as JSON: everything that the search knows of them.

    {"source": text, "cut": whether it was too long,
     "translations": [{"text": …, "score": …, "log_prob": sum, "pieces": […], "log_probs": of each piece and of EOS,
                       "alignment": "0-0 1-2", source word - target word}, …]}

The alignment is left out for a model without attention.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nmt.data.tokenizer import Tokenizer
from nmt.decoding.search import Hypothesis
from nmt.decoding.translator import Translation, Translator
from nmt.errors import UserError
from nmt.vocabulary import BOS, EOS, PAD, UNK

Record = dict[str, Any]


def records(translator: Translator, sentences: Sequence[str], translations: Sequence[Translation]) -> list[Record]:
    """The records of translated sentences."""
    flat = [(n, k) for n, translation in enumerate(translations) for k in range(len(translation.texts))]
    alignments: dict[tuple[int, int], str] = {}
    if translator.model.cross_attention():
        targets = [translations[n].hypotheses[k].ids for n, k in flat]
        linked = translator.align([sentences[n] for n, _ in flat], targets)
        alignments = {place: " ".join(f"{src}-{tgt}" for src, tgt in links) for place, links in zip(flat, linked, strict=True)}
    found: list[Record] = []
    for n, (sentence, translation) in enumerate(zip(sentences, translations, strict=True)):
        listed = []
        for k, (text, hypothesis) in enumerate(zip(translation.texts, translation.hypotheses, strict=True)):
            record = {"text": text, **figures_of(hypothesis, translator.tokenizer)}
            listed.append(record | ({"alignment": alignments[n, k]} if (n, k) in alignments else {}))
        found.append({"source": sentence, "cut": translation.cut, "translations": listed})
    return found


def figures_of(hypothesis: Hypothesis, tokenizer: Tokenizer) -> Record:
    """Score, log-probabilities and pieces of a translation."""
    return {
        "score": hypothesis.score,
        "log_prob": hypothesis.log_prob,
        "pieces": tokenizer.pieces(hypothesis.ids, "tgt"),
        "log_probs": hypothesis.log_probs,
    }


def given(record: Any, tokenizer: Tokenizer, where: str) -> tuple[str, list[list[int]]]:
    """The source and the pieces of the translations of a record.

    Raises:
        UserError: if it is none, or holds strings that are no pieces; the message begins with `where`.
    """
    of_record = isinstance(record, Mapping) and isinstance(record.get("source"), str)
    if not of_record or not isinstance(record.get("translations"), list):
        raise UserError(f'{where} must be an object with "source" and "translations", as `nmt translate format=json` writes')
    if not _is_text(record["source"]):
        raise UserError(f'{where}: "source" holds half of a surrogate pair, which is no text')
    targets = []
    for translation in record["translations"]:
        pieces = translation.get("pieces") if isinstance(translation, Mapping) else None
        if not isinstance(pieces, list) or not all(isinstance(piece, str) for piece in pieces):
            raise UserError(f'{where}: every translation needs "pieces", a list of strings')
        ids = tokenizer.ids([piece if _is_text(piece) else "" for piece in pieces], "tgt")
        for piece, number in zip(pieces, ids, strict=True):
            if number in (PAD, BOS, EOS) or (number == UNK and piece != tokenizer.pieces([UNK], "tgt")[0]):
                raise UserError(f"{where}: {piece!r} is no piece of the run's vocabulary: was it written by another run?")
        targets.append(ids)
    return record["source"], targets


def _is_text(string: str) -> bool:
    """Whether it is without halves of surrogate pairs, which JSON can hold and UTF-8 cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in string)
