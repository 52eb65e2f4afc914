"""Attention of recurrent decoders, and the one function that turns scores into weights.

B sentences, K queries, S positions. `scores.py` has the scores.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.models.deferred import RecurrentLinear
from nmt.models.linear import Linear
from nmt.models.scores import HeadScore, Score
from nmt.models.seq2seq import Memory


@dataclass(frozen=True)
class Listener:
    """Who wants to know what attention does.

    Attributes:
        hear: called with the module that attended, its weights (…, K, S) and the values (…, S, D) that they average.
        modules: those that it listens to; None: all.
    """

    hear: Callable[[nn.Module, Tensor, Tensor], None]
    modules: Collection[nn.Module] | None = None


ScoreFactory = Callable[[int, int], Score]
"""Makes a score from the widths of the decoder's and the encoder's states."""

_listener: ContextVar[Listener | None] = ContextVar("attention listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """While it is open, `listener` hears of every attention, or of that of its modules."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def is_heard(owner: nn.Module) -> bool:
    """Whether someone listens to a module, so that its weights must exist."""
    listener = _listener.get()
    return listener is not None and (listener.modules is None or owner in listener.modules)


def attention_weights(owner: nn.Module, scores: Tensor, values: Tensor, mask: Tensor, factor: Tensor | None = None) -> Tensor:
    """The weights α (…, K, S) of `attend`, for those that need more of them than an average; whoever listens hears them."""
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
    if factor is not None:
        weights = weights * factor
    if is_heard(owner):
        listener = _listener.get()
        assert listener is not None
        listener.hear(owner, weights, values)
    return weights


def attend(owner: nn.Module, scores: Tensor, values: Tensor, mask: Tensor, factor: Tensor | None = None) -> Tensor:
    """Average the values with the softmax of the scores: c_i = Σ_j α_ij h_j, α_i = softmax(e_i).

    Args:
        owner: the module that attends, named to whoever listens.
        scores: e, (…, K, S).
        values: h, (…, S, D).
        mask: which positions may be attended, broadcastable to (…, K, S).
        factor: multiplies the weights, (…, K, S); they are not normalised again (local attention).

    Returns:
        The contexts c, (…, K, D).
    """
    return attention_weights(owner, scores, values, mask, factor) @ values


class Attention(nn.Module, ABC):
    """Attention of a recurrent decoder over the states of its encoder.

    Attributes:
        window: positions that it sees at once; None: all.
    """

    score: Score | HeadScore
    window: int | None = None

    def memory(self, states: Tensor, mask: Tensor) -> Memory:
        """The memory of encoder states (B, S, key_dim) with their mask (B, S)."""
        return {"mask": mask, "states": states, "keys": self.score.keys(states)}

    @abstractmethod
    def forward(self, query: Tensor, memory: Memory, position: Tensor) -> Tensor:
        """The contexts (B, K, key_dim) of K queries per sentence (B, K, query_dim).

        `position` (K,) or (B, K) is t, the number from 1 of the target piece that each query predicts.
        """


class Global(Attention):
    """a_t(s) = softmax(score(h_t, h̄_s)) over all s (Bahdanau et al. 2015, section 3.1; Luong et al. 2015, section 3.1).

    Args:
        query_dim: width of the decoder's states.
        key_dim: width of the encoder's states.
        score: makes the score from these two.
    """

    def __init__(self, query_dim: int, key_dim: int, *, score: ScoreFactory) -> None:
        super().__init__()
        self.score = _score_of_one_head(score, query_dim, key_dim)

    def forward(self, query: Tensor, memory: Memory, position: Tensor) -> Tensor:
        scores = self.score(query, memory["keys"])  # (B, K, S)
        return attend(self, scores, memory["states"], memory["mask"].unsqueeze(1))


