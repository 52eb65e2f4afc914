"""From text to text: pieces, search or forced decoding, and words again, in the order of the sentences."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.checks import check_decode_settings
from nmt.config import DecodeSettings
from nmt.data.links import Link
from nmt.data.tokenizer import Tokenizer
from nmt.decoding.engine import Engine, Ids
from nmt.decoding.risk import least_risk, sentence_metric
from nmt.decoding.search import Hypothesis
from nmt.decoding.words import by_word, source_words, words_of
from nmt.errors import UserError
from nmt.explain.alignment import links_of
from nmt.explain.units import rows_of_words
from nmt.models.seq2seq import Seq2Seq
from nmt.tokenisation import Tokenisation
from nmt.vocabulary import BOS, EOS, PAD, UNK


@dataclass(frozen=True)
class Translation:
    """A translated sentence.

    Attributes:
        texts: the `decode.n_best` translations, best first, detokenised, never with a line break; none of an empty source.
        hypotheses: what the search knows of each.
        cut: whether the source was longer than `decode.max_source_length` pieces and was cut.
    """

    texts: list[str]
    hypotheses: list[Hypothesis]
    cut: bool

    @property
    def text(self) -> str:
        """The best one; empty of an empty source."""
        return self.texts[0] if self.texts else ""


@dataclass(frozen=True)
class Scored:
    """A given translation.

    Attributes:
        hypothesis: what the search would know of it.
        cut: whether a side was longer than `decode.max_source_length` or the model allows, and was cut.
    """

    hypothesis: Hypothesis
    cut: bool

    @property
    def log_probs(self) -> list[float]:
        """log p of each piece and, last, of EOS."""
        return self.hypothesis.log_probs

    @property
    def log_prob(self) -> float:
        """Their sum."""
        return self.hypothesis.log_prob


class Translator:
    """A model with its tokenizer that translates text.

    Args:
        model: trained.
        tokenizer: the one it was trained with.
        settings: how to search.
        device: where the model is.
        tokenisation: of BLEU, which is asked for where BLEU is the utility of `mbr`.

    Attributes:
        origin: run, checkpoint and weights of each model, where they were loaded from runs.

    Raises:
        UserError: if the settings ask for what the model has not, or let longer sentences come than it can take.
    """

    def __init__(
        self,
        model: Seq2Seq,
        tokenizer: Tokenizer,
        settings: DecodeSettings,
        device: torch.device,
        tokenisation: Callable[[], Tokenisation] = Tokenisation,
    ) -> None:
        self.engine = Engine(model, settings, device)
        self.model = model
        self.tokenizer = tokenizer
        self.settings = settings
        self.device = device
        self._tokenisation = tokenisation
        self._utility = sentence_metric(settings.utility, tokenisation) if settings.search == "mbr" else None
        self.origin: list[dict[str, str]] = []

    @classmethod
    def load(
        cls, run: str | Path | Sequence[str | Path], *, checkpoint: str = "best", weights: str = "auto", device: str = "auto"
    ) -> "Translator":
        """The translator of a run directory, searching as the run did in validation; of several, their ensemble.

        Raises:
            UserError: if a run or checkpoint is missing, damaged or not to be trusted, or the runs differ in their pieces.
        """
        from nmt.decoding.loading import load_translator

        runs = [run] if isinstance(run, str | Path) else run
        return load_translator([Path(one) for one in runs], checkpoint=checkpoint, weights=weights, device=device)

    def having(self, **settings: Any) -> "Translator":
        """The same with other settings, such as `beam=1`; raises `UserError` for those that cannot work."""
        changed = replace(self.settings, **settings)
        check_decode_settings(asdict(changed))
        return Translator(self.model, self.tokenizer, changed, self.device, self._tokenisation)

    def translate(self, sentences: Sequence[str]) -> list[str]:
        """The best translation of each sentence, in order."""
        return [translation.text for translation in self.search(sentences)]

    def search(self, sentences: Sequence[str], prefixes: Sequence[str] | None = None) -> list[Translation]:
        """The translations of sentences, in order, with scores; an empty sentence gives an empty one.

        Args:
            sentences: source text.
            prefixes: what each translation shall begin with.

        Raises:
            UserError: if there are not as many prefixes, or the model has no pieces for one.
        """
        sentences = listed("sentences", sentences)
        begun = self._prefixes(sentences, prefixes)
        sources, cut = self._sources(sentences)
        filled = [n for n, ids in enumerate(sources) if ids]
        found: list[list[Hypothesis]] = [[] for _ in sources]
        results = self.engine.search([sources[n] for n in filled], [begun[n] for n in filled])
        for n, hypotheses in zip(filled, results, strict=True):
            if self._utility is not None:
                hypotheses = least_risk(hypotheses, self.tokenizer, self._utility)
            found[n] = hypotheses[: self.settings.n_best]
        texts = self._texts(sentences, found)
        return [Translation(*translation) for translation in zip(texts, found, cut, strict=True)]

    def score(self, sentences: Sequence[str], targets: Sequence[str]) -> list[Scored]:
        """What the model thinks of given translations, in order, cut into pieces as in training."""
        return self.score_pieces(sentences, self.target_pieces(listed("targets", targets)))

    def target_pieces(self, targets: Sequence[str]) -> list[list[int]]:
        """The pieces of given translations; of one that is longer than the model allows at least one too many."""
        limit = self.model.longest_target()
        if limit is not None:
            targets = [self.tokenizer.beginning(target, "tgt", limit.pieces) for target in targets]
        return self.tokenizer.encode(targets, "tgt")

    def score_pieces(self, sentences: Sequence[str], targets: Sequence[Ids]) -> list[Scored]:
        """The same of given pieces, EOS not among them: of what a search found, what it reported.

        Raises:
            UserError: if there are not as many targets as sentences.
        """
        sources, targets, cut = self._pairs(sentences, targets)
        return [Scored(*scored) for scored in zip(self.engine.score(sources, targets), cut, strict=True)]

    def align(self, sentences: Sequence[str], targets: Sequence[Ids]) -> list[list[Link]]:
        """For each word of given translations the source word that it looked at most, as (source, target) counted from 0.

        By the mean of the model's layers and heads under forced decoding; no link where most goes to the end of the source.

        What is too long is cut, as in `score`.

        Raises:
            UserError: if the model has no attention to the source, or there are not as many targets as sentences.
        """
        if not self.model.cross_attention():
            raise UserError("a word alignment needs attention to the source, which this model has not")
        sources, targets, _ = self._pairs(sentences, targets)
        words = [words_of(self.tokenizer.pieces(target, "tgt")) for target in targets]
        looked_at = self._looked_at(sources, targets)
        return [links_of(rows_of_words(weights, tgt)) for weights, tgt in zip(looked_at, words, strict=True)]

    def _looked_at(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[Tensor]:
        """How much each piece of given translations looked at each source word and, last, at the end: (T, words + 1)."""
        words = [words_of(self.tokenizer.pieces(source, "src")) for source in sources]
        return [by_word(rows, of) for rows, of in zip(self.engine.attention(sources, targets), words, strict=True)]

    def _pairs(self, sentences: Sequence[str], targets: Sequence[Ids]) -> tuple[list[list[int]], list[Ids], list[bool]]:
        """The pieces of sentences and of their translations, and in which pairs one had to be cut."""
        sentences = listed("sentences", sentences)
        if len(sentences) != len(targets):
            raise UserError(f"there are {len(sentences):,} sources but {len(targets):,} translations")
        for number, target in enumerate(targets, start=1):
            if odd := [piece for piece in target if not 0 <= piece < self.tokenizer.tgt_size or piece in (PAD, BOS, EOS)]:
                raise UserError(
                    f"translation {number} holds {odd[0]}, which is no piece of text (there are {self.tokenizer.tgt_size:,})"
                )
        limit = self.model.longest_target()
        most = max(map(len, targets), default=0) if limit is None else limit.pieces - 1
        sources, cut = self._sources(sentences)
        too_long = [cut[n] or len(target) > most for n, target in enumerate(targets)]
        return sources, [target[:most] for target in targets], too_long

    def _sources(self, sentences: Sequence[str]) -> tuple[list[list[int]], list[bool]]:
        """The pieces of sentences, and which of them had to be cut."""
        return self.tokenizer.encode_cut(sentences, "src", self.settings.max_source_length)

    def _prefixes(self, sentences: Sequence[str], prefixes: Sequence[str] | None) -> list[list[int]]:
        if prefixes is None:
            return [[] for _ in sentences]
        prefixes = listed("prefixes", prefixes)
        if len(prefixes) != len(sentences):
            raise UserError(f"there are {len(sentences):,} sentences but {len(prefixes):,} prefixes")
        encoded = self.tokenizer.encode(prefixes, "tgt")
        for prefix, ids in zip(prefixes, encoded, strict=True):
            if UNK in ids:
                raise UserError(f"the prefix {prefix!r} has characters for which the run's tokenizer has no pieces")
            limit = self.model.longest_target()
            if limit is not None and len(ids) >= limit.pieces:
                raise UserError(
                    f"the prefix {prefix!r} has {len(ids)} pieces, but must have less than {limit.key}={limit.pieces}"
                )
        return encoded

    def _texts(self, sentences: Sequence[str], found: list[list[Hypothesis]]) -> list[list[str]]:
        """The text of all hypotheses, with words of the source for unknown pieces where that is wanted."""
        texts = [[self.tokenizer.decode(hypothesis.ids) for hypothesis in hypotheses] for hypotheses in found]
        if self.settings.replace_unknown:
            places = [(n, k) for n, hypotheses in enumerate(found) for k, h in enumerate(hypotheses) if UNK in h.ids]
            targets = [found[n][k].ids for n, k in places]
            looked_at = self._looked_at(self._sources([sentences[n] for n, _ in places])[0], targets)
            for (n, k), ids, weights in zip(places, targets, looked_at, strict=True):
                read = self.tokenizer.beginning(sentences[n], "src", self.settings.max_source_length)
                words = source_words(self.tokenizer.surfaces(read, "src"))
                unknown = [words[int(row.argmax())] for row, piece in zip(weights[:, :-1], ids, strict=True) if piece == UNK]
                texts[n][k] = self.tokenizer.decode(ids, unknown=unknown)
        return texts


def listed(name: str, texts: Iterable[str]) -> list[str]:
    """Texts as a list; raises `UserError` for a single one, which is not meant as its characters."""
    if isinstance(texts, str):
        raise UserError(f"{name} must be a list of texts, but there is one text: give [{texts[:40]!r}]")
    return list(texts)
