"""What a Transformer layer does to each position by itself."""

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn

from nmt.models.linear import Linear


class FeedForward(nn.Module, ABC):
    """FFN(x), from (…, dim) to (…, dim) by way of a hidden layer (…, feedforward_dim): made as `Kind(dim, feedforward_dim)`."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor: ...


class ReLU(FeedForward):
    """FFN(x) = max(0, x W_1 + b_1) W_2 + b_2 (Vaswani et al. 2017, equation 2)."""

    def __init__(self, dim: int, feedforward_dim: int) -> None:
        super().__init__()
        self.W_1 = Linear(dim, feedforward_dim)
        self.W_2 = Linear(feedforward_dim, dim)
        for linear in (self.W_1, self.W_2):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.W_2(F.relu(self.W_1(x)))
        return y


class GELU(ReLU):
    """FFN(x) = GELU(x W_1 + b_1) W_2 + b_2, GELU(z) = z Φ(z), Φ the normal distribution (Hendrycks and Gimpel 2016)."""

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.W_2(F.gelu(self.W_1(x)))
        return y


class SwiGLU(FeedForward):
    """FFN(x) = (Swish(x W) ⊗ x V) W_2, Swish(z) = z σ(z), no biases (Shazeer 2020, equation 6).

    W beside V are one matrix `W_V`, so that both are one product. There are three matrices instead of two: with 2/3 of
    another's `feedforward_dim` it has as many parameters.
    """

    def __init__(self, dim: int, feedforward_dim: int) -> None:
        super().__init__()
        self.W_V = Linear(dim, 2 * feedforward_dim, bias=False)
        self.W_2 = Linear(feedforward_dim, dim, bias=False)
        for weight in (*self.W_V.weight.chunk(2), self.W_2.weight):
            nn.init.xavier_uniform_(weight)

    def forward(self, x: Tensor) -> Tensor:
        gate, linear = self.W_V(x).chunk(2, dim=-1)  # (…, feedforward_dim) each
        y: Tensor = self.W_2(F.silu(gate) * linear)
        return y
