"""Label-smoothed cross-entropy, fused with the projection so that (tokens × V) logits are never all in memory."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nmt.data.batches import Batch
from nmt.explain.record import in_order, record_values
from nmt.models.linear import product
from nmt.models.seq2seq import Seq2Seq

CHUNK = 512
"""Rows of logits that exist at a time: on two cores 512 × 8000 floats stay near the last-level cache."""


def cross_entropy(features: Tensor, output: nn.Linear, targets: Tensor, *, smoothing: float) -> tuple[Tensor, Tensor]:
    """The loss of projected features, summed over N tokens.

    With p = softmax(features Wᵀ + b) and ε = smoothing, the loss of a token is
    -(1 - ε) log p(target) - ε / V Σ_v log p(v) (Szegedy et al. 2016, section 7; Vaswani et al. 2017, section 5.4).

    Args:
        features: (N, D).
        output: the projection to V logits.
        targets: (N,) ids.
        smoothing: ε.

    Returns:
        The summed loss, and the summed -log p(target) in nats without a gradient.
    """
    if torch.is_autocast_enabled(features.device.type):
        features = features.to(torch.get_autocast_dtype(features.device.type))
    loss, nll = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]  # torch leaves apply untyped
        features, output.weight, output.bias, targets, smoothing, torch.is_grad_enabled()
    )
    return loss, nll


class _LinearCrossEntropy(torch.autograd.Function):
    """Computes the gradient along with the loss, while a chunk of logits is at hand: ∂loss/∂logits = p - smoothed target."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        smoothing: float,
        with_gradient: bool,
    ) -> tuple[Tensor, Tensor]:
        matrix = weight.to(features.dtype)
        grad_features = torch.empty_like(features)
        grad_weight = torch.zeros_like(weight) if with_gradient else None
        grad_bias = torch.zeros_like(bias) if with_gradient and bias is not None else None
        loss = nll = torch.zeros((), device=features.device, dtype=torch.promote_types(features.dtype, torch.float32))
        for x, y, grad_x in zip(features.split(CHUNK), targets.split(CHUNK), grad_features.split(CHUNK), strict=True):
            logits = product(x, matrix)  # (n, V)
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            if bias is not None:
                logits += bias
            highest = logits.amax(dim=1, keepdim=True)
            target, mean = logits.gather(1, y.unsqueeze(1)), logits.mean(dim=1, keepdim=True)
            total = logits.sub_(highest).exp_().sum(dim=1, keepdim=True)  # of what are no logits any more
            log_sum = highest + total.log()
            chunk_nll = (log_sum - target).sum()
            nll = nll + chunk_nll
            loss = loss + (1 - smoothing) * chunk_nll + smoothing * (log_sum - mean).sum()
            if grad_weight is not None:
                grad = logits.div_(total).sub_(smoothing / logits.size(1))
                grad.scatter_add_(1, y.unsqueeze(1), grad.new_full((len(y), 1), smoothing - 1))
                if grad_bias is not None:
                    grad_bias += grad.sum(dim=0)
                grad = grad.to(x.dtype)
                grad_x.copy_(product(grad, matrix.t()))
                grad_weight += product(x.t(), grad.t()).t()  # summed over chunks in the precision of the weight
        ctx.save_for_backward(grad_features, grad_weight, grad_bias)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        scaled = [None if g is None else g * grad_loss for g in ctx.saved_tensors]
        return *scaled, None, None, None


GUIDE_FLOOR = 1e-6
"""A weight below it counts as so much: attention that is local may be zero where a link is."""


class TrainedModel(nn.Module):
    """A model with its loss: what the loop calls, and what a data-parallel wrapper wraps."""

    def __init__(self, model: Seq2Seq, *, smoothing: float) -> None:
        super().__init__()
        self.model = model
        self.smoothing = smoothing

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss and the -log p of a batch, each summed over its real target tokens (their number: `batch.tokens`)."""
        return self._loss(self.model(batch.src, batch.tgt_in, batch.src_mask), batch)

    def _loss(self, features: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The same, given features (B, T, D)."""
        real = features.flatten(0, 1).index_select(0, batch.positions)  # (N, D)
        return cross_entropy(real, self.model.output, batch.targets, smoothing=self.smoothing)


class GuidedModel(TrainedModel):
    """A model whose attention learns from word links besides (Garg et al. 2019, section 4.2).

    L = L_t + λ L_a with L_a = -Σ_t Σ_s G_ts log A_ts (equation 5, summed over tokens like L_t): A is the attention of a layer's
    head, or the mean of its heads, and G has a row for every target piece with links, which share it equally.

    Args:
        model: with attention to the source.
        smoothing: ε of L_t.
        attention: the module whose attention learns.
        head: of it, from 1; None: the mean of all.
        shift: A_t is that of the step which has read target piece t, not of the one that predicts it.
        weight: λ.
    """

    def __init__(
        self, model: Seq2Seq, *, smoothing: float, attention: nn.Module, head: int | None, shift: bool, weight: float
    ) -> None:
        super().__init__(model, smoothing=smoothing)
        self._attention = [attention]  # in a list, so that it is no second child
        self._head = head
        self._shift = shift
        self._weight = weight

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss of a batch, that of its attention included, and the -log p of its targets; see `TrainedModel`."""
        if batch.guide is None:
            return super().forward(batch)
        (attention,) = self._attention
        with record_values([attention]) as heard:
            features = self.model(batch.src, batch.tgt_in, batch.src_mask)
        A = in_order([one.weights for one in heard[attention]])  # (B, H, T, S)
        A = A.mean(1) if self._head is None else A[:, self._head - 1]
        rows, tgt, src, shares = batch.guide
        linked = A[rows, tgt + self._shift, src].clamp(min=GUIDE_FLOOR)
        loss, nll = self._loss(features, batch)
        return loss - self._weight * (shares * linked.log()).sum(), nll
