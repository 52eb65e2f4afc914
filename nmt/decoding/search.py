"""Beam search over the contract of `models/seq2seq.py`: one search for every model, no Python per hypothesis.

Letters: B sentences still searched, K live hypotheses of each, W beam, V vocabulary, t pieces so far.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.errors import UserError
from nmt.models.seq2seq import Seq2Seq, State
from nmt.vocabulary import BOS, EOS, PAD


@dataclass(frozen=True)
class Hypothesis:
    """A finished translation.

    Attributes:
        ids: target pieces, without EOS.
        log_prob: Σ log p of the pieces and EOS.
        score: log_prob / length^penalty with EOS counted: what the search ranks by.
    """

    ids: list[int]
    log_prob: float
    score: float


@torch.inference_mode()
def beam_search(
    model: Seq2Seq, src: Tensor, src_mask: Tensor, *, beam: int, length_penalty: float, max_lengths: Tensor
) -> list[list[Hypothesis]]:
    """The best translations of each sentence, best first, at most `beam` of them.

    Every step extends the K live hypotheses of a sentence by every piece and ranks the results by log-probability.
    Of the best W, those that end are finished; the best W that do not end live on. A sentence is done when W
    hypotheses have finished, or at its maximum length, where every hypothesis must end; then it leaves the batch.
    Beam 1 is greedy search. Equal scores are ranked by hypothesis, then by piece id.

    Args:
        model: in evaluation mode.
        src: ids with EOS and padding, (B, S).
        src_mask: (B, S).
        beam: W.
        length_penalty: exponent of the length that divides log-probabilities; 0 leaves them alone.
        max_lengths: most pieces of each translation, EOS not counted, (B,).

    Raises:
        UserError: if the model gives no finite probabilities.
    """
    memory = model.encode(src, src_mask)
    state = model.start(memory)
    live = _Live.start(src)
    finished = _Finished.start(src, beam)
    sentences = torch.arange(src.size(0), device=src.device)  # numbers of those still searched
    results: list[list[Hypothesis]] = [[] for _ in range(src.size(0))]
    for length in range(int(max_lengths.max()) + 1):
        features, state = model.step(live.ids[:, :, -1], state, memory)
        logits = model.project(features)
        log_probs = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=-1)  # (B, K, V)
        log_probs[:, :, PAD] = -torch.inf
        log_probs[:, :, BOS] = -torch.inf
        must_end = max_lengths <= length  # (B,)
        log_probs[:, :, :EOS].masked_fill_(must_end[:, None, None], -torch.inf)
        log_probs[:, :, EOS + 1 :].masked_fill_(must_end[:, None, None], -torch.inf)

        log_probs += live.log_probs.unsqueeze(2)
        scores, parents, ids = _best(log_probs, 2 * beam)  # (B, 2W)
        ends = ids == EOS
        finished.add(live, scores[:, :beam], parents[:, :beam], ends[:, :beam], length_penalty)
        done = (finished.counts >= beam) | must_end
        for n in done.nonzero().flatten().tolist():
            results[int(sentences[n])] = finished.hypotheses(n)

        keep = (~done).nonzero().flatten()
        if len(keep) == 0:
            break
        # The best W candidates that do not end, in order: of 2W at most K end, since each hypothesis ends only once.
        going_on = min(beam, ids.size(1) - live.ids.size(1))
        chosen = ends.to(torch.int8).sort(dim=1, stable=True).indices[:, :going_on]
        live = live.extend(*(x.gather(1, chosen) for x in (scores, parents, ids)))
        rows, parents = keep.unsqueeze(1), parents.gather(1, chosen)[keep]  # (B, 1), (B, K)
        state = _select(state, rows, parents)
        if len(keep) < len(sentences):
            memory = {name: x[keep] for name, x in memory.items()}
            live, finished = live.select(keep), finished.select(keep)
            sentences, max_lengths = sentences[keep], max_lengths[keep]
    if not all(results):
        raise UserError("the model gives no finite probabilities: its weights are damaged, or its training diverged")
    return results


def _select(state: State, rows: Tensor, parents: Tensor) -> State:
    return {name: x[rows, parents] for name, x in state.items()}


def _best(scores: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The `count` best of (B, K, V) as scores, hypotheses and pieces (B, count); among equals the first."""
    vocabulary = scores.size(2)
    flat = scores.flatten(1)
    count = min(count, flat.size(1))
    values, index = flat.topk(min(count + 1, flat.size(1)), dim=1)
    if bool((values[:, count - 1 :].diff(dim=1) == 0).any()):  # a tie at the border: topk took any of them
        values, index = flat.sort(dim=1, descending=True, stable=True)
    index, order = index[:, :count].sort(dim=1)
    values, order = values[:, :count].gather(1, order).sort(dim=1, descending=True, stable=True)
    index = index.gather(1, order)
    return values, index // vocabulary, index % vocabulary


