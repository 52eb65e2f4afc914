"""A model around another one."""

from torch import Tensor, nn

from nmt.models.seq2seq import Limit, Memory, Seq2Seq, State


class Wrapped(Seq2Seq):
    """Another model's verbs, as they are: what subclasses change one of.

    Args:
        model: the other one.
    """

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        self.model = model

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        return self.model.encode(src, src_mask)

    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        features: Tensor = self.model(src, tgt_in, src_mask)
        return features

    def start(self, memory: Memory) -> State:
        return self.model.start(memory)

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        return self.model.step(tokens, state, memory)

    def project(self, features: Tensor) -> Tensor:
        return self.model.project(features)

    def cross_attention(self) -> list[nn.Module]:
        return self.model.cross_attention()

    def longest_source(self) -> Limit | None:
        return self.model.longest_source()

    def longest_target(self) -> Limit | None:
        return self.model.longest_target()
