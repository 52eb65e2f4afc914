"""Which explanations to believe: what happens to a probability when the pieces that a method calls important go.

Deletion and insertion (Petsiuk et al. 2018, RISE, section 4.2; for words, Nguyen 2018; DeYoung et al. 2020, section 4.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.explain.maps import Pair
from nmt.models.seq2seq import Seq2Seq
from nmt.vocabulary import EOS, PAD

ROWS = 256
"""Sources that a model reads at once."""


@dataclass(frozen=True)
class Curves:
    """p(y_t) of every target piece as the source is taken away, and as it is put back.

    Attributes:
        deletion: (T, K + 1), from the whole source to none of it, the most relevant pieces first.
        insertion: (T, K + 1), from none of the source to all of it, the most relevant pieces first.
    """

    deletion: Tensor
    insertion: Tensor


@torch.inference_mode()
def curves(model: Seq2Seq, pair: Pair, relevance: Tensor, *, steps: int) -> Curves:
    """The curves of one pair.

    For each target piece t, the source pieces are sorted by their relevance for it. In step k of K the round(k S / K) most
    relevant ones are gone (deletion), or are all there is (insertion). What is gone is cut out of the sentence, which is then a
    shorter one of the same kind; EOS stays. The prefix y_<t stays, too.

    Args:
        model: in evaluation mode.
        pair: S source pieces without EOS, T target pieces with EOS.
        relevance: (T, S + 1), the column of EOS last, which does not count.
        steps: K.
    """
    S = pair.src.size(1) - 1
    order = relevance[:, :S].argsort(dim=1, descending=True, stable=True)  # (T, S)
    rank = order.argsort(dim=1)  # of each piece, 0 the most relevant
    gone = torch.tensor([round(k * S / steps) for k in range(steps + 1)], device=rank.device)
    first = rank.unsqueeze(1) < gone[:, None]  # (T, K + 1, S)
    return Curves(_probabilities(model, pair, ~first), _probabilities(model, pair, first))


def area(curve: Tensor) -> Tensor:
    """The area under curves (…, K + 1) over [0, 1], by trapezoids: the mean probability on the way."""
    return (curve[..., :-1] + curve[..., 1:]).mean(-1) / 2


def _probabilities(model: Seq2Seq, pair: Pair, kept: Tensor) -> Tensor:
    """p(y_t) (T, K + 1), given what is kept of the source for each, (T, K + 1, S)."""
    T = len(pair.tgt_out)
    kept = kept.flatten(0, 1)  # (N, S)
    numbers = torch.arange(T, device=kept.device).repeat_interleave(len(kept) // T)
    distinct, of = torch.unique(kept, dim=0, return_inverse=True)  # one reading gives every y_t its probability
    of_distinct = torch.cat([_all(model, pair, some) for some in distinct.split(ROWS)])  # (N', T)
    return of_distinct[of, numbers].view(T, -1)


def _all(model: Seq2Seq, pair: Pair, kept: Tensor) -> Tensor:
    """p(y_t) of every t, (N, T), with what is kept of the source, (N, S)."""
    lengths = kept.sum(1) + 1
    width = int(lengths.max())
    place = (~kept).to(torch.uint8).argsort(dim=1, stable=True)  # what is kept first, in its order
    ids = torch.nn.functional.pad(pair.src[0, :-1][place], (0, 1), value=PAD)[:, :width]
    columns = torch.arange(width, device=kept.device)
    src = ids.masked_fill(columns >= lengths[:, None] - 1, PAD).masked_fill(columns == lengths[:, None] - 1, EOS)
    tgt_in, tgt_out = pair.tgt_in.expand(len(kept), -1), pair.tgt_out.expand(len(kept), -1)
    logits = model.project(model(src, tgt_in, columns < lengths[:, None]))  # (N, T, V)
    return (logits.gather(2, tgt_out.unsqueeze(2)).squeeze(2) - logits.logsumexp(2)).exp()


@dataclass(frozen=True)
class Areas:
    """Areas of a method over many pairs, one pair after the other: the mean over target pieces of each.

    Attributes:
        deletion: the lower, the better.
        insertion: the higher, the better.
    """

    deletion: list[float]
    insertion: list[float]


def interval(differences: Sequence[float], *, seed: int, samples: int = 1000) -> tuple[float, float]:
    """Between which 95 % of the means of resamples lie (percentile bootstrap over pairs)."""
    values = torch.tensor(differences, dtype=torch.float64)
    random = torch.Generator().manual_seed(seed)
    means = values[torch.randint(len(values), (samples, len(values)), generator=random)].mean(1).sort().values
    return float(means[int(0.025 * samples)]), float(means[min(int(0.975 * samples), samples - 1)])
