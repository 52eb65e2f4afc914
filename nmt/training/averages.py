"""The exponential moving average of a model's parameters."""

import torch
from torch import Tensor, nn

from nmt.training import distributed


class Averages:
    """θ̄ ← d θ̄ + (1 - d) θ after every update (Polyak and Juditsky 1992, with the weights of Szegedy et al. 2016, section 8).

    d = min(decay, (1 + u) / (10 + u)) for update u, so that the beginnings are soon forgotten.

    Args:
        model: whose parameters θ are averaged.
        decay: from 0 to 1.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self._parameters = dict(model.named_parameters())
        self._decay = decay
        self.values = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}

    @torch.no_grad()
    def update(self, update: int) -> None:
        """Take in the parameters after an update, from 1."""
        decay = min(self._decay, (1 + update) / (10 + update))
        torch._foreach_lerp_(list(self.values.values()), list(self._parameters.values()), 1 - decay)

    @torch.no_grad()
    def load(self, values: dict[str, Tensor]) -> None:
        """Go on from averages that were saved."""
        for name, value in self.values.items():
            value.copy_(distributed.part(values[name].to(value.device), value))