@dataclass(frozen=True)
class _Live:
    """Hypotheses that go on: `ids` (B, K, 1 + t) beginning with BOS, and their summed `log_probs` (B, K)."""

    ids: Tensor
    log_probs: Tensor

    @classmethod
    def start(cls, src: Tensor) -> "_Live":
        shape = (src.size(0), 1, 1)
        return cls(torch.full(shape, BOS, device=src.device), torch.zeros(shape[:2], device=src.device))

    def extend(self, log_probs: Tensor, parents: Tensor, ids: Tensor) -> "_Live":
        past = self.ids.gather(1, parents.unsqueeze(2).expand(-1, -1, self.ids.size(2)))
        return _Live(torch.cat([past, ids.unsqueeze(2)], dim=2), log_probs)

    def select(self, rows: Tensor) -> "_Live":
        return _Live(self.ids[rows], self.log_probs[rows])


@dataclass
class _Finished:
    """The W best finished hypotheses of each sentence so far.

    `ids` (B, W, t) padded, `scores` and `log_probs` (B, W), -inf where there is none yet; `counts` (B,) of all that finished.
    """

    ids: Tensor
    scores: Tensor
    log_probs: Tensor
    counts: Tensor

    @classmethod
    def start(cls, src: Tensor, beam: int) -> "_Finished":
        nothing = torch.full((src.size(0), beam), -torch.inf, device=src.device)
        return cls(src.new_empty(src.size(0), beam, 0), nothing, nothing, src.new_zeros(src.size(0)))

    def add(self, live: _Live, log_probs: Tensor, parents: Tensor, ends: Tensor, length_penalty: float) -> None:
        """Take in those of the best candidates (B, W) that end."""
        ends = ends & log_probs.isfinite()
        if not bool(ends.any()):
            return
        length = live.ids.size(2)  # BOS is not counted, EOS is
        log_probs = log_probs.masked_fill(~ends, -torch.inf)
        ids = live.ids.gather(1, parents.unsqueeze(2).expand(-1, -1, length))[:, :, 1:]
        padding = self.ids.new_full((*self.ids.shape[:2], ids.size(2) - self.ids.size(2)), PAD)
        all_ids = torch.cat([torch.cat([self.ids, padding], dim=2), ids], dim=1)
        all_scores = torch.cat([self.scores, log_probs / length**length_penalty], dim=1)
        order = all_scores.sort(dim=1, descending=True, stable=True).indices[:, : self.scores.size(1)]
        self.ids = all_ids.gather(1, order.unsqueeze(2).expand(-1, -1, ids.size(2)))
        self.scores = all_scores.gather(1, order)
        self.log_probs = torch.cat([self.log_probs, log_probs], dim=1).gather(1, order)
        self.counts = self.counts + ends.sum(1)

    def select(self, rows: Tensor) -> "_Finished":
        return _Finished(self.ids[rows], self.scores[rows], self.log_probs[rows], self.counts[rows])

    def hypotheses(self, row: int) -> list[Hypothesis]:
        rows = zip(self.ids[row].tolist(), self.log_probs[row].tolist(), self.scores[row].tolist(), strict=True)
        return [
            Hypothesis([i for i in ids if i != PAD], log_prob, score) for ids, log_prob, score in rows if log_prob > -torch.inf
        ]
