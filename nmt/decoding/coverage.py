"""A model that remembers in its state what each hypothesis has looked at."""

import torch
from torch import Tensor

from nmt.decoding.wrapped import Wrapped
from nmt.explain.record import mean_attention, record_attention
from nmt.models.seq2seq import Memory, State


class Covering(Wrapped):
    """A model whose state has one more tensor: `coverage`, Σ_j p_ij of the pieces so far, (B, K, S).

    Search reorders it with the rest. It is the mean over the model's layers and heads of attention to the source.

    Args:
        model: with attention to the source.
    """

    def start(self, memory: Memory) -> State:
        mask = memory["mask"].unsqueeze(1)  # (B, 1, S)
        return self.model.start(memory) | {"coverage": torch.zeros(mask.shape, device=mask.device)}

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        inner = {name: x for name, x in state.items() if name != "coverage"}
        with record_attention(self.model) as maps:
            features, inner = self.model.step(tokens, inner, memory)
        attention = mean_attention(self.model, maps)
        assert attention is not None  # whoever asks for coverage has checked that there is attention
        return features, inner | {"coverage": state["coverage"] + attention}
