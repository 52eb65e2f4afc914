"""Multi-head attention, of which Transformers are made."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.models.attention import attend, attention_weights, is_heard
from nmt.models.linear import Linear, linear


class MultiHead(nn.Module):
    """MultiHead(Q, K, V) = Concat(head_1, …, head_H) W^O, head_i = softmax(QW_i^Q (KW_i^K)ᵀ / √d_k) VW_i^V.

    Vaswani et al. 2017, section 3.2.2. The three projections are one matrix, W^Q above W^K above W^V, so that
    self-attention is one product. Heads are split as (…, H, T, d_k) with d_k = dim / heads. In grouped-query attention
    (Ainslie et al. 2023, section 2.2) there are only G heads of keys and values, (…, G, S, d_k), and H / G neighbouring
    heads of queries share each: head_i takes W^K and W^V of ⌊i G / H⌋, counted from 0.

    Args:
        dim: D.
        heads: H.
        key_value_heads: G, a divisor of H; null for H.
    """

    def __init__(self, dim: int, heads: int, key_value_heads: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.key_value_heads = heads if key_value_heads is None else key_value_heads
        self.head_dim = dim // heads
        self.widths = [dim, self.key_value_heads * self.head_dim, self.key_value_heads * self.head_dim]
        self.W_qkv = Linear(dim, sum(self.widths))
        self.W_o = Linear(dim, dim)
        nn.init.xavier_uniform_(self.W_qkv.weight, gain=1 / math.sqrt(2))
        nn.init.xavier_uniform_(self.W_o.weight)
        nn.init.zeros_(self.W_qkv.bias)
        nn.init.zeros_(self.W_o.bias)

    def split(self, x: Tensor) -> Tensor:
        """(…, T, H · d_k) to (…, H, T, d_k)."""
        heads: Tensor = x.unflatten(-1, (-1, self.head_dim))
        return heads.transpose(-2, -3)

    def queries(self, x: Tensor) -> Tensor:
        """QW^Q of (…, T, D) as (…, H, T, d_k)."""
        dim = x.size(-1)
        return self.split(linear(x, self.W_qkv.weight[:dim], self.W_qkv.bias[:dim]))

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """KW^K and VW^V of (…, S, D), each (…, G, S, d_k)."""
        dim = x.size(-1)
        keys, values = linear(x, self.W_qkv.weight[dim:], self.W_qkv.bias[dim:]).chunk(2, dim=-1)
        return self.split(keys), self.split(values)

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All three of (…, T, D) from one product."""
        queries, keys, values = self.W_qkv(x).split(self.widths, dim=-1)
        return self.split(queries), self.split(keys), self.split(values)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Contexts (…, T, D) of queries (…, H, T, d_k) over keys and values (…, G, S, d_k).

        `mask` is broadcastable to (…, H, T, S); without one, everything may be attended.
        """
        if not is_heard(self):
            heads = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, enable_gqa=self._grouped)
        else:
            scores = queries @ self.per_head(keys).transpose(-1, -2) / math.sqrt(self.head_dim)  # (…, H, T, S)
            mask = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask
            heads = attend(self, scores, self.per_head(values), mask)
        return self.merge(heads)

    def causal(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The same where position t may attend to 1 … t, with T = S."""
        if not is_heard(self):
            heads = F.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=self._grouped)
            return self.merge(heads)
        length = queries.size(-2)
        past = torch.ones(length, length, dtype=torch.bool, device=queries.device).tril()
        contexts: Tensor = self(queries, keys, values, past)
        return contexts

    def per_head(self, x: Tensor) -> Tensor:
        """Keys or values (…, G, S, d_k) as (…, H, S, d_k): each as often as heads of queries share it."""
        return x.repeat_interleave(self.heads // self.key_value_heads, dim=-3) if self._grouped else x

    def merge(self, heads: Tensor) -> Tensor:
        """Concat(head_1, …, head_H) W^O of (…, H, T, d_k)."""
        contexts: Tensor = self.W_o(heads.transpose(-2, -3).flatten(-2))
        return contexts

    @property
    def _grouped(self) -> bool:
        return self.key_value_heads != self.heads


class View(NamedTuple):
    """Who sees whom in self-attention; the layers of a stack share it.

    Attributes:
        i: positions of the queries, (…, T), broadcastable to (…, H, T).
        j: positions of the keys, (…, S).
        mask: which keys a query may attend, broadcastable to (…, H, T, S); None for all of them.
        causal: that queries and keys are the same positions in order, and each may attend to those up to itself; then
            there is no mask.
    """

    i: Tensor
    j: Tensor
    mask: Tensor | None
    causal: bool = False

    def allowed(self) -> Tensor:
        """The mask, written out."""
        if self.mask is not None:
            return self.mask
        ahead = self.j.unsqueeze(-2) - self.i.unsqueeze(-1)  # (…, T, S)
        return ahead <= 0 if self.causal else torch.ones_like(ahead, dtype=torch.bool)


class SelfAttention(MultiHead):
    """Attention of a sequence to itself. How positions enter it is what subclasses say, in up to four places:

    head_i = Σ_j α_ij (v_j + `moved`_ij),  α_i = softmax_j(content(q_i)ᵀ k_j / √d_k + bias_ij),  q_i = turn(W^Q x_i, i),
    k_j = turn(W^K x_j, j). Here none does anything; `content` and `moved` count only where there is a `bias`.
    """

    def turn(self, x: Tensor, i: Tensor) -> Tensor:
        """Queries or keys (…, H, T, d_k) as they are at positions i (…, T)."""
        return x

    def content(self, queries: Tensor) -> Tensor:
        """What meets the keys for queries (…, H, T, d_k)."""
        return queries

    def bias(self, queries: Tensor, i: Tensor, j: Tensor) -> Tensor | None:
        """What positions add to the scores, (…, H, T, S), already divided by √d_k; None for nothing."""
        return None

    def moved(self, weights: Tensor, i: Tensor, j: Tensor) -> Tensor | None:
        """What positions add to the averages of the values, (…, H, T, d_k), given α (…, H, T, S); None for nothing."""
        return None

    def at(self, x: Tensor, i: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of (…, T, D) at positions i (…, T)."""
        queries, keys, values = self.queries_keys_values(x)
        return self.turn(queries, i), self.turn(keys, i), values

    def look(self, queries: Tensor, keys: Tensor, values: Tensor, view: View) -> Tensor:
        """Contexts (…, T, D) of queries (…, H, T, d_k) over keys and values (…, G, S, d_k)."""
        bias = self.bias(queries, view.i, view.j)
        if bias is None:
            return self.causal(queries, keys, values) if view.causal else self(queries, keys, values, view.mask)
        values = self.per_head(values)
        weights = attention_weights(self, self.scores(queries, keys) + bias, values, view.allowed())  # (…, H, T, S)
        heads, moved = weights @ values, self.moved(weights, view.i, view.j)
        return self.merge(heads if moved is None else heads + moved)

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """content(q_i)ᵀ k_j / √d_k, (…, H, T, S)."""
        return self.content(queries) @ self.per_head(keys).transpose(-1, -2) / math.sqrt(self.head_dim)
