"""Luong, Pham and Manning, Effective approaches to attention-based neural machine translation (2015)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nmt.models.attention import Attention
from nmt.models.cells import Stack, cell_named
from nmt.models.deferred import RecurrentLinear, one_gradient_product
from nmt.models.encoder import DecoderShape
from nmt.models.recurrent import AttentionalModel, EncoderFactory, InitialStates
from nmt.models.seq2seq import Memory, State, Vocabulary, check_sizes


class Luong(AttentionalModel):
    """Stacked LSTMs with attention after the recurrence (section 3), in the paper's letters.

    h_t: top state of the decoder, whose layers start from the encoder's last states. It reads E y_{t-1}, and with input
    feeding [E y_{t-1}; h̃_{t-1}] (section 3.3; h̃_0 = 0);
    c_t = Σ_s a_t(s) h̄_s over the encoder's top states h̄ (global or local, sections 3.1 and 3.2);
    h̃_t = tanh(W_c [c_t; h_t]) (equation 5);  p(y_t | y_<t, x) = softmax(W_s h̃_t) (equation 6).

    Without input feeding no state depends on attention: then each layer is one library call, and attention and h̃ are
    computed for all positions at once.

    Dropout is on embeddings, between layers and on h̃_t before W_s (vertical connections, as in Zaremba et al. 2014,
    which the paper follows), not on the h̃_{t-1} that is fed. All parameters begin uniform in [-0.1, 0.1] (section 4.1),
    at widths other than 1000 scaled.

    Args:
        vocabulary: numbers of pieces.
        encoder: makes the encoder; the paper's reads the source reversed (`direction: backward`).
        attention: makes the attention from (query width, key width).
        cell: `lstm` as in the paper, or `gru`.
        embedding_dim: width of the embeddings.
        hidden_dim: width n of the decoder's states.
        layers: of the decoder.
        dropout: probability.
        input_feeding: whether h̃_{t-1} is an input; its product, with W_f, is then a share of W x in the lowest layer.
        uniform: bound of the uniform beginning for states of 1000.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        encoder: EncoderFactory,
        attention: Callable[[int, int], Attention],
        cell: str,
        embedding_dim: int,
        hidden_dim: int,
        layers: int,
        dropout: float,
        input_feeding: bool,
        uniform: float = 0.1,
    ) -> None:
        check_sizes(dropout=dropout, embedding_dim=embedding_dim, hidden_dim=hidden_dim, layers=layers)
        super().__init__(vocabulary, encoder, DecoderShape(embedding_dim, hidden_dim, layers, cell, dropout))
        self.stack = Stack(cell, embedding_dim, hidden_dim, layers=layers, dropout=dropout)
        self.initial = InitialStates(self.encoder, self.stack)
        self.W_f = RecurrentLinear(hidden_dim, cell_named(cell).gates * hidden_dim, bias=False) if input_feeding else None
        self.attention = attention(hidden_dim, self.encoder.dim)
        self.W_c = RecurrentLinear(self.encoder.dim + hidden_dim, hidden_dim, bias=False)
        self.output = nn.Linear(hidden_dim, vocabulary.tgt, bias=False)  # W_s
        self.begin_uniform(uniform, hidden_dim)

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        encoded = self.read_source(src, src_mask)
        return self.attention.memory(encoded.states, src_mask) | {"initial": self.initial(encoded)}

    def start(self, memory: Memory) -> State:
        states = memory["initial"].unsqueeze(1)  # (B, 1, L, parts · n)
        position = torch.ones_like(states[:, :, 0, 0], dtype=torch.long)
        state = {"states": states, "position": position}
        if self.W_f is not None:
            state["fed"] = torch.zeros_like(self.stack.hidden(states[:, :, 0]))
        return state

    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        memory = self.encode(src, src_mask)
        embedded = self.embed_target(tgt_in)
        positions = torch.arange(1, tgt_in.size(1) + 1, device=tgt_in.device)
        if self.W_f is None:
            features = self._attentional(self.stack.read(embedded, memory["initial"]), memory, positions)
        else:
            features = self._feed(embedded, memory, positions)
        return self.drop(features)  # (B, T, n)

    def _feed(self, embedded: Tensor, memory: Memory, positions: Tensor) -> Tensor:
        """h̃ (B, T, n) of all positions, one after the other."""
        state = self.start(memory)
        states, fed = list(state["states"].unbind(2)), state["fed"]
        features = []
        with one_gradient_product():
            for inputs, position in zip(self.stack.inputs(embedded).split(1, dim=1), positions.split(1), strict=True):
                states, fed = self._recur(inputs, states, fed, memory, position)
                features.append(fed)
        return torch.cat(features, 1)

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        inputs = self.stack.inputs(self.embed_target(tokens))
        states = list(state["states"].unbind(2))
        states, features = self._recur(inputs, states, state.get("fed"), memory, state["position"])
        following = {"states": torch.stack(states, 2), "position": state["position"] + 1}
        return self.drop(features), following | ({} if self.W_f is None else {"fed": features})

    def _recur(
        self, inputs: Tensor, states: list[Tensor], fed: Tensor | None, memory: Memory, position: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """One step: the states of all layers (B, K, parts · n) and h̃_t (B, K, n)."""
        if self.W_f is not None:
            inputs = inputs + self.W_f(fed)
        states = self.stack(inputs, states)
        return states, self._attentional(self.stack.hidden(states[-1]), memory, position)

    def _attentional(self, h: Tensor, memory: Memory, position: Tensor) -> Tensor:
        c = self.attention(h, memory, position)
        return torch.tanh(self.W_c(torch.cat([c, h], dim=-1)))
