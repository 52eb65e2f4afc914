"""What the recurrent models have in common: embeddings with dropout, and an encoder of the user's choice."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nmt.models.attention import Attention
from nmt.models.cells import Stack
from nmt.models.dropout import dropout
from nmt.models.encoder import DecoderShape, Encoded, Encoder, RecurrentEncoder
from nmt.models.linear import Linear
from nmt.models.scores import Location
from nmt.models.seq2seq import Block, Limit, Seq2Seq, Vocabulary

EncoderFactory = Callable[[DecoderShape], Encoder]
"""Makes the encoder for a decoder."""


class RecurrentModel(Seq2Seq):
    """A model with a recurrent decoder.

    Args:
        vocabulary: numbers of pieces.
        encoder: makes the encoder.
        decoder: the sizes of the decoder.
    """

    def __init__(self, vocabulary: Vocabulary, encoder: EncoderFactory, decoder: DecoderShape) -> None:
        super().__init__()
        self.dropout = decoder.dropout
        self.src_embedding = nn.Embedding(vocabulary.src, decoder.embedding_dim)
        self.tgt_embedding = nn.Embedding(vocabulary.tgt, decoder.embedding_dim)
        self.encoder = encoder(decoder)

    def begin_uniform(self, bound: float, dim: int) -> None:
        """Draw all parameters uniformly from [-bound, bound], but those of an encoder that is not recurrent.

        The bound is for states of 1000, the papers' width. For others it is widened by √(1000 / dim), so that the products
        keep their scale: with the papers' own bound a narrow model hardly learns.
        """
        bound *= math.sqrt(1000 / dim)
        for module in self.children():
            if module is not self.encoder or isinstance(module, RecurrentEncoder):
                for parameter in module.parameters():
                    nn.init.uniform_(parameter, -bound, bound)

    def cross_attention(self) -> list[nn.Module]:
        return []

    def encoder_attention(self) -> list[nn.Module]:
        return self.encoder.attention()

    def blocks(self) -> list[Block]:
        return self.encoder.blocks()

    def longest_source(self) -> Limit | None:
        return self.encoder.longest()

    def read_source(self, src: Tensor, src_mask: Tensor) -> Encoded:
        """Embed and encode source ids (B, S)."""
        encoded: Encoded = self.encoder(self.drop(self.src_embedding(src)), src_mask)
        return encoded

    def embed_target(self, tokens: Tensor) -> Tensor:
        """Embeddings (…, E) of target ids."""
        return self.drop(self.tgt_embedding(tokens))

    def drop(self, x: Tensor) -> Tensor:
        """Dropout, in training."""
        return dropout(x, self.dropout, self.training)


class AttentionalModel(RecurrentModel):
    """A model whose recurrent decoder has attention.

    Attributes:
        attention: over the states of the encoder.
    """

    attention: Attention

    def cross_attention(self) -> list[nn.Module]:
        return [self.attention]

    def longest_source(self) -> Limit | None:
        score = self.attention.score
        if not isinstance(score, Location):
            return super().longest_source()
        table = Limit("model.attention.score.length", score.length)
        return min([table, self.encoder.longest() or table], key=lambda limit: limit.pieces)

    def source_window(self) -> int | None:
        return self.attention.window


class Maxout(nn.Module):
    """t̃ = U_o s + V_o E y + C_o c, t = [max(t̃_{2j-1}, t̃_{2j})]_j (Cho et al. 2014, appendix A; Bahdanau et al. 2015, A.2.2).

    Args:
        state_dim: width of s.
        embedding_dim: width of E y.
        context_dim: width of c.
        dim: width l of t.
    """

    def __init__(self, state_dim: int, embedding_dim: int, context_dim: int, dim: int) -> None:
        super().__init__()
        self.U_o = Linear(state_dim, 2 * dim, bias=False)
        self.V_o = Linear(embedding_dim, 2 * dim)
        self.C_o = Linear(context_dim, 2 * dim, bias=False)

    def forward(self, s: Tensor, embedded: Tensor, c: Tensor) -> Tensor:
        """t (…, l) of s, E y and c, which broadcast."""
        sums: Tensor = self.U_o(s) + self.V_o(embedded) + self.C_o(c)
        t: Tensor = sums.unflatten(-1, (-1, 2)).amax(-1)
        return t


class InitialStates(nn.Module):
    """The states that a stack starts from: the encoder's last states, layer by layer.

    After an encoder that is not recurrent they are tanh(W_s summary), as in Bahdanau et al. 2015, section A.2.2.

    Raises:
        ValueError: if a recurrent encoder has other layers, widths or units than the stack.
    """

    def __init__(self, encoder: Encoder, stack: Stack) -> None:
        super().__init__()
        self.layers = len(stack.cells)
        self.W_s = None
        if not isinstance(encoder, RecurrentEncoder):
            self.W_s = Linear(encoder.readings * encoder.summary_dim, self.layers * stack.state_dim)
            return
        needed = f"{self.layers} layers of {stack.dim} {stack.unit} units"
        given = f"{len(encoder.layers)} layers of {encoder.dim} {encoder.unit} units"
        if given != needed:
            raise ValueError(
                f"the decoder starts from the encoder's last states, so it needs an encoder of {needed}, but has {given}: "
                "set model.encoder.layers, model.encoder.hidden_dim and model.encoder.cell to null, which takes the decoder's"
            )

    def forward(self, encoded: Encoded) -> Tensor:
        """States (B, L, parts · n)."""
        if self.W_s is None:
            assert encoded.last is not None
            return encoded.last
        states: Tensor = torch.tanh(self.W_s(encoded.summary.flatten(1))).unflatten(-1, (self.layers, -1))
        return states
