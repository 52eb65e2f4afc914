"""RNNsearch: Bahdanau, Cho and Bengio, Neural machine translation by jointly learning to align and translate (2015)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.models.attention import Attention, Score
from nmt.models.cells import GRUCell
from nmt.models.encoder import BidirectionalGRU
from nmt.models.seq2seq import Memory, Seq2Seq, State, Vocabulary, check_sizes


class Bahdanau(Seq2Seq):
    """The model of appendix A, in its letters (biases, which the paper leaves out, are in `W`, `W_s` and `V_o`).

    Encoder: h_j = [→h_j; ←h_j], a bidirectional GRU.
    Decoder: s_0 = tanh(W_s ←h_1);  c_i = Σ_j α_ij h_j with α_i = softmax(e_i), e_ij = a(s_{i-1}, h_j);
    s_i = GRU(W E y_{i-1} + C c_i, s_{i-1}).
    Readout: t̃_i = U_o s_{i-1} + V_o E y_{i-1} + C_o c_i;  t_i = [max(t̃_{i,2j-1}, t̃_{i,2j})]_j;
    p(y_i | y_<i, x) ∝ exp(y_iᵀ W_o t_i).

    Dropout, on both embeddings and on t_i, is an addition; `dropout: 0` is the paper's model. Recurrent weights begin
    orthogonal as in section B.1; the other weights begin larger than there, for Adam instead of Adadelta.

    Args:
        vocabulary: numbers of pieces.
        attention: makes the score from (query width, key width).
        embedding_dim: width m of the embeddings.
        encoder_dim: width of the encoder's states in each direction; h_j is twice as wide.
        hidden_dim: width n of the decoder's states.
        maxout_dim: width l of t_i.
        dropout: probability.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        attention: Callable[[int, int], Score],
        embedding_dim: int,
        encoder_dim: int,
        hidden_dim: int,
        maxout_dim: int,
        dropout: float,
    ) -> None:
        super().__init__()
        check_sizes(
            dropout=dropout, embedding_dim=embedding_dim, encoder_dim=encoder_dim, hidden_dim=hidden_dim, maxout_dim=maxout_dim
        )
        self.dropout = dropout
        key_dim = 2 * encoder_dim
        self.src_embedding = nn.Embedding(vocabulary.src, embedding_dim)
        self.tgt_embedding = nn.Embedding(vocabulary.tgt, embedding_dim)
        self.encoder = BidirectionalGRU(embedding_dim, encoder_dim)
        self.W_s = nn.Linear(encoder_dim, hidden_dim)
        self.attention = Attention(attention(hidden_dim, key_dim))
        self.W = nn.Linear(embedding_dim, 3 * hidden_dim)  # W_z, W_r and W
        self.C = nn.Linear(key_dim, 3 * hidden_dim, bias=False)  # C_z, C_r and C
        self.cell = GRUCell(hidden_dim)
        self.U_o = nn.Linear(hidden_dim, 2 * maxout_dim, bias=False)
        self.V_o = nn.Linear(embedding_dim, 2 * maxout_dim)
        self.C_o = nn.Linear(key_dim, 2 * maxout_dim, bias=False)
        self.output = nn.Linear(maxout_dim, vocabulary.tgt, bias=False)  # W_o
        for embedding in (self.src_embedding, self.tgt_embedding):
            nn.init.normal_(embedding.weight, std=0.1)

    def cross_attention(self) -> list[nn.Module]:
        return [self.attention]

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        embedded = F.dropout(self.src_embedding(src), self.dropout, self.training)
        states, first = self.encoder(embedded, src_mask)
        return self.attention.memory(states, src_mask) | {"initial": torch.tanh(self.W_s(first))}

    def start(self, memory: Memory) -> State:
        return {"s": memory["initial"].unsqueeze(1)}

    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        memory = self.encode(src, src_mask)
        s = self.start(memory)["s"]
        embedded = F.dropout(self.tgt_embedding(tgt_in), self.dropout, self.training)
        states, contexts = [], []
        for inputs in self.W(embedded).split(1, dim=1):  # (B, 1, 3n)
            states.append(s)
            s, c = self._recur(inputs, s, memory)
            contexts.append(c)
        return self._readout(torch.cat(states, 1), embedded, torch.cat(contexts, 1))

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        embedded = self.tgt_embedding(tokens)
        s, c = self._recur(self.W(embedded), state["s"], memory)
        return self._readout(state["s"], embedded, c), {"s": s}

    def _recur(self, inputs: Tensor, s: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        c = self.attention(s, memory)  # (B, K, 2n)
        return self.cell(inputs + self.C(c), s), c

    def _readout(self, s: Tensor, embedded: Tensor, c: Tensor) -> Tensor:
        t = (self.U_o(s) + self.V_o(embedded) + self.C_o(c)).unflatten(-1, (-1, 2)).amax(-1)  # (B, T, l)
        return F.dropout(t, self.dropout, self.training)
