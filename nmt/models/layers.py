"""The layers of Transformers: sublayers, each within a residual connection and a normalisation.

Letters: B sentences, S source length, T target length, K hypotheses, t pieces so far, D width of the stream, H heads
of queries and G of keys and values, d_k = D / H.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.models.dropout import Dropout
from nmt.models.feedforward import FeedForward
from nmt.models.multihead import MultiHead, SelfAttention, View
from nmt.models.patterns import Pattern
from nmt.models.positions import Positions
from nmt.models.seq2seq import Vocabulary, check_sizes

KeysValues = tuple[Tensor, Tensor]
"""Keys and values, each (…, G, S, d_k)."""


class Residual(nn.Module, ABC):
    """What surrounds a sublayer f: `before` prepares what enters f, `after` adds its result to the stream x."""

    def __init__(self, norm: nn.Module, dropout: float) -> None:
        super().__init__()
        self.norm = norm
        self.dropout = Dropout(dropout)

    @abstractmethod
    def before(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def after(self, x: Tensor, y: Tensor) -> Tensor: ...


class PreNorm(Residual):
    """x + Dropout(f(Norm(x))) (Wang et al. 2019; Xiong et al. 2020): trains without a long warm-up."""

    def before(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(x)
        return normed

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        total: Tensor = x + self.dropout(y)
        return total


class PostNorm(Residual):
    """Norm(x + Dropout(f(x))), as in Vaswani et al. 2017, sections 3.1 and 5.4."""

    def before(self, x: Tensor) -> Tensor:
        return x

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        normed: Tensor = self.norm(x + self.dropout(y))
        return normed


RESIDUALS: dict[str, type[Residual]] = {"pre": PreNorm, "post": PostNorm}
NORMALIZATIONS: dict[str, Callable[[int], nn.Module]] = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What every layer of a stack is made of: sizes, and a constructor for each part that has variants.

    Attributes:
        dim: width D of the stream.
        heads: attention heads H; must divide `dim`.
        key_value_heads: heads G of keys and values, which must divide `heads`; null for as many.
        feedforward_dim: width inside the feed-forward sublayers.
        dropout: probability, on embeddings and on what every sublayer adds.
        norm: `pre` or `post`: where the normalisation stands.
        normalization: `layer` (Ba et al. 2016) or `rms` (Zhang and Sennrich 2019).
        positions: how self-attention knows the order; called with D and H.
        pattern: which pieces self-attention sees; called with nothing.
        feedforward: called with D and `feedforward_dim`.

    Raises:
        ValueError: if sizes do not fit each other or a choice is unknown.
    """

    dim: int
    heads: int
    key_value_heads: int | None
    feedforward_dim: int
    dropout: float
    norm: str
    normalization: str
    positions: Callable[[int, int], Positions]
    pattern: Callable[[], Pattern]
    feedforward: Callable[[int, int], FeedForward]

    def __post_init__(self) -> None:
        groups = self.heads if self.key_value_heads is None else self.key_value_heads
        sizes = {"dim": self.dim, "heads": self.heads, "key_value_heads": groups, "feedforward_dim": self.feedforward_dim}
        check_sizes(dropout=self.dropout, **sizes)
        if self.dim % self.heads:
            raise ValueError(f"model.heads ({self.heads}) must divide model.dim ({self.dim})")
        if self.heads % groups:
            raise ValueError(f"model.key_value_heads ({groups}) must divide model.heads ({self.heads}); null is as many")
        check_choice("norm", self.norm, *RESIDUALS)
        check_choice("normalization", self.normalization, *NORMALIZATIONS)
        for name in ("positions", "pattern", "feedforward"):
            if not callable(part := getattr(self, name)):
                raise ValueError(f"model.{name} is a choice of its own, written with a slash: model/{name}={part}")

    def around(self) -> Residual:
        """The residual connection of one sublayer."""
        return RESIDUALS[self.norm](NORMALIZATIONS[self.normalization](self.dim), self.dropout)

    def closing(self) -> nn.Module:
        """What ends a stack: a normalisation where none follows the last residual connection."""
        return NORMALIZATIONS[self.normalization](self.dim) if self.norm == "pre" else nn.Identity()


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward (Vaswani et al. 2017, section 3.1)."""

    def __init__(self, parts: Parts, positions: Positions) -> None:
        super().__init__()
        self.self_attention: SelfAttention = positions.self_attention(parts.key_value_heads)
        self.feedforward = parts.feedforward(parts.dim, parts.feedforward_dim)
        self.around_self = parts.around()
        self.around_feedforward = parts.around()

    def forward(self, x: Tensor, view: View) -> Tensor:
        """The next (B, S, D) of x (B, S, D), attending to what is in `view`."""
        q, k, v = self.self_attention.at(self.around_self.before(x), view.i)
        return self.above(x, self.self_attention.look(q, k, v, view))

    def above(self, x: Tensor, y: Tensor) -> Tensor:
        """What is above self-attention, given its result y (…, D) and what entered the layer, x (…, D)."""
        x = self.around_self.after(x, y)
        return self.around_feedforward.after(x, self.feedforward(self.around_feedforward.before(x)))


class DecoderLayer(nn.Module):
    """Self-attention over the prefix, attention over the memory, then feed-forward (Vaswani et al. 2017, section 3.1).

    `self_attention`, `cross_attention` and `feedforward` read the stream through `around_…before` and add to it
    through `around_…after`; the caller supplies keys and values, so training and search run the same code.
    """

    def __init__(self, parts: Parts, positions: Positions) -> None:
        super().__init__()
        self.self_attention: SelfAttention = positions.self_attention(parts.key_value_heads)
        self.cross_attention = MultiHead(parts.dim, parts.heads, parts.key_value_heads)
        self.feedforward = parts.feedforward(parts.dim, parts.feedforward_dim)
        self.around_self = parts.around()
        self.around_cross = parts.around()
        self.around_feedforward = parts.around()

    def keys_values(self, states: Tensor) -> KeysValues:
        """What `cross_attention` looks at, of the encoder's states (B, S, D)."""
        return self.cross_attention.keys_values(states)

    def forward(self, x: Tensor, view: View, memory: KeysValues, mask: Tensor) -> Tensor:
        """All positions at once: (B, T, D) of x (B, T, D), keys and values (B, G, S, d_k), mask (B, 1, 1, S)."""
        q, k, v = self.self_attention.at(self.around_self.before(x), view.i)
        return self._above(x, self.self_attention.look(q, k, v, view), memory, mask)

    def step(self, x: Tensor, view: View, past: KeysValues, memory: KeysValues, mask: Tensor) -> tuple[Tensor, KeysValues]:
        """One position of K hypotheses: (B, K, D) of x (B, K, D) and the keys and values so far, (B, K, G, t, d_k)."""
        q, k, v = self.self_attention.at(self.around_self.before(x).unsqueeze(2), view.i)
        past = torch.cat([past[0], k], dim=3), torch.cat([past[1], v], dim=3)
        q, keys, values = (y.flatten(0, 1) for y in (q, *past))  # (B · K, …), as fused attention has four axes
        return self._above(x, self.self_attention.look(q, keys, values, view).view(x.shape), memory, mask), past

    def _above(self, x: Tensor, y: Tensor, memory: KeysValues, mask: Tensor) -> Tensor:
        x = self.around_self.after(x, y)
        queries = self.cross_attention.queries(self.around_cross.before(x))
        x = self.around_cross.after(x, self.cross_attention(queries, *memory, mask))
        return self.around_feedforward.after(x, self.feedforward(self.around_feedforward.before(x)))


