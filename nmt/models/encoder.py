"""Recurrent encoders: embedded source to one state per position, and the states that start the decoder."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.models.cells import GRUCell

SHUT = 1e3
"""A sum at which a gate is shut, or with the other sign open, to the last bit."""

ALIGNMENT = 16
"""Widths of which the library is fast are multiples of this."""


class BidirectionalGRU(nn.Module):
    """h_j = [→h_j; ←h_j], one GRU in each direction (Bahdanau et al. 2015, section A.2.1).

    The backward one reads the flipped sentence, whose padding comes first and leaves its state at zero.

    Args:
        input_dim: width of the embeddings.
        dim: width n of one direction; states are 2n wide.
    """

    def __init__(self, input_dim: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.W = nn.Linear(input_dim, 6 * dim)  # forward z, r, candidate; then backward
        self.forward_cell = GRUCell(dim)
        self.backward_cell = GRUCell(dim)

    def forward(self, embedded: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """States (B, S, 2n) of embeddings (B, S, E) with their mask (B, S), and the last backward state ←h_1 (B, n)."""
        ahead, back = self.W(embedded).chunk(2, dim=-1)  # (B, S, 3n) each
        back = back.flip(1)
        real = mask.flip(1).unsqueeze(-1).to(embedded.dtype)
        h = g = embedded.new_zeros(embedded.size(0), self.dim)
        ahead_states, back_states = [], []
        for x, y, is_real in zip(ahead.unbind(1), back.unbind(1), real.unbind(1), strict=True):
            h = self.forward_cell(x, h)
            g = self.backward_cell(y, g) * is_real
            ahead_states.append(h)
            back_states.append(g)
        states = torch.cat([torch.stack(ahead_states, 1), torch.stack(back_states, 1).flip(1)], dim=-1)  # (B, S, 2n)
        return states, g


class StackedLSTM(nn.Module):
    """A stack of LSTM layers (Luong et al. 2015, section 4.1), read left to right or in both directions.

    One library call per layer; dropout between them is ours, because cuDNN's keeps a random state that no checkpoint holds.

    Args:
        input_dim: width of the embeddings.
        dim: width of the states; with two directions each has half of it.
        layers: how many are stacked.
        dropout: probability between layers.
        bidirectional: whether to read in both directions (the paper reads left to right).
    """

    def __init__(self, input_dim: int, dim: int, *, layers: int, dropout: float, bidirectional: bool) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        width = dim // 2 if bidirectional else dim
        self.layers = nn.ModuleList(
            nn.LSTM(input_dim if layer == 0 else dim, width, bidirectional=bidirectional, batch_first=True)
            for layer in range(layers)
        )

    def forward(self, embedded: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """States (B, S, n) of embeddings (B, S, E) with their mask, and the last h and c of each layer, (B, L, n)."""
        ends = (mask.sum(1) - 1).view(-1, 1, 1)  # (B, 1, 1)
        states, last_h, last_c = embedded, [], []
        for number, layer in enumerate(self.layers):
            below = self.dropout(states) if number else states
            states, h, c = read_holding_at_padding(cast(nn.LSTM, layer), below, mask)
            ahead = states[..., : h.size(-1)]
            last = ahead.gather(1, ends.expand(-1, -1, ahead.size(2))).squeeze(1)
            last_h.append(torch.cat([last, *h[1:]], dim=-1))  # directions side by side, (B, n)
            last_c.append(c.transpose(0, 1).flatten(1))
        return states, torch.stack(last_h, dim=1), torch.stack(last_c, dim=1)


def read_holding_at_padding(lstm: nn.LSTM, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One LSTM layer over padded x (B, S, E) as one library call, in which c does not change at padding.

    An input more, 1 at padding, closes the input gate and opens the forget gate there. So the last c is that of the last
    real piece, and a backward reading reaches its first real piece with c = h = 0, as if sentences were packed, but in
    half the time. (The input is ALIGNMENT wider: of odd widths the library is slow.)

    Returns:
        States (B, S, n), of which those at padding mean nothing, and the last h and c, (directions, B, n / directions);
        a forward h is that of the last position, padding or not.
    """
    gates = x.new_tensor([-SHUT, SHUT, 0.0, 0.0])  # input, forget, cell, output
    hold = F.pad(gates.repeat_interleave(lstm.hidden_size).unsqueeze(1), (0, ALIGNMENT - 1))
    weights = [torch.cat([w, hold], 1) if name.startswith("weight_ih") else w for name, w in lstm.named_parameters()]
    padding = F.pad((~mask).unsqueeze(-1).to(x.dtype), (0, ALIGNMENT - 1))
    zero = x.new_zeros(2 if lstm.bidirectional else 1, x.size(0), lstm.hidden_size)
    inputs = torch.cat([x, padding], dim=-1)
    states, h, c = torch.lstm(inputs, (zero, zero), weights, True, 1, 0.0, lstm.training, lstm.bidirectional, True)
    return states, h, c
