"""Learning pieces from text with SentencePiece."""

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import sentencepiece

from nmt.config import TokenizerSettings
from nmt.data.visible import is_visible
from nmt.errors import UserError
from nmt.vocabulary import BOS, EOS, PAD, UNK

TRAINER_THREADS = 4
"""SentencePiece's result depends on the number of its threads: the same everywhere gives the same pieces everywhere."""

LONGEST_LINE = 4192
"""Bytes; SentencePiece does not learn from longer lines."""

RARE = 20
"""A character that occurs fewer times than this has no piece of its own but is bytes, so that bytes occur in training …"""

FEWEST_OUTSIDE, LESS_RARE = 0.0005, 200
"""… and while those are less than this share of all characters, so has one that occurs fewer times than this …"""

MOST_OUTSIDE = 0.005
"""… but never are more than this share of all characters bytes."""

_RESERVED = re.compile("[\0\u2581\u2585]")  # which SentencePiece cannot learn: it skips their lines, or takes one for a space


def learn(texts: Mapping[str, Iterable[str]], settings: TokenizerSettings) -> dict[str, bytes]:
    """The SentencePiece model of each side with its own normalisation. The same text gives the same models, byte for byte.

    Args:
        texts: the lines of `src` and `tgt`.
        settings: what to learn; with a joint vocabulary both models have the same pieces.

    Raises:
        UserError: if there is no text, or `tokenizer.vocab_size` is too small or too large for it.
    """
    rules = {"src": settings.normalization, "tgt": settings.target_normalization}
    lines = {side: list(_lines(texts[side], rules[side])) for side in rules}
    for side, own in lines.items():
        if not own:
            raise UserError(f"train.{side} has no text to learn pieces from")
    if settings.joint:
        models = dict.fromkeys(rules, _train([line for own in lines.values() for line in own], settings))
    else:
        models = {side: _train(own, settings) for side, own in lines.items()}
    return {side: _normalizing(model, rules[side]) for side, model in models.items()}


def parts_of(text: str, most: int) -> Iterator[str]:
    """A text in parts of at most so many UTF-8 bytes, cut at spaces, or between characters in what is longer without one."""
    data = text.encode()
    start = 0
    while start < len(data):
        if data[start] == ord(" "):
            start += 1
            continue
        end = start + most
        if end < len(data):
            space = data.rfind(b" ", start, end + 1)
            if space > start:
                end = space
            while data[end] & 0xC0 == 0x80:  # within a character
                end -= 1
        if part := " ".join(filter(None, data[start:end].decode().split(" "))):
            yield part
        start = end


def coverage_of(lines: Iterable[str]) -> float:
    """The share of characters that shall have pieces (SentencePiece's `character_coverage`), of lines with single spaces.

    ASCII is never outside: its characters are single bytes, which teach nothing about others.
    """
    counts: Counter[str] = Counter()
    total = 0  # with a ▁ before every word, as SentencePiece counts
    for line in lines:
        counts.update(line)
        total += len(line) + 1
    del counts[" "]
    characters = sum(counts.values())
    outside = tail = below = 0  # occurrences; SentencePiece's coverage counts ASCII among them
    least = total - characters  # of the characters that are not outside
    for character, count in sorted(counts.items(), key=lambda item: (item[1], -ord(item[0]))):
        if tail == below:
            least = count
        if not character.isascii():
            is_rare = count < RARE or (count < LESS_RARE and outside < FEWEST_OUTSIDE * characters)
            if not is_rare or outside + count > MOST_OUTSIDE * characters:
                break
            outside += count
            below = tail + count
            least = total - characters
        tail += count
    return (total - below - least / 2) / total if outside else 1.0  # half: the next is inside, however this is rounded


def _lines(texts: Iterable[str], rule: str) -> Iterator[str]:
    """What SentencePiece learns from: normalised, without what it cannot take, in lines that are short enough, none blank."""
    normalizer = sentencepiece.SentencePieceNormalizer(
        rule_name=rule, add_dummy_prefix=False, escape_whitespaces=False, remove_extra_whitespaces=False
    )
    for text in texts:
        if is_visible(text):
            for part in parts_of(text, LONGEST_LINE):  # first, so that little is normalised at a time; it may grow
                yield from parts_of(_RESERVED.sub(" ", normalizer.normalize(part)), LONGEST_LINE)


def _train(lines: Sequence[str], settings: TokenizerSettings) -> bytes:
    coverage = settings.character_coverage
    if coverage is None:
        coverage = coverage_of(lines) if settings.byte_fallback else 1.0
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type=settings.type,
            vocab_size=settings.vocab_size,
            byte_fallback=settings.byte_fallback,
            normalization_rule_name="identity",
            character_coverage=coverage,
            required_chars="" if coverage == 1 else _ascii(lines),
            max_sentence_length=LONGEST_LINE,
            num_threads=TRAINER_THREADS,
            pad_id=PAD,
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UserError(_explain(str(error), settings.vocab_size)) from error
    return model.getvalue()


def _ascii(lines: Iterable[str]) -> str:
    """The ASCII characters that occur, but the space."""
    found: set[str] = set()
    for line in lines:
        found.update(line)
    return "".join(sorted(character for character in found if character.isascii() and character != " "))


def _normalizing(model: bytes, rule: str) -> bytes:
    """A copy of a model with another normalisation rule: of two concatenated protocol buffers the second one's fields count."""
    normalizer = sentencepiece.SentencePieceNormalizer(
        rule_name=rule, add_dummy_prefix=True, escape_whitespaces=True, remove_extra_whitespaces=True
    )
    both = model + normalizer.serialized_model_proto()
    return bytes(sentencepiece.SentencePieceProcessor(model_proto=both).serialized_model_proto())


def _explain(message: str, size: int) -> str:
    if found := re.search(r"set it to a value <= (\d+)", message):
        return (
            f"tokenizer.vocab_size ({size}) is more than this corpus supports: "
            f"set tokenizer.vocab_size={found[1]} or less, or train on more text"
        )
    if found := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return f"tokenizer.vocab_size ({size}) is less than the characters of this corpus need: set at least {found[1]}"
    return f"tokenizer.vocab_size ({size}): SentencePiece cannot train on this corpus: {message}"
