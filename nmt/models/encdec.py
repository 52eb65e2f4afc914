"""Encoder-decoders without attention: what attention is measured against.

Sutskever, Vinyals and Le, Sequence to sequence learning with neural networks (2014).
Cho et al., Learning phrase representations using RNN encoder-decoder for statistical machine translation (2014).
"""

import torch
from torch import Tensor, nn

from nmt.models.cells import Cell, Stack
from nmt.models.deferred import RecurrentLinear
from nmt.models.encoder import DecoderShape
from nmt.models.linear import Linear
from nmt.models.recurrent import EncoderFactory, InitialStates, Maxout, RecurrentModel
from nmt.models.seq2seq import Memory, State, Vocabulary, check_sizes


class Sutskever(RecurrentModel):
    """A deep LSTM whose last states start another one; p(y_t | y_<t, x) = softmax(W h_t) of its top state (section 2).

    The paper's LSTM has peepholes (Graves 2013), this one has none. It reads the source reversed (section 3.3): that is the
    encoder's `direction: backward`. Dropout, which the paper does not have, is on embeddings, between layers and on h_t
    before W. All parameters begin uniform in [-0.08, 0.08] (section 3.4), at widths other than 1000 scaled.

    Args:
        vocabulary: numbers of pieces.
        encoder: makes the encoder.
        cell: `lstm` as in the paper, or `gru`.
        embedding_dim: width of the embeddings.
        hidden_dim: width n of the decoder's states.
        layers: of the decoder.
        dropout: probability.
        uniform: bound of the uniform beginning for states of 1000.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        encoder: EncoderFactory,
        cell: str,
        embedding_dim: int,
        hidden_dim: int,
        layers: int,
        dropout: float,
        uniform: float = 0.08,
    ) -> None:
        check_sizes(dropout=dropout, embedding_dim=embedding_dim, hidden_dim=hidden_dim, layers=layers)
        super().__init__(vocabulary, encoder, DecoderShape(embedding_dim, hidden_dim, layers, cell, dropout))
        self.stack = Stack(cell, embedding_dim, hidden_dim, layers=layers, dropout=dropout)
        self.initial = InitialStates(self.encoder, self.stack)
        self.output = nn.Linear(hidden_dim, vocabulary.tgt, bias=False)  # W
        self.begin_uniform(uniform, hidden_dim)

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        return {"mask": src_mask, "initial": self.initial(self.read_source(src, src_mask))}

    def start(self, memory: Memory) -> State:
        return {"states": memory["initial"].unsqueeze(1)}  # (B, 1, L, parts · n)

    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        memory = self.encode(src, src_mask)
        return self.drop(self.stack.read(self.embed_target(tgt_in), memory["initial"]))  # (B, T, n)

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        states = self.stack(self.stack.inputs(self.embed_target(tokens)), list(state["states"].unbind(2)))
        return self.drop(self.stack.hidden(states[-1])), {"states": torch.stack(states, 2)}


class Cho(RecurrentModel):
    """The RNN encoder-decoder of appendix A, in its letters (biases, which the paper leaves out, are in W, V, V' and O_y).

    Encoder: a GRU, whose last state gives the summary c = tanh(V h_N).
    Decoder: h'_0 = tanh(V' c);  h'_t = z ∘ h'_{t-1} + (1 - z) ∘ h̃_t,  h̃_t = tanh(W e(y_{t-1}) + r ∘ [U h'_{t-1} + C c]),
    z = σ(W_z e(y_{t-1}) + U_z h'_{t-1} + C_z c), and r likewise.
    Readout: s'_t = O_h h'_t + O_y y_{t-1} + O_c c;  s_t = [max(s'_{t,2i-1}, s'_{t,2i})]_i;  p(y_t) = softmax(G s_t).

    c enters every step and every readout. `ChoCell` writes 1 - z for z, as Bahdanau's GRU does. What differs: O_y is
    applied to the embedding of y_{t-1}, not to the word itself, and G is one matrix, not the product of two; e(y_0) is the
    embedding of BOS, not zero, and weights that are not recurrent begin larger.
    Dropout is on embeddings and s_t; `dropout: 0` is the paper's model.

    Args:
        vocabulary: numbers of pieces.
        encoder: makes the encoder; its summary stands for h_N.
        embedding_dim: width of the embeddings.
        hidden_dim: width n of the states and of c.
        maxout_dim: width of s_t.
        dropout: probability.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        encoder: EncoderFactory,
        embedding_dim: int,
        hidden_dim: int,
        maxout_dim: int,
        dropout: float,
    ) -> None:
        check_sizes(dropout=dropout, embedding_dim=embedding_dim, hidden_dim=hidden_dim, maxout_dim=maxout_dim)
        super().__init__(vocabulary, encoder, DecoderShape(embedding_dim, hidden_dim, 1, "gru", dropout))
        self.V = Linear(self.encoder.readings * self.encoder.summary_dim, hidden_dim)
        self.V_prime = Linear(hidden_dim, hidden_dim)
        self.cell = ChoCell(embedding_dim, hidden_dim)
        self.readout = Maxout(hidden_dim, embedding_dim, hidden_dim, maxout_dim)  # O_h, O_y and O_c
        self.output = nn.Linear(maxout_dim, vocabulary.tgt, bias=False)  # G
        for embedding in (self.src_embedding, self.tgt_embedding):
            nn.init.normal_(embedding.weight, std=0.1)

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        c = torch.tanh(self.V(self.read_source(src, src_mask).summary.flatten(1)))  # (B, n)
        return {"mask": src_mask, "c": c, "entering": self.cell.C(c)}

    def start(self, memory: Memory) -> State:
        return {"h": torch.tanh(self.V_prime(memory["c"])).unsqueeze(1)}  # (B, 1, n)

    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        memory = self.encode(src, src_mask)
        embedded = self.embed_target(tgt_in)
        inputs = self.cell.inputs(embedded, memory["entering"].unsqueeze(1))
        h, _ = self.cell.recur(inputs, self.start(memory)["h"].squeeze(1))
        return self.drop(self.readout(h, embedded, memory["c"].unsqueeze(1)))

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        embedded = self.embed_target(tokens)
        h = self.cell(self.cell.inputs(embedded, memory["entering"].unsqueeze(1)), state["h"])
        return self.drop(self.readout(h, embedded, memory["c"].unsqueeze(1))), {"h": h}


class ChoCell(Cell):
    """The decoder's unit in Cho et al. 2014, appendix A: the reset gate acts on [U h + C c], after the products.

    What enters is [W_z e + C_z c, W_r e + C_r c, W e, C c].
    """

    gates = 4
    summaries = 1
    parts = 1

    def __init__(self, input_dim: int, dim: int) -> None:
        super().__init__(input_dim, dim)
        self.C = Linear(dim, 3 * dim, bias=False)  # C_z, C_r, C
        self.U = RecurrentLinear(dim, 3 * dim, bias=False)  # U_z, U_r, U
        for weight in self.U.weight.split(dim):
            nn.init.orthogonal_(weight)

    def inputs(self, embedded: Tensor, entering: Tensor) -> Tensor:
        """What enters (…, 4n), from e(y) and C c, which broadcast."""
        zr = 2 * self.dim
        W = self.W(embedded)
        inside = entering[..., zr:].expand(*W.shape[:-1], -1)
        return torch.cat([W[..., :zr] + entering[..., :zr], W[..., zr:], inside], dim=-1)

    def forward(self, inputs: Tensor, state: Tensor) -> Tensor:
        x_zr, x, inside = inputs.split([2 * self.dim, self.dim, self.dim], dim=-1)
        u_zr, u = self.U(state).split([2 * self.dim, self.dim], dim=-1)
        z, r = torch.sigmoid(x_zr + u_zr).chunk(2, dim=-1)
        candidate = torch.tanh(x + r * (u + inside))
        return state + z * (candidate - state)