def embeddings(vocabulary: Vocabulary, dim: int, tied: str) -> tuple[nn.Embedding, nn.Embedding, nn.Linear]:
    """The embeddings of target and source and the map to logits, of which `tied` says which are one matrix.

    Args:
        vocabulary: numbers of pieces.
        dim: D.
        tied: `all` (source, target, output; Press and Wolf 2017; needs a joint vocabulary), `decoder` (target,
            output) or `none`.

    Raises:
        ValueError: if `tied` is unknown or impossible.
    """
    check_choice("tied", tied, "all", "decoder", "none")
    if tied == "all" and not vocabulary.joint:
        raise ValueError("model.tied=all needs one vocabulary: set tokenizer.joint=true, or model.tied=decoder")
    tgt = nn.Embedding(vocabulary.tgt, dim)
    src = tgt if tied == "all" else nn.Embedding(vocabulary.src, dim)
    output = nn.Linear(dim, vocabulary.tgt, bias=False)
    for weight in (src.weight, tgt.weight, output.weight):
        nn.init.normal_(weight, std=dim**-0.5)
    if tied != "none":
        output.weight = tgt.weight
    return tgt, src, output


def check_choice(name: str, value: str, *choices: str) -> None:
    """Raise `ValueError` for a value that is none of the choices."""
    if value not in choices:
        *most, last = choices
        raise ValueError(f"model.{name} must be {', '.join(most)} or {last}, but is {value!r}")
