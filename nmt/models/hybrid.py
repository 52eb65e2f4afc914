"""A Transformer's encoder below a recurrent decoder (Chen et al. 2018, The best of both worlds)."""

from collections.abc import Callable

from torch import Tensor, nn

from nmt.models.encoder import DecoderShape, Encoded, Encoder
from nmt.models.feedforward import FeedForward
from nmt.models.layers import Parts
from nmt.models.patterns import Pattern
from nmt.models.positions import Positions
from nmt.models.seq2seq import Block, Limit, check_sizes
from nmt.models.transformer import TransformerEncoder


class SelfAttentiveEncoder(Encoder):
    """The states of a Transformer's encoder, as wide as the embeddings. The summary is their mean; there are no last states.

    Args:
        decoder: gives the width and the dropout.
        layers: how many.
        heads: attention heads; must divide the width.
        feedforward_dim: width inside the feed-forward sublayers.
        norm: `pre` or `post`.
        normalization: `layer` or `rms`.
        positions: how self-attention knows the order.
        pattern: which pieces self-attention sees.
        feedforward: the sublayer of that name.
    """

    def __init__(
        self,
        decoder: DecoderShape,
        *,
        layers: int,
        heads: int,
        feedforward_dim: int,
        norm: str,
        normalization: str,
        positions: Callable[[int, int], Positions],
        pattern: Callable[[], Pattern],
        feedforward: Callable[[int, int], FeedForward],
    ) -> None:
        super().__init__()
        check_sizes(dropout=decoder.dropout, **{"encoder.layers": layers, "encoder.heads": heads})
        try:
            parts = Parts(
                dim=decoder.embedding_dim,
                heads=heads,
                key_value_heads=None,
                feedforward_dim=feedforward_dim,
                dropout=decoder.dropout,
                norm=norm,
                normalization=normalization,
                positions=positions,
                pattern=pattern,
                feedforward=feedforward,
            )
            self.stack = TransformerEncoder(layers=layers, parts=parts)
        except ValueError as error:  # which names the keys of a Transformer
            message = str(error).replace("model.", "model.encoder.").replace("model.encoder.dim", "model.embedding_dim")
            raise ValueError(message) from error
        self.dim = self.summary_dim = decoder.embedding_dim
        self.readings = 1

    def longest(self) -> Limit | None:
        limit = self.stack.positions.limit()
        return None if limit is None else Limit("model.encoder.positions.length", limit.pieces)

    def blocks(self) -> list[Block]:
        return [Block(layer) for layer in self.stack.layers]

    def attention(self) -> list[nn.Module]:
        return self.stack.attention()

    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        states = self.stack(embedded, mask)
        real = mask.unsqueeze(-1).to(states.dtype)
        mean = (states * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)  # (B, 1, D)
        return Encoded(states, mean, None)