class Local(Attention):
    """Attention to a window [p_t - D, p_t + D] of the source (Luong et al. 2015, section 3.2).

    Positions s and t count from 1, and S is the length of the sentence, its EOS included. What lies outside the sentence is
    left out of the window, as in the paper.

    Args:
        query_dim: width of the decoder's states.
        key_dim: width of the encoder's states.
        score: makes the score from these two.
        D: half-width of the window (the paper: 10).
    """

    def __init__(self, query_dim: int, key_dim: int, *, score: ScoreFactory, D: int) -> None:
        super().__init__()
        if D < 1:
            raise ValueError(f"model.attention.D, half the window, must be at least 1, but is {D}")
        self.score = _score_of_one_head(score, query_dim, key_dim)
        self.window = 2 * D + 1
        self.D = D

    def distances(self, p: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """s - p_t (B, K, S) for centres p (B, K), and which s lie in the window and in the sentence, (B, K, S)."""
        mask = memory["mask"]
        s = torch.arange(1, mask.size(1) + 1, device=mask.device, dtype=p.dtype)
        away = s - p.unsqueeze(-1)  # (B, K, S)
        return away, (away.abs() <= self.D) & mask.unsqueeze(1)


class LocalMonotonic(Local):
    """local-m: p_t = t; the softmax is over the window (Luong et al. 2015, section 3.2).

    A target may be longer than its source; from there on p_t = S, so that the window is never empty.
    """

    def forward(self, query: Tensor, memory: Memory, position: Tensor) -> Tensor:
        lengths = memory["mask"].sum(1, keepdim=True)  # (B, 1)
        _, seen = self.distances(torch.minimum(position, lengths), memory)
        return attend(self, self.score(query, memory["keys"]), memory["states"], seen)


class LocalPredictive(Local):
    """local-p: p_t = S · sigmoid(v_pᵀ tanh(W_p h_t)), and a Gaussian around it (Luong et al. 2015, equations 9 and 10).

    a_t(s) = align(h_t, h̄_s) exp(-(s - p_t)² / 2σ²) with σ = D / 2, where align is the softmax over the window.
    The gradient reaches W_p and v_p through the Gaussian; the borders of the window have none.
    """

    def __init__(self, query_dim: int, key_dim: int, *, score: ScoreFactory, D: int) -> None:
        super().__init__(query_dim, key_dim, score=score, D=D)
        self.W_p = RecurrentLinear(query_dim, query_dim, bias=False)
        self.v_p = nn.Parameter(torch.empty(query_dim).uniform_(-1, 1) / math.sqrt(query_dim))

    def forward(self, query: Tensor, memory: Memory, position: Tensor) -> Tensor:
        lengths = memory["mask"].sum(1, keepdim=True)  # (B, 1)
        # a sum of products, not `@`, which autocast would round to bf16: that is half a position in a long sentence
        p = lengths * torch.sigmoid((torch.tanh(self.W_p(query)) * self.v_p).sum(-1))  # (B, K)
        away, seen = self.distances(p, memory)
        gaussian = torch.exp(-2 * (away / self.D).square())  # 2σ² = D² / 2
        return attend(self, self.score(query, memory["keys"]), memory["states"], seen, gaussian)


class MultiHeadAttention(Attention):
    """MultiHead(Q, K, V) of Vaswani et al. 2017, section 3.2.2, in a recurrent decoder: K and V are the encoder's states.

    head_i = Σ_s softmax_s(score_i(h_t, h̄_s)) W_i^V h̄_s;  c_t = W^O [head_1; …; head_H].

    Args:
        query_dim: width of the decoder's states.
        key_dim: width D of the encoder's states, and of c_t.
        score: makes scores of all heads from these two and H.
        heads: H; must divide the encoder's width.
    """

    def __init__(self, query_dim: int, key_dim: int, *, score: Callable[[int, int, int], HeadScore], heads: int) -> None:
        super().__init__()
        if heads < 1 or key_dim % heads:
            raise ValueError(f"model.attention.heads ({heads}) must divide the width of the encoder's states ({key_dim})")
        if not issubclass(getattr(score, "func", HeadScore), HeadScore):
            raise ValueError("multi-head attention needs model/attention/score=dot_heads or additive_heads")
        self.heads = heads
        self.score = score(query_dim, key_dim, heads)
        self.W_v = Linear(key_dim, key_dim, bias=False)
        self.W_o = RecurrentLinear(key_dim, key_dim, bias=False)

    def memory(self, states: Tensor, mask: Tensor) -> Memory:
        values = self.W_v(states).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, S, D / H)
        return {"mask": mask, "values": values, "keys": self.score.keys(states)}

    def forward(self, query: Tensor, memory: Memory, position: Tensor) -> Tensor:
        scores = self.score(query, memory["keys"])  # (B, H, K, S)
        heads = attend(self, scores, memory["values"], memory["mask"][:, None, None])  # (B, H, K, D / H)
        context: Tensor = self.W_o(heads.transpose(1, 2).flatten(2))
        return context


def _score_of_one_head(score: ScoreFactory, query_dim: int, key_dim: int) -> Score:
    if issubclass(getattr(score, "func", Score), HeadScore):
        raise ValueError(
            "this attention has one head: for a score of many take model/attention=multihead_dot or multihead_additive"
        )
    return score(query_dim, key_dim)
