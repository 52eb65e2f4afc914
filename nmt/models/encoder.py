"""Recurrent encoders: embedded source to one state per position, and the states that start the decoder."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.models.cells import GRUCell


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
    The lengths that packing needs are the one wait for the device in a training step.

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
        lengths = mask.sum(1).cpu()
        states, last = embedded, []
        for number, layer in enumerate(self.layers):
            below = self.dropout(states) if number else states
            packed = pack_padded_sequence(below, lengths, batch_first=True, enforce_sorted=False)
            outputs, final = layer(packed)
            states, _ = pad_packed_sequence(outputs, batch_first=True, total_length=embedded.size(1))
            last.append([x.transpose(0, 1).flatten(1) for x in final])  # directions side by side, (B, n)
        h, c = (torch.stack(layers, dim=1) for layers in zip(*last, strict=True))
        return states, h, c
