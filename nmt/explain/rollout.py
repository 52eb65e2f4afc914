"""Attention rollout (Abnar and Zuidema 2020, Quantifying attention flow in transformers, section 3)."""

import torch
from torch import Tensor

from nmt.explain.attribution import Attribution
from nmt.explain.maps import Maps, Pair, read
from nmt.models.seq2seq import Seq2Seq


@torch.inference_mode()
def rollout(model: Seq2Seq, pair: Pair) -> Attribution:
    """How much of every source piece, and of every piece of the prefix, reaches each position of the decoder."""
    return Attribution(*rolled(read(model, pair).maps))


def rolled(maps: Maps) -> tuple[Tensor, Tensor]:
    """The rollout of attention (H, …) to the source (T, S) and to the prefix (T, T): together every row sums to 1.

    A sublayer passes on half of what it attends to and half of what it was, for its residual connection:
    Ã(l_i) = A(l_i) Ã(l_{i-1}) with A = ½ E_h[W_att] + ½ I (section 3, with the equation above figure 3's). The paper has one
    stack; in an encoder-decoder the same step is taken by each of the three kinds of attention, where cross-attention mixes
    what the decoder has, R^ts and R^tt, with what reached the last layer of the encoder, R^ss:
    R^ts ← ½ R^ts + ½ E_h[W] R^ss and R^tt ← ½ R^tt.
    """
    if maps.joint:
        return _of_one_stack(maps)
    A = maps.cross[0]
    T, S = A.shape[1:]
    R_ss, R_tt, R_ts = A.new_ones(S).diag(), A.new_ones(T).diag(), torch.zeros_like(A[0])
    for W_ss in maps.encoder:
        R_ss = (W_ss.mean(0) @ R_ss + R_ss) / 2
    for W_tt, W_ts in zip(maps.decoder, maps.cross, strict=True):
        W = W_tt.mean(0)
        R_ts, R_tt = (W @ R_ts + R_ts) / 2, (W @ R_tt + R_tt) / 2
        R_ts, R_tt = (W_ts.mean(0) @ R_ss + R_ts) / 2, R_tt / 2
    return R_ts, R_tt


def _of_one_stack(maps: Maps) -> tuple[Tensor, Tensor]:
    T, both = maps.joint[0][1].shape[1:]
    S = both - T
    R = maps.joint[0][1].new_ones(both).diag()
    for W_ss, W_t in maps.joint:
        W = torch.cat([torch.nn.functional.pad(W_ss.mean(0), (0, T)), W_t.mean(0)])
        R = (W @ R + R) / 2
    return R[S:, :S], R[S:, S:]
