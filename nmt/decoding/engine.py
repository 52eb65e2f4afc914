"""Pieces in, pieces out: search, forced decoding and attention of many sentences, in batches of like length."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from nmt.config import DecodeSettings
from nmt.data.batches import pad_with_eos
from nmt.decoding.choosing import Beam, Chooser, Sample, uniforms_of
from nmt.decoding.coverage import Covering
from nmt.decoding.forced import forced
from nmt.decoding.limits import Limits
from nmt.decoding.scoring import Scoring
from nmt.decoding.search import Hypothesis, search
from nmt.decoding.stopping import stop_of
from nmt.decoding.workers import in_batches
from nmt.errors import UserError
from nmt.explain.record import source_layers
from nmt.models.seq2seq import Seq2Seq

Ids = Sequence[int]
"""Pieces of a sentence, EOS not among them."""

Result = TypeVar("Result")


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """While it is open, the model is in evaluation mode; then in the mode that it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


class Engine:
    """A model and how to search with it.

    Args:
        model: trained.
        settings: how to search.
        device: where the model is.

    Raises:
        UserError: if the settings ask for what the model has not, or let longer sentences come than it can take.
    """

    def __init__(self, model: Seq2Seq, settings: DecodeSettings, device: torch.device) -> None:
        for key, most, limit in (
            ("max_source_length", settings.max_source_length, model.longest_source()),
            ("max_length", settings.max_length, model.longest_target()),
        ):
            if limit is not None and most >= limit.pieces:  # one is for the end of sentence
                raise UserError(
                    f"decode.{key} ({most}) must be less than {limit.pieces}, because the model was made with "
                    f"{limit.key}={limit.pieces}: lower decode.{key}"
                )
        for name in ("coverage_penalty", "replace_unknown"):
            if getattr(settings, name) and not model.cross_attention():
                raise UserError(
                    f"decode.{name} needs attention to the source, which this model has not: leave it out, or take another run"
                )
        self.model = model
        self.settings = settings
        self.device = device
        self.scoring = Scoring(settings.length_rule, settings.length_penalty, settings.coverage_penalty)

    def search(self, sources: Sequence[Ids], prefixes: Sequence[Ids]) -> list[list[Hypothesis]]:
        """What the search finds for each sentence, best first: all samples, or the n best of a beam.

        Args:
            sources: none empty.
            prefixes: what the translations begin with.
        """
        return self._in_batches(
            lambda batch: self._search([sources[n] for n in batch], [prefixes[n] for n in batch]), list(map(len, sources))
        )

    def score(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[Hypothesis]:
        """Given translations as the search would report them."""

        def work(batch: list[int]) -> list[Hypothesis]:
            return forced(
                self.model, *self._padded([sources[n] for n in batch]), [targets[n] for n in batch], scoring=self.scoring
            )

        return self._in_batches(work, _both(sources, targets))

    def attention(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[Tensor]:
        """What each piece of given translations looked at, (T, S + 1) of T and S pieces, that to EOS last.

        The mean of the model's layers and heads, of which there must be some, under forced decoding.
        """
        found = self.layers(sources, targets)
        return [torch.stack([layer.mean(0) for layer in layers]).mean(0)[:-1] for layers in found]

    def layers(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[list[Tensor]]:
        """The same of every layer and head, and of EOS as a target, too: (H, T + 1, S + 1) for each layer."""

        def work(batch: list[int]) -> list[list[Tensor]]:
            src, mask = self._padded([sources[n] for n in batch])
            layers = source_layers(self.model, src, mask, [targets[n] for n in batch])
            sizes = [(len(targets[n]) + 1, len(sources[n]) + 1) for n in batch]
            return [[layer[row, :, :T, :S].clone() for layer in layers] for row, (T, S) in enumerate(sizes)]

        return self._in_batches(work, _both(sources, targets))

    def _in_batches(self, work: Callable[[list[int]], Sequence[Result]], lengths: list[int]) -> list[Result]:
        with evaluating(self.model):
            return in_batches(work, lengths, size=self.settings.batch_size, device=self.device)

    def _padded(self, sources: Sequence[Ids]) -> tuple[Tensor, Tensor]:
        """Ids with EOS (B, S), and which are real (B, S)."""
        ids, lengths = pad_with_eos([np.asarray(source, np.int32) for source in sources])
        src = torch.from_numpy(ids).to(self.device)
        return src, (torch.arange(src.size(1)) < torch.from_numpy(lengths)[:, None]).to(self.device)

    def _search(self, sources: list[Ids], prefixes: list[Ids]) -> list[list[Hypothesis]]:
        settings = self.settings
        src, mask = self._padded(sources)
        most = mask.sum(1) * settings.length_ratio + settings.length_offset
        longest = most.long().clamp(max=settings.max_length).clamp(min=settings.min_length)
        limits = Limits.make(longest, shortest=settings.min_length, prefixes=prefixes)
        sampled = settings.search != "beam"
        return search(
            Covering(self.model) if settings.coverage_penalty else self.model,
            src,
            mask,
            chooser=self._samples(sources, limits) if sampled else Beam(settings.beam),
            scoring=self.scoring,
            limits=limits,
            stop=stop_of(settings, self.scoring),
            n_best=None if sampled else settings.n_best,
        )

    def _samples(self, sources: list[Ids], limits: Limits) -> Chooser:
        settings = self.settings
        top_p = settings.top_p if settings.top_p < 1 else None
        samples = settings.samples if settings.search == "mbr" else settings.n_best
        steps = int(limits.longest.max()) + 1
        uniforms = uniforms_of(sources, seed=settings.seed, samples=samples, steps=steps).to(self.device)
        return Sample(uniforms, temperature=settings.temperature, top_k=settings.top_k or None, top_p=top_p)


def _both(sources: Sequence[Ids], targets: Sequence[Ids]) -> list[int]:
    return [len(src) + len(tgt) for src, tgt in zip(sources, targets, strict=True)]
