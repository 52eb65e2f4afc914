"""Ways to choose the extensions of hypotheses: the best ones (beam search), or random ones (sampling).

Letters: B sentences, K live hypotheses of each, V vocabulary, W width, C candidates.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

CHUNK = 64
"""Neighbouring pieces of which only the best is looked at first."""


class Candidates(NamedTuple):
    """Extensions of hypotheses by one piece, (B, C) each.

    Attributes:
        totals: their log p.
        parents: the live hypothesis that each extends.
        ids: the piece.
    """

    totals: Tensor
    parents: Tensor
    ids: Tensor


class Chooser(ABC):
    """A way to choose.

    Attributes:
        width: W, most live and most finished hypotheses of a sentence.
    """

    def __init__(self, width: int) -> None:
        self.width = width

    @abstractmethod
    def choose(self, log_probs: Tensor, totals: Tensor, length: int) -> Candidates:
        """The candidates, of which the first W may end.

        Args:
            log_probs: log p of every piece, -inf where it is not allowed, (B, K, V).
            totals: log p of the live hypotheses, (B, K).
            length: of what ends now, EOS counted.
        """

    @abstractmethod
    def going_on(self, found: Candidates, ends: Tensor, live: int) -> Candidates:
        """The candidates that live on, given which of them end, (B, C), and K."""

    def of(self, rows: Tensor | slice) -> "Chooser":
        """The same for some of the sentences."""
        return self


class Beam(Chooser):
    """Beam search: of all K · V extensions of a sentence those of the best W that end, and the best W that do not.

    Width 1 is greedy search. Equal ones are ranked by hypothesis, then by piece.
    """

    def choose(self, log_probs: Tensor, totals: Tensor, length: int) -> Candidates:
        # Of 2W at most K end, since each hypothesis ends only once.
        return best(log_probs, totals, 2 * self.width)

    def going_on(self, found: Candidates, ends: Tensor, live: int) -> Candidates:
        count = min(self.width, ends.size(1) - live)
        first = ends.to(torch.int8).sort(dim=1, stable=True).indices[:, :count]
        return Candidates(*(x.gather(1, first) for x in found))


def best(log_probs: Tensor, totals: Tensor, count: int) -> Candidates:
    """The `count` best of log_probs (B, K, V) + totals (B, K), best first; among equals the first in (hypothesis, piece).

    The best C pieces lie in the C chunks of neighbours whose best pieces are best: so all pieces are read only once, for
    the maxima of the chunks, and the pieces of C chunks are sorted.
    """
    V = log_probs.size(2)
    chunks, whole = -(-V // CHUNK), V - V % CHUNK
    maxima = log_probs[..., :whole].unflatten(-1, (whole // CHUNK, CHUNK)).amax(-1)
    if whole < V:
        maxima = torch.cat([maxima, log_probs[..., whole:].amax(-1, keepdim=True)], dim=-1)
    chosen = _largest((maxima + totals.unsqueeze(2)).flatten(1), count)  # (B, C)
    chosen = chosen.sort(dim=1).values  # so that equal pieces stay in order
    parents, first = chosen // chunks, chosen % chunks * CHUNK
    ids = first.unsqueeze(2) + torch.arange(CHUNK, device=first.device)  # (B, C, CHUNK)
    index = parents.unsqueeze(2) * V + ids.clamp(max=V - 1)
    values = log_probs.flatten(1).gather(1, index.flatten(1)).view(index.shape) + totals.gather(1, parents).unsqueeze(2)
    values = values.masked_fill(ids >= V, -torch.inf).flatten(1)
    found = _largest(values, min(count, log_probs.size(1) * V))
    index = index.flatten(1).gather(1, found)
    return Candidates(values.gather(1, found), index // V, index % V)


def _largest(values: Tensor, count: int) -> Tensor:
    """Where the `count` largest of each row (B, N) are, the largest first, among equals the first; all if there are fewer."""
    top, index = values.topk(min(count + 1, values.size(1)), dim=1)
    equal = (top[:, 1:] == top[:, :-1]) & (top[:, 1:] > -torch.inf)
    if bool(equal.any()):  # of which topk takes any
        index = values.sort(dim=1, descending=True, stable=True).indices
    return index[:, :count]


class Sample(Chooser):
    """Ancestral sampling: W hypotheses, each extended by one piece drawn from p(y)^(1 / temperature), renormalised.

    A sentence has random numbers of its own, one for each sample and step: company, order and batch do not matter.

    Args:
        uniforms: random numbers in [0, 1), (B, W, most steps).
        temperature: below 1 likely pieces become likelier still, above 1 less so.
        top_k: only the k likeliest pieces are drawn from (Fan et al. 2018); None: all.
        top_p: only the fewest pieces that together have this probability (Holtzman et al. 2020); None: all.
    """

    def __init__(self, uniforms: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None):
        super().__init__(uniforms.size(1))
        self.uniforms = uniforms
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p

    def choose(self, log_probs: Tensor, totals: Tensor, length: int) -> Candidates:
        B, K, V = log_probs.shape
        parents = torch.arange(self.width, device=log_probs.device).clamp(max=K - 1).expand(B, -1)  # first, all have one
        probabilities = (log_probs.double() / self.temperature).softmax(-1)
        if self.top_k is not None or self.top_p is not None:
            ranked, order = probabilities.sort(dim=-1, descending=True, stable=True)
            keep = ranked.cumsum(-1) - ranked < (1.0 if self.top_p is None else self.top_p)
            keep &= torch.arange(V, device=log_probs.device) < (V if self.top_k is None else self.top_k)
            # back in the order of the pieces: by rank, rounding would decide which of two alike a number draws
            probabilities = probabilities * torch.zeros_like(keep).scatter(-1, order, keep)
        sums = probabilities.cumsum(-1).gather(1, parents.unsqueeze(2).expand(-1, -1, V))  # (B, W, V)
        drawn = self.uniforms[:, :, length - 1, None] * sums[..., -1:]
        ids = torch.searchsorted(sums, drawn, right=True).clamp(max=V - 1).squeeze(2)  # (B, W)
        chosen = log_probs.flatten(1).gather(1, parents * V + ids)
        return Candidates(totals.gather(1, parents) + chosen, parents, ids)

    def going_on(self, found: Candidates, ends: Tensor, live: int) -> Candidates:
        return found._replace(totals=found.totals.masked_fill(ends, -torch.inf))

    def of(self, rows: Tensor | slice) -> "Sample":
        return Sample(self.uniforms[rows], temperature=self.temperature, top_k=self.top_k, top_p=self.top_p)


def uniforms_of(sentences: Sequence[Sequence[int]], *, seed: int, samples: int, steps: int) -> Tensor:
    """Random numbers in [0, 1), (B, samples, steps): each depends on seed, sentence, sample and step, and on nothing else."""
    numbers = np.empty((len(sentences), samples, steps))
    for row, ids in enumerate(sentences):
        for sample in range(samples):
            digest = hashlib.sha256(repr((seed, sample, [int(i) for i in ids])).encode()).digest()
            numbers[row, sample] = np.random.Generator(np.random.Philox(int.from_bytes(digest[:16]))).random(steps)
    return torch.from_numpy(numbers)
