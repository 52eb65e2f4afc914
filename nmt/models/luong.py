"""Luong, Pham and Manning, Effective approaches to attention-based neural machine translation (2015)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.models.attention import Attention, Score
from nmt.models.cells import LSTMCell
from nmt.models.encoder import StackedLSTM
from nmt.models.seq2seq import Memory, Seq2Seq, State, Vocabulary, check_sizes


class Luong(Seq2Seq):
    """Stacked LSTMs with global attention and input feeding (section 3), in the paper's letters.

    h_t: top state of the decoder LSTM over [E y_{t-1}; h̃_{t-1}] (input feeding, section 3.3; h̃_0 = 0),
    which starts from the encoder's last states;
    a_t(s) = softmax(score(h_t, h̄_s)) over the encoder's top states h̄ (equation 7);  c_t = Σ_s a_t(s) h̄_s;
    h̃_t = tanh(W_c [c_t; h_t]) (equation 5);  p(y_t | y_<t, x) = softmax(W_s h̃_t) (equation 6).

    Dropout is on embeddings, between layers and on h̃_t before W_s (vertical connections, as in Zaremba et al. 2014,
    which the paper follows), not on the h̃_{t-1} that is fed. All parameters begin uniform in [-0.1, 0.1] (section 4.1).
    The paper reverses its source sentences; here they keep their order.

    Args:
        vocabulary: numbers of pieces.
        attention: makes the score from (query width, key width).
        embedding_dim: width of the embeddings.
        hidden_dim: width n of all states.
        layers: LSTM layers on either side.
        dropout: probability.
        bidirectional: whether the encoder reads in both directions (the paper: left to right).
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        attention: Callable[[int, int], Score],
        embedding_dim: int,
        hidden_dim: int,
        layers: int,
        dropout: float,
        bidirectional: bool,
    ) -> None:
        super().__init__()
        check_sizes(dropout=dropout, embedding_dim=embedding_dim, hidden_dim=hidden_dim, layers=layers)
        if bidirectional and hidden_dim % 2:
            raise ValueError(
                f"model.hidden_dim ({hidden_dim}) must be even with model.bidirectional=true: half for each direction"
            )
        self.dropout = dropout
        self.src_embedding = nn.Embedding(vocabulary.src, embedding_dim)
        self.tgt_embedding = nn.Embedding(vocabulary.tgt, embedding_dim)
        self.encoder = StackedLSTM(embedding_dim, hidden_dim, layers=layers, dropout=dropout, bidirectional=bidirectional)
        self.W_y = nn.Linear(embedding_dim, 4 * hidden_dim, bias=False)  # the embedding's share of the first layer
        self.cells = nn.ModuleList(LSTMCell(hidden_dim, hidden_dim) for _ in range(layers))
        self.attention = Attention(attention(hidden_dim, hidden_dim))
        self.W_c = nn.Linear(2 * hidden_dim, hidden_dim, bias=False)
        self.output = nn.Linear(hidden_dim, vocabulary.tgt, bias=False)  # W_s
        for parameter in self.parameters():  # section 4.1
            nn.init.uniform_(parameter, -0.1, 0.1)

    def cross_attention(self) -> list[nn.Module]:
        return [self.attention]

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        embedded = F.dropout(self.src_embedding(src), self.dropout, self.training)
        states, h, c = self.encoder(embedded, src_mask)
        return self.attention.memory(states, src_mask) | {"h": h, "c": c}

    def start(self, memory: Memory) -> State:
        h, c = memory["h"].unsqueeze(1), memory["c"].unsqueeze(1)  # (B, 1, L, n)
        return {"h": h, "c": c, "fed": torch.zeros_like(h[:, :, 0])}

    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        memory = self.encode(src, src_mask)
        state = self.start(memory)
        h, c, fed = list(state["h"].unbind(2)), list(state["c"].unbind(2)), state["fed"]
        embedded = F.dropout(self.tgt_embedding(tgt_in), self.dropout, self.training)
        features = []
        for inputs in self.W_y(embedded).split(1, dim=1):  # (B, 1, 4n)
            h, c, fed = self._recur(inputs, h, c, fed, memory)
            features.append(fed)
        return F.dropout(torch.cat(features, 1), self.dropout, self.training)  # (B, T, n)

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        inputs = self.W_y(self.tgt_embedding(tokens))
        h, c, fed = self._recur(inputs, list(state["h"].unbind(2)), list(state["c"].unbind(2)), state["fed"], memory)
        return fed, {"h": torch.stack(h, 2), "c": torch.stack(c, 2), "fed": fed}

    def _recur(
        self, inputs: Tensor, h: list[Tensor], c: list[Tensor], fed: Tensor, memory: Memory
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """One step: the states of all layers (B, K, n) each, and the attentional vector h̃_t (B, K, n)."""
        h, c = list(h), list(c)
        h[0], c[0] = self.cells[0](fed, h[0], c[0], inputs)
        for layer in range(1, len(h)):
            below = F.dropout(h[layer - 1], self.dropout, self.training)
            h[layer], c[layer] = self.cells[layer](below, h[layer], c[layer])
        context = self.attention(h[-1], memory)
        return h, c, torch.tanh(self.W_c(torch.cat([context, h[-1]], dim=-1)))
