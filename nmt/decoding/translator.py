"""From source sentences to translations: encode, sort by length, search in batches, decode, restore the order."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from nmt.config import DecodeSettings
from nmt.data.batches import collate, pad_with_eos
from nmt.data.tokenizer import Tokenizer
from nmt.decoding.search import Hypothesis, beam_search
from nmt.errors import UserError
from nmt.models.seq2seq import Seq2Seq


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """While it is open, the model is in evaluation mode; then in the mode that it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@dataclass(frozen=True)
class Translation:
    """A translated sentence.

    Attributes:
        text: detokenised, never with a line break.
        hypotheses: what the search found, best first; none for an empty source.
        cut: whether the source was longer than `decode.max_source_length` pieces and was cut.
    """

    text: str
    hypotheses: list[Hypothesis]
    cut: bool


@dataclass(frozen=True)
class Scored:
    """A target sentence under a model.

    Attributes:
        log_probs: natural log p of each target piece, given the source and the pieces before it, and of EOS last.
        cut: whether a side was longer than the model takes and was cut.
    """

    log_probs: list[float]
    cut: bool

    @property
    def log_prob(self) -> float:
        """Their sum."""
        return math.fsum(self.log_probs)


class Translator:
    """A model with its tokenizer that translates text.

    Args:
        model: trained.
        tokenizer: the one it was trained with.
        settings: how to search.
        device: where the model is.

    Raises:
        UserError: if the settings let longer sentences come than the model can take.
    """

    def __init__(self, model: Seq2Seq, tokenizer: Tokenizer, settings: DecodeSettings, device: torch.device) -> None:
        for key, most, limit in (
            ("max_source_length", settings.max_source_length, model.longest_source()),
            ("max_length", settings.max_length, model.longest_target()),
        ):
            if limit is not None and most >= limit.pieces:  # one is for the end of sentence
                raise UserError(
                    f"decode.{key} ({most}) must be less than {limit.pieces}, because the model was made with "
                    f"{limit.key}={limit.pieces}: lower decode.{key}"
                )
        self.model = model
        self.tokenizer = tokenizer
        self.settings = settings
        self.device = device

    @classmethod
    def load(cls, run: str | Path, *, checkpoint: str = "best", weights: str = "auto", device: str = "auto") -> "Translator":
        """The translator of a run directory, searching as the run did in validation.

        Raises:
            UserError: if the run or the checkpoint is missing, damaged or not to be trusted.
        """
        from nmt.run import Run

        return Run.open(Path(run)).translator(checkpoint=checkpoint, weights=weights, device=device)

    def translate(self, sentences: Sequence[str]) -> list[str]:
        """The best translation of each sentence, in order."""
        return [translation.text for translation in self.search(sentences)]

    def search(self, sentences: Sequence[str]) -> list[Translation]:
        """The translations of sentences, in order, with scores; an empty sentence gives an empty one."""
        limit = self.settings.max_source_length
        encoded = self.tokenizer.encode(sentences, "src")
        sources = [np.asarray(ids[:limit], np.int32) for ids in encoded]
        order = sorted((n for n in range(len(sources)) if len(sources[n])), key=lambda n: -len(sources[n]))
        found: list[list[Hypothesis]] = [[] for _ in sources]
        with evaluating(self.model):
            for start in range(0, len(order), self.settings.batch_size):
                numbers = order[start : start + self.settings.batch_size]
                for n, hypotheses in zip(numbers, self._search([sources[n] for n in numbers]), strict=True):
                    found[n] = hypotheses
        return [
            Translation(self.tokenizer.decode(hypotheses[0].ids) if hypotheses else "", hypotheses, len(ids) > limit)
            for hypotheses, ids in zip(found, encoded, strict=True)
        ]

    @torch.no_grad()
    def score(self, sources: Sequence[str], targets: Sequence[str]) -> list[Scored]:
        """The probabilities of target sentences given their sources, in order; an empty target has EOS alone."""
        most_src, longest = self.settings.max_source_length, self.model.longest_target()
        most_tgt = None if longest is None else longest.pieces - 1
        src, tgt = self.tokenizer.encode(sources, "src"), self.tokenizer.encode(targets, "tgt")
        order = sorted(range(len(src)), key=lambda n: (-len(tgt[n]), -len(src[n])))
        found: dict[int, Scored] = {}
        with evaluating(self.model):
            for start in range(0, len(order), self.settings.batch_size):
                numbers = order[start : start + self.settings.batch_size]
                batch = collate(
                    [np.asarray(src[n][:most_src], np.int32) for n in numbers],
                    [np.asarray(tgt[n][:most_tgt], np.int32) for n in numbers],
                ).to(self.device)
                features = self.model(batch.src, batch.tgt_in, batch.src_mask)  # (B, T, D)
                logits = self.model.project(features.flatten(0, 1)[batch.positions]).float()  # (N, V)
                each = logits.log_softmax(-1).gather(1, batch.targets[:, None])[:, 0].double().tolist()
                for n in numbers:
                    length = len(tgt[n][:most_tgt]) + 1
                    cut = len(src[n]) > most_src or (most_tgt is not None and len(tgt[n]) > most_tgt)
                    found[n], each = Scored(each[:length], cut), each[length:]
        return [found[n] for n in range(len(src))]

    def _search(self, sources: list[npt.NDArray[np.int32]]) -> list[list[Hypothesis]]:
        ids, lengths = pad_with_eos(sources)
        src = torch.from_numpy(ids).to(self.device)
        src_mask = (torch.arange(src.size(1)) < torch.from_numpy(lengths)[:, None]).to(self.device)
        settings = self.settings
        limits = torch.from_numpy(lengths) * settings.length_ratio + settings.length_offset
        return beam_search(
            self.model,
            src,
            src_mask,
            beam=settings.beam,
            length_penalty=settings.length_penalty,
            max_lengths=limits.long().clamp(max=settings.max_length).to(self.device),
        )
