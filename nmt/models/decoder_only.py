"""Translation with one stack of layers: a language model of the target that continues the source.

As in Radford et al. 2018 (GPT; section 3.3), and Raffel et al. 2020 (prefix-LM; section 3.2.1) and Dong et al. 2019.
"""

import math
from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from nmt.models.attention import attention_weights, is_heard
from nmt.models.dropout import Dropout
from nmt.models.feedforward import FeedForward
from nmt.models.layers import EncoderLayer, KeysValues, Parts, check_choice, embeddings
from nmt.models.multihead import View
from nmt.models.patterns import Pattern
from nmt.models.positions import Positions
from nmt.models.seq2seq import Block, Limit, Memory, Seq2Seq, State, Vocabulary, check_sizes

PREFIXES = ("bidirectional", "causal")


class PrefixLayer(EncoderLayer):
    """A layer whose target pieces attend to source and target at once: to the prefix in memory, and to their past.

    Attributes:
        to_source: no parameters; the name under which the part of the weights that goes to the source is heard, scaled
            to sum to 1.
    """

    def __init__(self, parts: Parts, positions: Positions) -> None:
        super().__init__(parts, positions)
        self.to_source = nn.Module()

    def read(self, x: Tensor, view: View) -> tuple[Tensor, KeysValues]:
        """A layer of the source: the next (B, S, D) of x (B, S, D), and its keys and values (B, G, S, d_k)."""
        q, k, v = self.self_attention.at(self.around_self.before(x), view.i)
        return self.above(x, self.self_attention.look(q, k, v, view)), (k, v)

    def write(self, x: Tensor, view: View, memory: KeysValues) -> Tensor:
        """All target positions at once: the next (B, T, D) of x (B, T, D), over [memory ; x], S + T keys."""
        q, k, v = self.self_attention.at(self.around_self.before(x), view.i)
        k, v = torch.cat([memory[0], k], dim=2), torch.cat([memory[1], v], dim=2)  # (B, G, S + T, d_k)
        if is_heard(self.to_source):
            bias = self.self_attention.bias(q, view.i, view.j)
            scores = self.self_attention.scores(q, k) + (0 if bias is None else bias)
            length = memory[0].size(2)
            values = self.self_attention.per_head(memory[1])
            attention_weights(self.to_source, scores[..., :length], values, view.allowed()[..., :length])
        return self.above(x, self.self_attention.look(q, k, v, view))

    def step(self, x: Tensor, view: View, past: KeysValues, memory: KeysValues) -> tuple[Tensor, KeysValues]:
        """One position of K hypotheses: (B, K, D) of x (B, K, D) and the keys and values so far, (B, K, G, t, d_k)."""
        q, k, v = self.self_attention.at(self.around_self.before(x).unsqueeze(2), view.i)
        past = torch.cat([past[0], k], dim=3), torch.cat([past[1], v], dim=3)
        return self.above(x, self._look_back(q, view, past, memory)), past

    def _look_back(self, q: Tensor, view: View, past: KeysValues, memory: KeysValues) -> Tensor:
        """Contexts (B, K, D) of queries (B, K, H, 1, d_k) over [memory ; past]; hypotheses share the memory as it is."""
        attention, length = self.self_attention, memory[0].size(2)
        content = self._shared(attention.content(q).squeeze(3))  # (B, K, G, H / G, d_k)
        to_memory = _over_memory(content, memory[0].transpose(2, 3))  # (B, K, G, H / G, S)
        scores = torch.cat([to_memory, content @ past[0].transpose(3, 4)], dim=-1) / math.sqrt(attention.head_dim)
        scores = scores.flatten(2, 3).unsqueeze(3)  # (B, K, H, 1, S + t)
        if (bias := attention.bias(q, view.i, view.j)) is not None:
            scores = scores + bias
        mask = view.allowed()
        if is_heard(self.to_source):
            values = attention.per_head(memory[1])
            to_source = scores[..., :length].squeeze(3).transpose(1, 2)  # (B, H, K, S)
            attention_weights(self.to_source, to_source, values, mask[..., :length].squeeze(3))
        values = past[1]
        if is_heard(attention):  # what else nobody needs in one piece
            values = torch.cat([memory[1].unsqueeze(1).expand(-1, q.size(1), -1, -1, -1), values], dim=3)
        weights = attention_weights(attention, scores, attention.per_head(values), mask)
        on_memory, on_past = self._shared(weights.squeeze(3)).split([length, weights.size(-1) - length], dim=-1)
        heads = (_over_memory(on_memory, memory[1]) + on_past @ past[1]).flatten(2, 3).unsqueeze(3)  # (B, K, H, 1, d_k)
        moved = attention.moved(weights, view.i, view.j)
        return attention.merge(heads if moved is None else heads + moved).squeeze(2)

    def _shared(self, x: Tensor) -> Tensor:
        """(B, K, H, …) as (B, K, G, H / G, …): the heads that share keys and values, side by side."""
        shared: Tensor = x.unflatten(2, (self.self_attention.key_value_heads, -1))
        return shared


def _over_memory(rows: Tensor, matrix: Tensor) -> Tensor:
    """Products of rows (B, K, G, R, m) with what the K hypotheses share, (B, G, m, n), as (B, K, G, R, n)."""
    K, R = rows.size(1), rows.size(3)
    products: Tensor = (rows.transpose(1, 2).flatten(2, 3) @ matrix).unflatten(2, (K, R))
    return products.transpose(1, 2)


