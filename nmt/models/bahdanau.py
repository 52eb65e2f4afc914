"""RNNsearch: Bahdanau, Cho and Bengio, Neural machine translation by jointly learning to align and translate (2015)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nmt.models.attention import Attention
from nmt.models.cells import cell_named
from nmt.models.deferred import RecurrentLinear, one_gradient_product
from nmt.models.encoder import DecoderShape
from nmt.models.linear import Linear
from nmt.models.recurrent import AttentionalModel, EncoderFactory, Maxout
from nmt.models.seq2seq import Memory, State, Vocabulary, check_sizes


class Bahdanau(AttentionalModel):
    """The model of appendix A, in its letters (biases, which the paper leaves out, are in the W of the cells and in W_s, V_o).

    Encoder: h_j = [→h_j; ←h_j], a bidirectional GRU.
    Decoder: s_0 = tanh(W_s ←h_1);  c_i = Σ_j α_ij h_j with α_i = softmax(e_i), e_ij = a(s_{i-1}, h_j);
    s_i = GRU(W E y_{i-1} + C c_i, s_{i-1}).
    Readout: t̃_i = U_o s_{i-1} + V_o E y_{i-1} + C_o c_i;  t_i = [max(t̃_{i,2j-1}, t̃_{i,2j})]_j;
    p(y_i | y_<i, x) ∝ exp(y_iᵀ W_o t_i).

    Dropout, on both embeddings and on t_i, is an addition; `dropout: 0` is the paper's model. Recurrent weights begin
    orthogonal as in section B.1; the other weights begin larger than there, for Adam instead of Adadelta.

    Args:
        vocabulary: numbers of pieces.
        encoder: makes the encoder; the last summary of its readings stands for ←h_1.
        attention: makes a from (query width, key width).
        cell: `gru`, or `lstm`, which section A.1.1 allows.
        embedding_dim: width m of the embeddings.
        hidden_dim: width n of the decoder's states.
        maxout_dim: width l of t_i.
        dropout: probability.
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
        maxout_dim: int,
        dropout: float,
    ) -> None:
        check_sizes(dropout=dropout, embedding_dim=embedding_dim, hidden_dim=hidden_dim, maxout_dim=maxout_dim)
        super().__init__(vocabulary, encoder, DecoderShape(embedding_dim, hidden_dim, 1, cell, dropout))
        key_dim = self.encoder.dim
        self.cell = cell_named(cell)(embedding_dim, hidden_dim)  # W_z, W_r, W and the U of the paper
        self.W_s = Linear(self.encoder.summary_dim, self.cell.parts * hidden_dim)
        self.attention = attention(hidden_dim, key_dim)
        self.C = RecurrentLinear(key_dim, self.cell.gates * hidden_dim, bias=False)  # C_z, C_r and C
        self.readout = Maxout(hidden_dim, embedding_dim, key_dim, maxout_dim)  # U_o, V_o and C_o
        self.output = nn.Linear(maxout_dim, vocabulary.tgt, bias=False)  # W_o
        for embedding in (self.src_embedding, self.tgt_embedding):
            nn.init.normal_(embedding.weight, std=0.1)

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        encoded = self.read_source(src, src_mask)
        return self.attention.memory(encoded.states, src_mask) | {"initial": torch.tanh(self.W_s(encoded.summary[:, -1]))}

    def start(self, memory: Memory) -> State:
        s = memory["initial"].unsqueeze(1)  # (B, 1, parts · n)
        return {"s": s, "position": torch.ones_like(s[:, :, 0], dtype=torch.long)}

    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        memory = self.encode(src, src_mask)
        s = self.start(memory)["s"]
        embedded = self.embed_target(tgt_in)
        positions = torch.arange(1, tgt_in.size(1) + 1, device=tgt_in.device)
        states, contexts = [], []
        with one_gradient_product():
            for inputs, position in zip(self.cell.W(embedded).split(1, dim=1), positions.split(1), strict=True):
                states.append(self.cell.hidden(s))
                s, c = self._recur(inputs, s, memory, position)
                contexts.append(c)
        return self.drop(self.readout(torch.cat(states, 1), embedded, torch.cat(contexts, 1)))

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        embedded = self.embed_target(tokens)
        s, c = self._recur(self.cell.W(embedded), state["s"], memory, state["position"])
        features = self.drop(self.readout(self.cell.hidden(state["s"]), embedded, c))
        return features, {"s": s, "position": state["position"] + 1}

    def _recur(self, inputs: Tensor, s: Tensor, memory: Memory, position: Tensor) -> tuple[Tensor, Tensor]:
        """s_i and c_i (B, K, ·) from W E y_{i-1} and s_{i-1}."""
        c = self.attention(self.cell.hidden(s), memory, position)
        return self.cell(inputs + self.C(c), s), c
