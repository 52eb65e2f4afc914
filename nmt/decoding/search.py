"""The search over the contract of `models/seq2seq.py`: one loop for every model and every way to choose.

Letters: B sentences still searched, K live hypotheses and C candidates of each, V vocabulary, S source length, t pieces so far.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from nmt.decoding.choosing import Candidates, Chooser
from nmt.decoding.limits import Limits
from nmt.decoding.scoring import Scoring
from nmt.decoding.stopping import Standing, Stop
from nmt.errors import UserError
from nmt.models.seq2seq import Seq2Seq, State
from nmt.vocabulary import BOS, EOS, PAD

NOT_FINITE = "the model gives no finite probabilities: its weights are damaged, or its training diverged"


AT_ONCE_ON_CPU, AT_ONCE_ON_GPU = 320, 4096
"""Hypotheses whose log p of every piece are in memory together."""


@dataclass(frozen=True)
class Hypothesis:
    """A finished translation.

    Attributes:
        ids: target pieces, without EOS.
        log_probs: log p of each piece and, last, of EOS.
        log_prob: their sum.
        score: what the search ranks by (`scoring.py`); of minimum Bayes risk, the expected utility.
    """

    ids: list[int]
    log_probs: list[float]
    log_prob: float
    score: float


@torch.inference_mode()
def search(
    model: Seq2Seq,
    src: Tensor,
    src_mask: Tensor,
    *,
    chooser: Chooser,
    scoring: Scoring,
    limits: Limits,
    stop: Stop,
    n_best: int | None = None,
) -> list[list[Hypothesis]]:
    """The translations of each sentence, best first, at most as many as the chooser is wide.

    Every step extends the live hypotheses; of the candidates that the chooser takes, those that end are finished and the
    others live on. A sentence is done, and leaves the batch, when the rule `stop` says so, or at its maximum length, where
    every hypothesis must end.

    Args:
        model: in evaluation mode.
        src: ids with EOS and padding, (B, S).
        src_mask: (B, S).
        chooser: which extensions are taken.
        scoring: what finished hypotheses are ranked by.
        limits: lengths and prefixes that translations must keep to.
        stop: when a sentence is done.
        n_best: translations that are asked for; None: as many as the chooser is wide.

    Raises:
        UserError: if the model gives no finite probabilities.
    """
    memory = model.encode(src, src_mask)
    state = model.start(memory)
    live, finished = _Live.start(src), _Finished.start(src, chooser.width)
    wanted = chooser.width if n_best is None else min(n_best, chooser.width)
    numbers = list(range(len(src)))  # of the sentences still searched
    results: list[list[Hypothesis]] = [[] for _ in numbers]
    for length in count(1):  # of the translations that end now, EOS counted
        features, state = model.step(live.ids[:, :, -1], state, memory)
        found = _chosen(model, features, live.totals, length, chooser, limits)
        ends = found.ids == EOS
        finished.add(live, found, ends, scoring.scores(found.totals, length, found.parents, state, memory))
        going = chooser.going_on(found, ends, live.totals.size(1))
        best_live = going.totals.amax(1)
        standing = Standing(finished.scores, finished.counts, best_live, length, limits.longest, wanted)
        done = stop.done(standing) | (best_live == -torch.inf) | (limits.longest < length)

        is_done = done.tolist()
        for row in (row for row, gone in enumerate(is_done) if gone):
            results[numbers[row]] = list(finished.hypotheses(row))
        if all(is_done):
            break
        live = live.extend(going)
        rows = torch.tensor([row for row, gone in enumerate(is_done) if not gone], device=src.device)
        if len(rows) < len(numbers):
            numbers = [numbers[row] for row in rows.tolist()]
            live, finished, limits, chooser = live.of(rows), finished.of(rows), limits.of(rows), chooser.of(rows)
            memory = {name: x[rows] for name, x in memory.items()}
        state = _reordered(state, rows, going.parents[rows])
    if not all(results):
        raise UserError(NOT_FINITE)
    return results


def _chosen(model: Seq2Seq, features: Tensor, totals: Tensor, length: int, chooser: Chooser, limits: Limits) -> Candidates:
    """The candidates of all sentences, given features (B, K, D) and log p (B, K) of their hypotheses.

    Some sentences at a time: log p of every piece, (…, K, V), is by far the largest tensor of a step, and so it takes no more
    memory the wider the beam is.
    """
    at_once = AT_ONCE_ON_CPU if features.device.type == "cpu" else AT_ONCE_ON_GPU
    size = max(1, at_once // features.size(1))
    found = []
    for start in range(0, len(features), size):
        some = slice(start, start + size)
        logits = model.project(features[some])
        log_probs = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=-1)
        found.append(chooser.of(some).choose(limits.of(some).apply(log_probs, length), totals[some], length))
    return Candidates(*map(torch.cat, zip(*found, strict=True)))


def _reordered(state: State, rows: Tensor, parents: Tensor) -> State:
    """The state of the hypotheses `parents` (B', K') of the sentences `rows` (B',)."""

    def reordered(x: Tensor) -> Tensor:  # x[rows, parents], by the function that copies memory fastest
        index = rows.unsqueeze(1) * x.size(1) + parents
        chosen: Tensor = x.flatten(0, 1).index_select(0, index.flatten()).unflatten(0, index.shape)
        return chosen

    return {name: reordered(x) for name, x in state.items()}


@dataclass(frozen=True)
class _Live:
    """Hypotheses that go on.

    `ids` (B, K, 1 + t) begin with BOS, `log_probs` (B, K, 1 + t) are those of each piece, `totals` (B, K) their sums.
    """

    ids: Tensor
    log_probs: Tensor
    totals: Tensor

    @classmethod
    def start(cls, src: Tensor) -> "_Live":
        ids = torch.full((src.size(0), 1, 1), BOS, device=src.device)
        zeros = torch.zeros(ids.shape, device=src.device)
        return cls(ids, zeros, zeros.squeeze(2))

    def extend(self, found: Candidates) -> "_Live":
        """Candidates (B, C) as hypotheses."""
        past = found.parents.unsqueeze(2).expand(-1, -1, self.ids.size(2))
        ids = torch.cat([self.ids.gather(1, past), found.ids.unsqueeze(2)], dim=2)
        last = found.totals - self.totals.gather(1, found.parents)
        return _Live(ids, torch.cat([self.log_probs.gather(1, past), last.unsqueeze(2)], dim=2), found.totals)

    def of(self, rows: Tensor) -> "_Live":
        return _Live(self.ids[rows], self.log_probs[rows], self.totals[rows])


@dataclass
class _Finished:
    """The W best finished hypotheses of each sentence so far.

    `ids` (B, W, 1 + t) begin with BOS and end with EOS and padding, `log_probs` likewise; `scores` and `totals` (B, W) are
    -inf where there is none yet; `counts` (B,) says how many have finished in all.
    """

    ids: Tensor
    log_probs: Tensor
    scores: Tensor
    totals: Tensor
    counts: Tensor

    @classmethod
    def start(cls, src: Tensor, width: int) -> "_Finished":
        nothing = torch.full((src.size(0), width), -torch.inf, device=src.device)
        ids = torch.full((*nothing.shape, 1), BOS, device=src.device)
        return cls(ids, torch.zeros(ids.shape, device=src.device), nothing, nothing, src.new_zeros(src.size(0)))

    def add(self, live: _Live, found: Candidates, ends: Tensor, scores: Tensor) -> None:
        """Take in those of the best W candidates that end, with their scores (B, C)."""
        width = self.scores.size(1)
        best = Candidates(*(x[:, :width] for x in found))
        ended = ends[:, :width] & best.totals.isfinite()
        new = live.extend(best)
        scores = torch.cat([self.scores, scores[:, :width].masked_fill(~ended, -torch.inf)], dim=1)
        order = scores.sort(dim=1, descending=True, stable=True).indices[:, :width]
        self.scores = scores.gather(1, order)
        self.totals = torch.cat([self.totals, new.totals], dim=1).gather(1, order)
        padded = torch.nn.functional.pad(self.ids, (0, 1), value=PAD), torch.nn.functional.pad(self.log_probs, (0, 1))
        order = order.unsqueeze(2).expand(-1, -1, new.ids.size(2))
        self.ids = torch.cat([padded[0], new.ids], dim=1).gather(1, order)
        self.log_probs = torch.cat([padded[1], new.log_probs], dim=1).gather(1, order)
        self.counts = self.counts + ended.sum(1)

    def of(self, rows: Tensor) -> "_Finished":
        return _Finished(self.ids[rows], self.log_probs[rows], self.scores[rows], self.totals[rows], self.counts[rows])

    def hypotheses(self, row: int) -> Iterator[Hypothesis]:
        """Those of a sentence, best first."""
        columns = (x[row].tolist() for x in (self.ids, self.log_probs, self.totals, self.scores))
        for ids, log_probs, total, score in zip(*columns, strict=True):
            if score > -torch.inf:
                end = ids.index(EOS)
                yield Hypothesis(ids[1:end], log_probs[1 : end + 1], total, score)
