"""Relevance propagated through the attention of a Transformer (Chefer, Gur and Wolf 2021).

Generic attention-model explainability for interpreting bi-modal and encoder-decoder transformers, section 3.
"""

import torch
from torch import Tensor

from nmt.explain.attribution import Attribution
from nmt.explain.maps import Maps, Pair, Read, read
from nmt.models.seq2seq import Seq2Seq


def relevance(model: Seq2Seq, pair: Pair) -> Attribution:
    """The relevance of every source piece and of every piece of the prefix for each target piece.

    For y_t, the logit of target piece t, Ā = E_h[(∇A ⊙ A)⁺] with ∇A = ∂y_t/∂A (equation 5) in each attention. R^ss and
    R^tt begin as the identity and R^ts as zero (equations 1 and 2). Layer by layer:

    - self-attention of the encoder: R^ss ← R^ss + Ā R^ss (equation 6);
    - self-attention of the decoder: R^ts ← R^ts + Ā R^ts and R^tt ← R^tt + Ā R^tt (equations 7 and 6);
    - cross-attention: R^ts ← R^ts + R̄^tt Ā R̄^ss (equation 10), where R̄ = R̂ / Σ_row R̂ + I of R̂ = R - I (equations 8
      and 9); a row of R̂ that is zero stays zero.

    The causal form: equation 10 of the paper has the transpose of R̄^tt, which in a decoder that sees no future would leave
    row t with its own cross-attention alone (y_t has no gradient in later rows, and rows before t have none at t). Here row t
    mixes the rows of the prefix that it looked at, as it does in equation 7. Row t of R^ts and R^tt is the result.

    In a model of one stack, source and target are one sequence, and R ← R + Ā R (equation 6) is all.

    Args:
        model: a Transformer of two stacks or one, in evaluation mode.
        pair: what it reads.
    """
    with torch.enable_grad():
        found = read(model, pair)
        logits = model.project(found.features).gather(1, pair.tgt_out.unsqueeze(1)).squeeze(1)  # (T,)
    rows = [_row(found, y, t, last=t == len(logits) - 1) for t, y in enumerate(logits)]
    source, prefix = (torch.stack(side) for side in zip(*rows, strict=True))
    return Attribution(source, prefix)


def _row(found: Read, y: Tensor, t: int, *, last: bool) -> tuple[Tensor, Tensor]:
    """Row t of R^ts (S,) and of R^tt (T,)."""
    # of one stack, nobody sees what the source attends to in the last layer
    gradients = torch.autograd.grad(y, found.computed, retain_graph=not last, materialize_grads=True)
    with torch.no_grad():
        positive = [(A * g).clamp(min=0).mean((0, 1)) for A, g in zip(found.computed, gradients, strict=True)]  # Ā
        R_ts, R_tt = propagated(found.maps.with_each(positive))
    return R_ts[t], R_tt[t]


def propagated(positive: Maps) -> tuple[Tensor, Tensor]:
    """R^ts (T, S) and R^tt (T, T) of the Ā of every layer, without heads."""
    if positive.joint:
        return _of_one_stack(positive)
    A = positive.cross[0]
    T, S = A.shape
    R_ss, R_tt = A.new_ones(S).diag(), A.new_ones(T).diag()
    R_ts = torch.zeros_like(A)
    for A_ss in positive.encoder:
        R_ss = R_ss + A_ss @ R_ss
    for A_tt, A_ts in zip(positive.decoder, positive.cross, strict=True):
        R_ts = R_ts + A_tt @ R_ts
        R_tt = R_tt + A_tt @ R_tt
        R_ts = R_ts + normalized(R_tt) @ A_ts @ normalized(R_ss)
    return R_ts, R_tt


def _of_one_stack(positive: Maps) -> tuple[Tensor, Tensor]:
    T, both = positive.joint[0][1].shape
    S = both - T
    R = positive.joint[0][1].new_ones(both).diag()
    for A_ss, A_t in positive.joint:
        A = torch.cat([torch.nn.functional.pad(A_ss, (0, T)), A_t])  # (S + T, S + T)
        R = R + A @ R
    return R[S:, :S], R[S:, S:]


def normalized(R: Tensor) -> Tensor:
    """R̄ (equations 8 and 9): what was added to the identity, each row of it scaled to sum to 1; nothing stays nothing."""
    identity = torch.eye(len(R), dtype=R.dtype, device=R.device)
    added = R - identity
    total = added.sum(1, keepdim=True)
    return added / total.masked_fill(total == 0, 1) + identity
