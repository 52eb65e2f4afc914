"""Vaswani et al., Attention is all you need (2017), and what became of its parts."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from nmt.models.dropout import Dropout
from nmt.models.feedforward import FeedForward
from nmt.models.layers import DecoderLayer, EncoderLayer, Parts, embeddings
from nmt.models.patterns import Pattern
from nmt.models.positions import Positions
from nmt.models.seq2seq import Block, Limit, Memory, Seq2Seq, State, Vocabulary, check_sizes


class TransformerEncoder(nn.Module):
    """All of the encoder after the lookup of embeddings: `layers` layers on x_0 = Dropout(√D · E x + PE).

    Args:
        layers: how many, at least 1.
        parts: what they are made of.
    """

    def __init__(self, *, layers: int, parts: Parts) -> None:
        super().__init__()
        self.scale = math.sqrt(parts.dim)
        self.dropout = Dropout(parts.dropout)
        self.pattern = parts.pattern()
        self.positions = parts.positions(parts.dim, parts.heads)
        self.layers = nn.ModuleList(EncoderLayer(parts, self.positions) for _ in range(layers))
        self.norm = parts.closing()

    def attention(self) -> list[nn.Module]:
        """The self-attention of each layer."""
        return [cast(EncoderLayer, layer).self_attention for layer in self.layers]

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """States (B, S, D) of embeddings (B, S, D), of which `mask` (B, S) are real."""
        self.positions.check(x.size(1))
        i = torch.arange(x.size(1), device=x.device)
        x = self.dropout(self.positions(x * self.scale, i))
        view = self.pattern.around(i, mask)
        for layer in self.layers:
            x = layer(x, view)
        states: Tensor = self.norm(x)
        return states


class Transformer(Seq2Seq):
    """Encoder and decoder of self-attention and feed-forward layers.

    x_0 = √dim · E y + PE, with dropout; each sublayer is surrounded by a residual connection, with the normalisation
    before it (default; then a last one closes the stack) or after it (the paper). Positions and pattern act in the
    self-attention of both stacks; the decoder's attention to the source has neither.

    Args:
        vocabulary: numbers of pieces.
        dim: width D of the stream.
        heads: attention heads; must divide `dim`.
        key_value_heads: heads of keys and values in the decoder (grouped-query attention; Ainslie et al. 2023, who
            leave the encoder as it is), a divisor of `heads`; null for as many.
        feedforward_dim: width inside the feed-forward sublayers.
        encoder_layers: layers of the encoder.
        decoder_layers: layers of the decoder; few of them beside many of the encoder search fast (Kasai et al. 2021).
        dropout: probability, on embeddings and on what every sublayer adds (section 5.4).
        norm: `pre` or `post`.
        normalization: `layer` or `rms`.
        tied: which embeddings are one matrix: `all` (source, target, output; section 3.4; needs a joint
            vocabulary), `decoder` (target, output) or `none`.
        positions: how self-attention knows the order (`model/positions=`).
        pattern: which pieces self-attention sees (`model/pattern=`).
        feedforward: the sublayer of that name (`model/feedforward=`).

    Raises:
        ValueError: if sizes do not fit, or a choice is unknown or impossible.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        dim: int,
        heads: int,
        key_value_heads: int | None,
        feedforward_dim: int,
        encoder_layers: int,
        decoder_layers: int,
        dropout: float,
        norm: str,
        normalization: str,
        tied: str,
        positions: Callable[[int, int], Positions],
        pattern: Callable[[], Pattern],
        feedforward: Callable[[int, int], FeedForward],
    ) -> None:
        super().__init__()
        check_sizes(dropout=dropout, encoder_layers=encoder_layers, decoder_layers=decoder_layers)
        parts = Parts(
            dim=dim,
            heads=heads,
            key_value_heads=key_value_heads,
            feedforward_dim=feedforward_dim,
            dropout=dropout,
            norm=norm,
            normalization=normalization,
            positions=positions,
            pattern=pattern,
            feedforward=feedforward,
        )
        self.scale = math.sqrt(dim)
        self.encoder = TransformerEncoder(layers=encoder_layers, parts=replace(parts, key_value_heads=None))
        self.dropout = Dropout(dropout)
        self.pattern = pattern()
        self.positions = positions(dim, heads)
        self.decoder_layers = nn.ModuleList(DecoderLayer(parts, self.positions) for _ in range(decoder_layers))
        self.decoder_norm = parts.closing()
        self.tgt_embedding, self.src_embedding, self.output = embeddings(vocabulary, dim, tied)

    def cross_attention(self) -> list[nn.Module]:
        return [layer.cross_attention for layer in self._decoder()]

    def encoder_attention(self) -> list[nn.Module]:
        return self.encoder.attention()

    def decoder_attention(self) -> list[nn.Module]:
        return [layer.self_attention for layer in self._decoder()]

    def blocks(self) -> list[Block]:
        decoder = [Block(layer, ("keys_values", "forward")) for layer in self.decoder_layers]
        return [*map(Block, self.encoder.layers), *decoder]

    def longest_source(self) -> Limit | None:
        return self.encoder.positions.limit()

    def longest_target(self) -> Limit | None:
        return self.positions.limit()

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        states = self.encoder(self.src_embedding(src), src_mask)  # (B, S, D)
        memory = {"mask": src_mask}
        for n, layer in enumerate(self._decoder()):
            memory[f"keys.{n}"], memory[f"values.{n}"] = layer.keys_values(states)
        return memory

    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        self.positions.check(tgt_in.size(1))
        memory = self.encode(src, src_mask)
        i = torch.arange(tgt_in.size(1), device=tgt_in.device)
        x, view = self._embed(tgt_in, i), self.pattern.past(i)  # (B, T, D)
        mask = src_mask[:, None, None]
        for n, layer in enumerate(self.decoder_layers):
            x = layer(x, view, (memory[f"keys.{n}"], memory[f"values.{n}"]), mask)
        features: Tensor = self.decoder_norm(x)
        return features

    def start(self, memory: Memory) -> State:
        keys = memory["keys.0"]  # (B, G, S, d_k)
        empty = keys.new_empty(keys.size(0), 1, keys.size(1), 0, keys.size(3))  # (B, 1, G, 0, d_k)
        return {f"{name}.{n}": empty for n in range(len(self.decoder_layers)) for name in ("keys", "values")}

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        j = torch.arange(state["keys.0"].size(3) + 1, device=tokens.device)
        self.positions.check(len(j))
        x = self._embed(tokens.unsqueeze(-1), j[-1:]).squeeze(2)  # (B, K, D)
        view = self.pattern.view(j[-1:], j, None)
        mask = memory["mask"][:, None, None]
        state = dict(state)
        for n, layer in enumerate(self._decoder()):
            keys, values = f"keys.{n}", f"values.{n}"
            past, source = (state[keys], state[values]), (memory[keys], memory[values])
            x, (state[keys], state[values]) = layer.step(x, view, past, source, mask)
        return self.decoder_norm(x), state

    def _decoder(self) -> Iterator[DecoderLayer]:
        return cast(Iterator[DecoderLayer], iter(self.decoder_layers))

    def _embed(self, tokens: Tensor, i: Tensor) -> Tensor:
        """x_0 (…, T, D) of the target pieces (…, T) at positions i (T,)."""
        x: Tensor = self.dropout(self.positions(self.tgt_embedding(tokens) * self.scale, i))
        return x
