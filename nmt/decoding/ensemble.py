"""Several models that translate together."""

import math
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from nmt.models.seq2seq import Limit, Memory, Seq2Seq, State


class Ensemble(Seq2Seq):
    """p(y_t | y_<t, x) = 1/N Σ_n p_n(y_t | y_<t, x): the mean of the probabilities of N models of any kind.

    It is a model itself, which search, sampling and forced scoring take as any. Its features are its members' side by side.

    Args:
        members: models with the same pieces on both sides.
    """

    def __init__(self, members: Sequence[Seq2Seq]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self._widths = [member.output.in_features for member in members]

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        memory = {"mask": src_mask}
        for n, member in self._numbered():
            memory |= {f"{n}.{name}": x for name, x in member.encode(src, src_mask).items()}
        return memory

    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        return torch.cat([member(src, tgt_in, src_mask) for _, member in self._numbered()], dim=-1)

    def start(self, memory: Memory) -> State:
        states = [(n, member.start(_of(n, memory))) for n, member in self._numbered()]
        return {f"{n}.{name}": x for n, state in states for name, x in state.items()}

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        features: list[Tensor] = []
        following: State = {}
        for n, member in self._numbered():
            x, own = member.step(tokens, _of(n, state), _of(n, memory))
            features.append(x)
            following |= {f"{n}.{name}": value for name, value in own.items()}
        return torch.cat(features, dim=-1), following

    def project(self, features: Tensor) -> Tensor:
        """log p, which are logits too, (…, V) of features (…, ΣD)."""
        total = None
        for (_, member), x in zip(self._numbered(), features.split(self._widths, dim=-1), strict=True):
            logits = member.project(x)
            log_probs = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
            total = log_probs if total is None else torch.logaddexp(total, log_probs)
        assert total is not None
        return total - math.log(len(self.members))

    def cross_attention(self) -> list[nn.Module]:
        return [module for _, member in self._numbered() for module in member.cross_attention()]

    def longest_source(self) -> Limit | None:
        return _least([member.longest_source() for _, member in self._numbered()])

    def longest_target(self) -> Limit | None:
        return _least([member.longest_target() for _, member in self._numbered()])

    def _numbered(self) -> list[tuple[int, Seq2Seq]]:
        return list(enumerate(cast(Iterable[Seq2Seq], self.members)))


def _of(n: int, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those of member n."""
    prefix = f"{n}."
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


def _least(limits: list[Limit | None]) -> Limit | None:
    return min((limit for limit in limits if limit is not None), key=lambda limit: limit.pieces, default=None)
