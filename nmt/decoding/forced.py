"""Forced decoding: what a model thinks of given translations."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.decoding.scoring import Scoring
from nmt.decoding.search import NOT_FINITE, Hypothesis
from nmt.errors import UserError
from nmt.explain.record import mean_attention, record_attention
from nmt.models.seq2seq import Seq2Seq
from nmt.vocabulary import BOS, EOS, PAD

POSITIONS = 2048
"""Positions whose logits are in memory at once."""


@torch.inference_mode()
def forced(
    model: Seq2Seq, src: Tensor, src_mask: Tensor, targets: Sequence[Sequence[int]], *, scoring: Scoring
) -> list[Hypothesis]:
    """Given translations as the search would report them, had it found them.

    Args:
        model: in evaluation mode.
        src: ids with EOS and padding, (B, S).
        src_mask: (B, S).
        targets: the pieces of each, EOS not among them.
        scoring: what they are ranked by.

    Raises:
        UserError: if the model gives no finite probabilities.
    """
    longest = max(map(len, targets))
    tgt_in = torch.tensor([[BOS, *ids, *[PAD] * (longest - len(ids))] for ids in targets], device=src.device)
    tgt_out = torch.tensor([[*ids, EOS, *[PAD] * (longest - len(ids))] for ids in targets], device=src.device)
    attention = None
    if scoring.coverage_penalty:
        with record_attention(model) as maps:
            features = model(src, tgt_in, src_mask)  # (B, T, D)
        attention = mean_attention(model, maps)
    else:
        features = model(src, tgt_in, src_mask)
    real = tgt_out != PAD
    log_probs = _log_probs(model, features[real], tgt_out[real])
    if not bool(log_probs.isfinite().all()):
        raise UserError(NOT_FINITE)
    parts = log_probs.split([len(ids) + 1 for ids in targets])
    lengths = real.sum(1)
    scores = torch.stack([part.sum() for part in parts]) / scoring.lp(lengths.to(log_probs.dtype))
    if attention is not None:
        scores = scores + scoring.coverage((attention * real.unsqueeze(2)).sum(1, keepdim=True), src_mask).squeeze(1)
    return [
        Hypothesis(list(ids), part.tolist(), float(part.sum()), score)
        for ids, part, score in zip(targets, parts, scores.tolist(), strict=True)
    ]


def _log_probs(model: Seq2Seq, features: Tensor, pieces: Tensor) -> Tensor:
    """log p (N,) of pieces (N,) given features (N, D)."""
    parts = []
    for x, y in zip(features.split(POSITIONS), pieces.split(POSITIONS), strict=True):
        logits = model.project(x)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        parts.append(logits.gather(1, y.unsqueeze(1)).squeeze(1) - logits.logsumexp(-1))
    return torch.cat(parts)
