"""Multi-head attention, of which Transformers are made."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.models.attention import attend, is_heard


class MultiHead(nn.Module):
    """MultiHead(Q, K, V) = Concat(head_1, …, head_H) W^O, head_i = softmax(QW_i^Q (KW_i^K)ᵀ / √d_k) VW_i^V.

    Vaswani et al. 2017, section 3.2.2. The three projections are one matrix, W^Q above W^K above W^V, so that
    self-attention is one product. Heads are split as (…, H, T, d_k) with d_k = dim / heads.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.W_qkv = nn.Linear(dim, 3 * dim)
        self.W_o = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.W_qkv.weight, gain=1 / math.sqrt(2))
        nn.init.xavier_uniform_(self.W_o.weight)
        nn.init.zeros_(self.W_qkv.bias)
        nn.init.zeros_(self.W_o.bias)

    def split(self, x: Tensor) -> Tensor:
        """(…, T, D) to (…, H, T, d_k)."""
        heads: Tensor = x.unflatten(-1, (self.heads, -1))
        return heads.transpose(-2, -3)

    def queries(self, x: Tensor) -> Tensor:
        """QW^Q of (…, T, D) as (…, H, T, d_k)."""
        dim = x.size(-1)
        return self.split(F.linear(x, self.W_qkv.weight[:dim], self.W_qkv.bias[:dim]))

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """KW^K and VW^V of (…, S, D), each (…, H, S, d_k)."""
        dim = x.size(-1)
        keys, values = F.linear(x, self.W_qkv.weight[dim:], self.W_qkv.bias[dim:]).chunk(2, dim=-1)
        return self.split(keys), self.split(values)

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All three of (…, T, D) from one product."""
        queries, keys, values = self.W_qkv(x).chunk(3, dim=-1)
        return self.split(queries), self.split(keys), self.split(values)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Contexts (…, T, D) of queries (…, H, T, d_k) over keys and values (…, H, S, d_k).

        `mask` is broadcastable to (…, H, T, S); without one, everything may be attended.
        """
        if not is_heard():
            heads = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        else:
            scores = queries @ keys.transpose(-1, -2) / math.sqrt(queries.size(-1))  # (…, H, T, S)
            heads = attend(self, scores, values, torch.ones_like(scores, dtype=torch.bool) if mask is None else mask)
        return self._merge(heads)

    def causal(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The same where position t may attend to 1 … t, with T = S."""
        if not is_heard():
            return self._merge(F.scaled_dot_product_attention(queries, keys, values, is_causal=True))
        length = queries.size(-2)
        return self(queries, keys, values, torch.ones(length, length, dtype=torch.bool, device=queries.device).tril())  # type: ignore[no-any-return]

    def _merge(self, heads: Tensor) -> Tensor:
        """Concat(head_1, …, head_H) W^O of (…, H, T, d_k)."""
        contexts: Tensor = self.W_o(heads.transpose(-2, -3).flatten(-2))
        return contexts