class DecoderOnly(Seq2Seq):
    """One stack of self-attention layers over [source EOS ; BOS target]; features are those of the target.

    Target pieces attend to the whole source and to the target up to themselves; source pieces to each other
    (`bidirectional`, prefix-LM) or to those up to themselves (`causal`, GPT). Positions count on from the source into
    the target. The keys and values of the source are computed once, as memory: nothing in the source sees the target.
    A pattern acts within the source and within the target; from target to source everything is seen.

    Args:
        vocabulary: numbers of pieces.
        dim: width D of the stream.
        heads: attention heads; must divide `dim`.
        key_value_heads: heads of keys and values (grouped-query attention), a divisor of `heads`; null for as many.
        feedforward_dim: width inside the feed-forward sublayers.
        layers: of the stack.
        dropout: probability, on embeddings and on what every sublayer adds.
        norm: `pre` or `post`.
        normalization: `layer` or `rms`.
        prefix: `bidirectional` or `causal`.
        tied: which embeddings are one matrix: `all` (source, target, output; needs a joint vocabulary), `decoder`
            (target, output) or `none`.
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
        layers: int,
        dropout: float,
        norm: str,
        normalization: str,
        prefix: str,
        tied: str,
        positions: Callable[[int, int], Positions],
        pattern: Callable[[], Pattern],
        feedforward: Callable[[int, int], FeedForward],
    ) -> None:
        super().__init__()
        check_sizes(dropout=dropout, layers=layers)
        check_choice("prefix", prefix, *PREFIXES)
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
        self.prefix = prefix
        self.dropout = Dropout(dropout)
        self.pattern = pattern()
        self.positions = positions(dim, heads)
        self.layers = nn.ModuleList(PrefixLayer(parts, self.positions) for _ in range(layers))
        self.norm = parts.closing()
        self.tgt_embedding, self.src_embedding, self.output = embeddings(vocabulary, dim, tied)

    def cross_attention(self) -> list[nn.Module]:
        return [layer.to_source for layer in self._layers()]

    def joint_attention(self) -> list[nn.Module]:
        return [layer.self_attention for layer in self._layers()]

    def blocks(self) -> list[Block]:
        return [Block(layer, ("read", "write")) for layer in self.layers]

    def longest_source(self) -> Limit | None:
        limit = self.positions.limit()
        return None if limit is None else Limit(limit.key, limit.pieces // 2)  # half of all positions, half for the target

    def longest_target(self) -> Limit | None:
        return self.longest_source()

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        self.positions.check(src.size(1))
        i = torch.arange(src.size(1), device=src.device)
        x = self._embed(self.src_embedding, src, i)  # (B, S, D)
        view = self.pattern.around(i, src_mask) if self.prefix == "bidirectional" else self.pattern.past(i)
        memory = {"mask": src_mask}
        for n, layer in enumerate(self._layers()):
            x, (memory[f"keys.{n}"], memory[f"values.{n}"]) = layer.read(x, view)
        return memory

    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        self.positions.check(src.size(1) + tgt_in.size(1))
        memory = self.encode(src, src_mask)
        view = self._over_both(src_mask, self.pattern.past(torch.arange(tgt_in.size(1), device=src.device)))
        x = self._embed(self.tgt_embedding, tgt_in, view.i.squeeze(1))  # (B, T, D)
        for n, layer in enumerate(self._layers()):
            x = layer.write(x, view, (memory[f"keys.{n}"], memory[f"values.{n}"]))
        features: Tensor = self.norm(x)
        return features

    def start(self, memory: Memory) -> State:
        keys = memory["keys.0"]  # (B, G, S, d_k)
        empty = keys.new_empty(keys.size(0), 1, keys.size(1), 0, keys.size(3))  # (B, 1, G, 0, d_k)
        return {f"{name}.{n}": empty for n in range(len(self.layers)) for name in ("keys", "values")}

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        j = torch.arange(state["keys.0"].size(3) + 1, device=tokens.device)
        self.positions.check(memory["mask"].size(1) + len(j))
        view = self._over_both(memory["mask"], self.pattern.view(j[-1:], j, None))
        x = self._embed(self.tgt_embedding, tokens, view.i.squeeze(1))  # (B, K, D)
        view = View(view.i.unsqueeze(1), view.j.unsqueeze(1), view.allowed().unsqueeze(1))  # the same for all hypotheses
        state = dict(state)
        for n, layer in enumerate(self._layers()):
            keys, values = f"keys.{n}", f"values.{n}"
            past, source = (state[keys], state[values]), (memory[keys], memory[values])
            x, (state[keys], state[values]) = layer.step(x, view, past, source)
        return self.norm(x), state

    def _layers(self) -> Iterator[PrefixLayer]:
        return cast(Iterator[PrefixLayer], iter(self.layers))

    def _over_both(self, src_mask: Tensor, target: View) -> View:
        """What target pieces see of [source ; target], (B, 1, T, S + T'), given what they see of the target, (T, T')."""
        B, S = src_mask.shape
        length = src_mask.sum(1)[:, None, None]  # the target follows the real source
        source = torch.arange(S, device=src_mask.device).expand(B, 1, S)
        allowed = target.allowed()
        seen = [src_mask[:, None, None].expand(-1, -1, len(allowed), -1), allowed.expand(B, 1, -1, -1)]
        return View(length + target.i, torch.cat([source, length + target.j], dim=2), torch.cat(seen, dim=3))

    def _embed(self, embedding: nn.Module, tokens: Tensor, i: Tensor) -> Tensor:
        """x_0 (…, T, D) of pieces (…, T) at positions i (…, T)."""
        x: Tensor = self.dropout(self.positions(embedding(tokens) * self.scale, i))
        return x
