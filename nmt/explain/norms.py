"""Contributions weighted by values (Kobayashi et al. 2020, Attention is not only a weight)."""

import torch
from torch import Tensor, nn

from nmt.explain.attribution import Attribution
from nmt.explain.maps import Pair, read
from nmt.models.seq2seq import Seq2Seq


@torch.inference_mode()
def norms(model: Seq2Seq, pair: Pair) -> Attribution:
    """The mean over layers of `layer_norms`, each row scaled to sum to 1."""
    layers = torch.stack(layer_norms(model, pair))  # (L, T, S)
    total = layers.sum(2, keepdim=True)
    return Attribution((layers / total.masked_fill(total == 0, 1)).mean(0), None)


@torch.inference_mode()
def layer_norms(model: Seq2Seq, pair: Pair) -> list[Tensor]:
    """‖Σ_h α_ts^h f^h(x_s)‖ for every layer that attends to the source, (T, S) (section 4, equations 3 and 4).

    f^h(x) = (x W_v^h + b_v^h) W_o^h is what head h makes of a source state x. A recurrent decoder with one head averages the
    states themselves: there f(x) = x.
    """
    found = read(model, pair)
    modules = model.cross_attention()
    owners = model.joint_attention() or modules  # a share of a joint layer has the output map of the whole
    return [_norms(*layer) for layer in zip(owners, found.maps.cross, found.values, strict=True)]


def _norms(owner: nn.Module, weights: Tensor, values: Tensor) -> Tensor:
    W_o = getattr(owner, "W_o", None)
    f = values if W_o is None else torch.einsum("hsk,dhk->hsd", values, W_o.weight.unflatten(1, (len(values), -1)))
    return torch.stack([(row.unsqueeze(-1) * f).sum(0).norm(dim=-1) for row in weights.unbind(1)])  # (T, S)
