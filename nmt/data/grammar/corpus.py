"""The embedded corpus: English and German sentences from one grammar, with the words that translate each other."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nmt.data.corpus import SPLITS, Corpus, check_languages
from nmt.data.grammar import english, german
from nmt.data.grammar.features import Concept, Sentence, Token
from nmt.data.grammar.sampler import Sampler
from nmt.data.links import Gold
from nmt.data.words import AlignedPair, Words
from nmt.errors import UserError

LANGUAGES = (("en", "de"), ("de", "en"))
WORDS = range(3, 26)
MOST = {"train": 10_000_000, "dev": 1_000_000, "test": 1_000_000}
"""Pairs of a split, whose digests are kept in memory while it is made."""
TOKEN = re.compile(r"\w+(?:'\w+)*|[^\w\s]")


@dataclass(frozen=True)
class GrammarPair:
    """A sentence pair with its gold alignment.

    Tokens are words (with an inner apostrophe: `teacher's`) and punctuation marks, as `TOKEN` finds them in a sentence. A
    link (i, j), from 0, says that source token i and target token j express the same thing: an article and its article, `do`
    and the finite verb, `gets up` and both `steht` and `auf`, `to the` and `zum`, `not a` and `kein`. Only a comma that the
    other language does not write has no link.
    """

    src: str
    tgt: str
    src_tokens: tuple[str, ...]
    tgt_tokens: tuple[str, ...]
    links: tuple[tuple[int, int], ...]


class GrammarCorpus(Corpus):
    """As many distinct sentence pairs of the grammar as asked for, in three splits.

    The German sentence decides to which split a pair belongs, whatever the seed and the counts. An English sentence has
    just one German one, so that no sentence of dev or test, on either side, occurs in another split.

    Args:
        src: source language, `en` or `de`.
        tgt: target language, the other one.
        train_pairs: number of pairs in `train`; likewise `dev_pairs` and `test_pairs`.
        seed: which pairs are drawn.
        max_length: training pairs with more pieces on either side are dropped.

    Raises:
        UserError: for any other language, or a count below one or above `MOST`.
    """

    def __init__(
        self, *, src: str, tgt: str, train_pairs: int, dev_pairs: int, test_pairs: int, seed: int, max_length: int
    ) -> None:
        check_languages(src, tgt, max_length)
        if (src, tgt) not in LANGUAGES:
            raise UserError(
                f"data=grammar has English and German only, but data.src is {src} and data.tgt is {tgt}: "
                "use data.src=en data.tgt=de or data.src=de data.tgt=en, or another corpus such as data=text"
            )
        self.counts = dict(zip(SPLITS, (train_pairs, dev_pairs, test_pairs), strict=True))
        for split, count in self.counts.items():
            if count < 1:
                raise UserError(f"data.{split}_pairs must be at least 1, but is {count}: ask for one pair or more")
            if count > MOST[split]:
                raise UserError(f"data.{split}_pairs must be at most {MOST[split]:,}, but is {count:,}")
        self.src = src
        self.tgt = tgt
        self.seed = seed
        self.max_length = max_length

    def splits(self) -> tuple[str, ...]:
        """The names of the splits."""
        return SPLITS

    def pairs(self, split: str) -> Iterator[tuple[str, str]]:
        """The (source, target) sentences of a split, the same ones in the same order for the same settings."""
        for pair in self.examples(split):
            yield pair.src, pair.tgt

    def examples(self, split: str) -> Iterator[GrammarPair]:
        """The pairs of a split with their tokens and gold alignments."""
        sampler = Sampler(f"{self.seed}/{split}")
        seen: set[int] = set()
        while len(seen) < self.counts[split]:
            sentence = sampler.sentence()
            german_tokens = german.realise(sentence)
            digest = _digest(text(german_tokens))
            if _split(digest) != split or _words(german_tokens) not in WORDS:
                continue
            english_tokens = english.realise(sentence)
            key = _digest(text(english_tokens))
            if key in seen or _words(english_tokens) not in WORDS:
                continue
            seen.add(key)
            yield _pair(english_tokens, german_tokens) if self.src == "en" else _pair(german_tokens, english_tokens)

    def aligned(self, split: str) -> Iterator[AlignedPair]:
        """The pairs of a split with their links, all of them sure; punctuation marks are words of their own."""
        for pair in self.examples(split):
            links = frozenset(pair.links)
            sides = Words.of_tokens(pair.src, pair.src_tokens), Words.of_tokens(pair.tgt, pair.tgt_tokens)
            yield AlignedPair(*sides, Gold(links, links))

    def fingerprint(self, split: str) -> str:
        """A hash of the grammar's own source and of the settings that decide the split."""
        content = hashlib.sha256()
        for file in sorted(Path(__file__).parent.glob("*.py")):
            content.update(file.name.encode() + b"\n" + file.read_bytes())
        content.update(repr((self.src, self.tgt, split, self.counts[split], self.seed)).encode())
        return content.hexdigest()


def pair_of(sentence: Sentence) -> GrammarPair:
    """An abstract sentence in English and German, with the links between the two."""
    return _pair(english.realise(sentence), german.realise(sentence))


def text(tokens: list[Token]) -> str:
    """The sentence as people write it: no space before a punctuation mark."""
    return re.sub(r" (?=[,.?])", "", " ".join(word for word, _ in tokens))


def _pair(src: list[Token], tgt: list[Token]) -> GrammarPair:
    places: dict[Concept, list[int]] = {}
    for j, (_, concepts) in enumerate(tgt):
        for concept in concepts:
            places.setdefault(concept, []).append(j)
    links = {(i, j) for i, (_, concepts) in enumerate(src) for concept in concepts for j in places.get(concept, ())}
    return GrammarPair(
        src=text(src),
        tgt=text(tgt),
        src_tokens=tuple(word for word, _ in src),
        tgt_tokens=tuple(word for word, _ in tgt),
        links=tuple(sorted(links)),
    )


def _digest(sentence: str) -> int:
    return int.from_bytes(hashlib.blake2b(sentence.encode(), digest_size=8).digest(), "big")


def _split(digest: int) -> str:
    bucket = digest % 10
    return "test" if bucket == 0 else "dev" if bucket == 1 else "train"


def _words(tokens: list[Token]) -> int:
    return sum(word not in ",.?" for word, _ in tokens)
