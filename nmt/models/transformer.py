"""Vaswani et al., Attention is all you need (2017)."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.models.multihead import MultiHead
from nmt.models.seq2seq import Memory, Seq2Seq, State, Vocabulary, check_sizes


def sinusoids(positions: Tensor, dim: int) -> Tensor:
    """PE(pos, 2i) = sin(pos / 10000^(2i/dim)), PE(pos, 2i+1) = cos(pos / 10000^(2i/dim)) (section 3.5).

    Args:
        positions: (T,), counted from 0.
        dim: even width.

    Returns:
        (T, dim) in the default float type.
    """
    rates = torch.exp(torch.arange(0, dim, 2, device=positions.device) * (-math.log(10000.0) / dim))
    angles = positions.unsqueeze(1) * rates  # (T, dim / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class FeedForward(nn.Module):
    """FFN(x) = max(0, x W_1 + b_1) W_2 + b_2 (equation 2)."""

    def __init__(self, dim: int, feedforward_dim: int) -> None:
        super().__init__()
        self.W_1 = nn.Linear(dim, feedforward_dim)
        self.W_2 = nn.Linear(feedforward_dim, dim)
        for linear in (self.W_1, self.W_2):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.W_2(F.relu(self.W_1(x), inplace=True))
        return y


class Residual(nn.Module, ABC):
    """What surrounds a sublayer f: `before` prepares what enters f, `after` adds its result to the stream x."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    @abstractmethod
    def before(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def after(self, x: Tensor, y: Tensor) -> Tensor: ...


class PreNorm(Residual):
    """x + Dropout(f(LayerNorm(x))) (Wang et al. 2019; Xiong et al. 2020): trains without a long warm-up."""

    def before(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(x)
        return normed

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        total: Tensor = x + self.dropout(y)
        return total


class PostNorm(Residual):
    """LayerNorm(x + Dropout(f(x))), the paper's own (sections 3.1 and 5.4)."""

    def before(self, x: Tensor) -> Tensor:
        return x

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        normed: Tensor = self.norm(x + self.dropout(y))
        return normed


RESIDUALS: dict[str, type[Residual]] = {"pre": PreNorm, "post": PostNorm}


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward (section 3.1)."""

    def __init__(self, dim: int, heads: int, feedforward_dim: int, dropout: float, residual: type[Residual]) -> None:
        super().__init__()
        self.self_attention = MultiHead(dim, heads)
        self.feedforward = FeedForward(dim, feedforward_dim)
        self.around_self = residual(dim, dropout)
        self.around_feedforward = residual(dim, dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """The next (B, S, D) of x (B, S, D), attending where `mask` (B, 1, 1, S) allows."""
        y = self.self_attention(*self.self_attention.queries_keys_values(self.around_self.before(x)), mask)
        x = self.around_self.after(x, y)
        return self.around_feedforward.after(x, self.feedforward(self.around_feedforward.before(x)))


class DecoderLayer(nn.Module):
    """Self-attention over the prefix, attention over the memory, then feed-forward (section 3.1).

    `self_attention`, `cross_attention` and `feedforward` read the stream through `around_…before` and add to it
    through `around_…after`; the caller supplies keys and values, so training and search run the same code.
    """

    def __init__(self, dim: int, heads: int, feedforward_dim: int, dropout: float, residual: type[Residual]) -> None:
        super().__init__()
        self.self_attention = MultiHead(dim, heads)
        self.cross_attention = MultiHead(dim, heads)
        self.feedforward = FeedForward(dim, feedforward_dim)
        self.around_self = residual(dim, dropout)
        self.around_cross = residual(dim, dropout)
        self.around_feedforward = residual(dim, dropout)

    def forward(self, x: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """All positions at once: (B, T, D) of x (B, T, D), keys and values (B, H, S, d_k), mask (B, 1, 1, S)."""
        y = self.self_attention.causal(*self.self_attention.queries_keys_values(self.around_self.before(x)))
        return self._above(self.around_self.after(x, y), memory, mask)

    def step(
        self, x: Tensor, past: tuple[Tensor, Tensor], memory: tuple[Tensor, Tensor], mask: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One position of K hypotheses: (B, K, D) of x (B, K, D) and the keys and values so far, (B, K, H, t, d_k)."""
        q, k, v = self.self_attention.queries_keys_values(self.around_self.before(x).unsqueeze(2))
        past = torch.cat([past[0], k], dim=3), torch.cat([past[1], v], dim=3)
        y = self.self_attention(q, *past).squeeze(2)
        return self._above(self.around_self.after(x, y), memory, mask), past

    def _above(self, x: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        queries = self.cross_attention.queries(self.around_cross.before(x))
        x = self.around_cross.after(x, self.cross_attention(queries, *memory, mask))
        return self.around_feedforward.after(x, self.feedforward(self.around_feedforward.before(x)))


class Transformer(Seq2Seq):
    """Encoder and decoder of self-attention and feed-forward layers.

    x_0 = √dim · E y + PE, with dropout; each sublayer is surrounded by a residual connection, with the layer
    normalisation before it (default; then a last one closes the stack) or after it (the paper).

    Args:
        vocabulary: numbers of pieces.
        dim: width D of the stream.
        heads: attention heads; must divide `dim`.
        feedforward_dim: width inside the feed-forward sublayers.
        encoder_layers: layers of the encoder.
        decoder_layers: layers of the decoder.
        dropout: probability, on embeddings and on what every sublayer adds (section 5.4).
        norm: `pre` or `post`.
        tied: which embeddings are one matrix: `all` (source, target, output; section 3.4; needs a joint
            vocabulary), `decoder` (target, output) or `none`.

    Raises:
        ValueError: if heads do not divide dim, or a choice is unknown or impossible.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        dim: int,
        heads: int,
        feedforward_dim: int,
        encoder_layers: int,
        decoder_layers: int,
        dropout: float,
        norm: str,
        tied: str,
    ) -> None:
        super().__init__()
        check_sizes(
            dropout=dropout,
            dim=dim,
            heads=heads,
            feedforward_dim=feedforward_dim,
            encoder_layers=encoder_layers,
            decoder_layers=decoder_layers,
        )
        _check(vocabulary, dim, heads, norm, tied)
        self.dim = dim
        self.dropout = nn.Dropout(dropout)
        residual = RESIDUALS[norm]
        sizes = (dim, heads, feedforward_dim, dropout, residual)
        self.encoder_layers = nn.ModuleList(EncoderLayer(*sizes) for _ in range(encoder_layers))
        self.decoder_layers = nn.ModuleList(DecoderLayer(*sizes) for _ in range(decoder_layers))
        self.encoder_norm = nn.LayerNorm(dim) if norm == "pre" else nn.Identity()
        self.decoder_norm = nn.LayerNorm(dim) if norm == "pre" else nn.Identity()
        self.tgt_embedding = nn.Embedding(vocabulary.tgt, dim)
        self.src_embedding = self.tgt_embedding if tied == "all" else nn.Embedding(vocabulary.src, dim)
        self.output = nn.Linear(dim, vocabulary.tgt, bias=False)
        for weight in (self.src_embedding.weight, self.tgt_embedding.weight, self.output.weight):
            nn.init.normal_(weight, std=dim**-0.5)
        if tied != "none":
            self.output.weight = self.tgt_embedding.weight

    def cross_attention(self) -> list[nn.Module]:
        return [layer.cross_attention for layer in self._decoder()]

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        x = self._embed(self.src_embedding, src, start=0)  # (B, S, D)
        mask = src_mask[:, None, None]
        for layer in self.encoder_layers:
            x = layer(x, mask)
        x = self.encoder_norm(x)
        memory = {"mask": src_mask}
        for n, layer in enumerate(self._decoder()):
            memory[f"keys.{n}"], memory[f"values.{n}"] = layer.cross_attention.keys_values(x)
        return memory

    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        memory = self.encode(src, src_mask)
        x = self._embed(self.tgt_embedding, tgt_in, start=0)  # (B, T, D)
        mask = src_mask[:, None, None]
        for n, layer in enumerate(self.decoder_layers):
            x = layer(x, (memory[f"keys.{n}"], memory[f"values.{n}"]), mask)
        features: Tensor = self.decoder_norm(x)
        return features

    def start(self, memory: Memory) -> State:
        keys = memory["keys.0"]  # (B, H, S, d_k)
        empty = keys.new_empty(keys.size(0), 1, keys.size(1), 0, keys.size(3))  # (B, 1, H, 0, d_k)
        return {f"{name}.{n}": empty for n in range(len(self.decoder_layers)) for name in ("keys", "values")}

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        x = self._embed(self.tgt_embedding, tokens.unsqueeze(-1), start=state["keys.0"].size(3)).squeeze(2)  # (B, K, D)
        mask = memory["mask"][:, None, None]
        state = dict(state)
        for n, layer in enumerate(self._decoder()):
            keys, values = f"keys.{n}", f"values.{n}"
            x, (state[keys], state[values]) = layer.step(x, (state[keys], state[values]), (memory[keys], memory[values]), mask)
        return self.decoder_norm(x), state

    def _decoder(self) -> Iterator[DecoderLayer]:
        return cast(Iterator[DecoderLayer], iter(self.decoder_layers))

    def _embed(self, embedding: nn.Module, tokens: Tensor, start: int) -> Tensor:
        positions = torch.arange(start, start + tokens.size(-1), device=tokens.device)
        x: Tensor = self.dropout(embedding(tokens) * math.sqrt(self.dim) + sinusoids(positions, self.dim))
        return x


def _check(vocabulary: Vocabulary, dim: int, heads: int, norm: str, tied: str) -> None:
    if dim % heads:
        raise ValueError(f"model.heads ({heads}) must divide model.dim ({dim})")
    if dim % 2:
        raise ValueError(f"model.dim ({dim}) must be even: half of it are sines, half cosines")
    if norm not in RESIDUALS:
        raise ValueError(f"model.norm must be pre or post, but is {norm!r}")
    if tied not in ("all", "decoder", "none"):
        raise ValueError(f"model.tied must be all, decoder or none, but is {tied!r}")
    if tied == "all" and not vocabulary.joint:
        raise ValueError("model.tied=all needs one vocabulary: set tokenizer.joint=true, or model.tied=decoder")
