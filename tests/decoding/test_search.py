"""Beam search against greedy loops and exhaustive enumeration, and its rules on models whose distributions are written down."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.decoding.choosing import Beam
from nmt.decoding.limits import Limits
from nmt.decoding.scoring import Scoring
from nmt.decoding.search import Hypothesis, search
from nmt.models.attention import Global, LocalPredictive
from nmt.models.bahdanau import Bahdanau
from nmt.models.encdec import Sutskever
from nmt.models.encoder import RecurrentEncoder
from nmt.models.feedforward import ReLU
from nmt.models.luong import Luong
from nmt.models.patterns import Full
from nmt.models.positions import Sinusoidal
from nmt.models.scores import Additive, General
from nmt.models.seq2seq import Memory, Seq2Seq, State, Vocabulary
from nmt.models.transformer import Transformer
from nmt.vocabulary import BOS, EOS, PAD, UNK

PIECES = 6  # of the toy vocabulary: the four special ones, and …
A, B = 4, 5


class Toy(Seq2Seq):
    """Logits looked up for each (first source piece, prefix): any distribution over short translations can be written down.

    A prefix is numbered by reading its pieces as digits. `rows` collects how many sentences each step was asked for.
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = table  # (sources, prefixes, V)
        self.output = nn.Linear(PIECES, PIECES, bias=False)
        nn.init.eye_(self.output.weight)
        self.rows: list[int] = []

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        return {"mask": src_mask, "source": src[:, 0]}

    def start(self, memory: Memory) -> State:
        return {"prefix": torch.zeros_like(memory["source"]).unsqueeze(1)}

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        self.rows.append(len(tokens))
        prefix = state["prefix"] * PIECES + tokens.where(tokens != BOS, 0)
        return self.table[memory["source"].unsqueeze(1), prefix], {"prefix": prefix}

    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        memory = self.encode(src, src_mask)
        state, features = self.start(memory), []
        for tokens in tgt_in.split(1, dim=1):
            x, state = self.step(tokens, state, memory)
            features.append(x)
        return torch.cat(features, dim=1)

    def cross_attention(self) -> list[nn.Module]:
        return []


def prefix_number(*pieces: int) -> int:
    number = 0
    for piece in pieces:
        number = number * PIECES + piece
    return number


def beam_search(
    model: Seq2Seq, src: Tensor, src_mask: Tensor, *, beam: int, length_penalty: float, max_lengths: Tensor
) -> list[list[Hypothesis]]:
    """All that a beam finds until as many hypotheses as it is wide have finished."""
    scoring = Scoring("average", length_penalty)
    return search(model, src, src_mask, chooser=Beam(beam), scoring=scoring, limits=Limits.make(max_lengths))


def toy(length: int, *, sources: int = 1, seed: int | None = None) -> Toy:
    """All pieces equal after every prefix of up to `length` pieces, or random ones."""
    shape = (sources, PIECES**length, PIECES)
    if seed is None:
        return Toy(torch.zeros(shape))
    return Toy(torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2)


def found_in(model: Seq2Seq, sources: list[int], lengths: list[int], beam: int, penalty: float = 1.0) -> list[list[Hypothesis]]:
    src = torch.tensor(sources).unsqueeze(1)
    mask = torch.ones_like(src, dtype=torch.bool)
    return beam_search(model, src, mask, beam=beam, length_penalty=penalty, max_lengths=torch.tensor(lengths))


def ids(hypotheses: list[Hypothesis]) -> list[list[int]]:
    return [hypothesis.ids for hypothesis in hypotheses]


@torch.no_grad()
def log_prob(model: Seq2Seq, src: Tensor, src_mask: Tensor, pieces: list[int]) -> float:
    """Of one translation and its end, by teacher forcing."""
    features = model(src, torch.tensor([[BOS, *pieces]]), src_mask)
    log_probs = model.project(features).log_softmax(-1)
    return float(log_probs[0, range(len(pieces) + 1), [*pieces, EOS]].sum())


def recurrent(direction: str) -> dict[str, Any]:
    """Sizes and an encoder with those of the decoder."""
    encoder = partial(RecurrentEncoder, direction=direction, hidden_dim=None, layers=None, cell=None)
    return {"encoder": encoder, "embedding_dim": 6, "hidden_dim": 10, "dropout": 0.0}


def bahdanau() -> Seq2Seq:
    attention = partial(Global, score=partial(Additive, dim=None))
    return Bahdanau(Vocabulary(11, 13, joint=False), attention=attention, cell="gru", maxout_dim=4, **recurrent("both"))


def luong() -> Seq2Seq:
    attention = partial(LocalPredictive, score=General, D=1)
    decoder: dict[str, Any] = {"cell": "lstm", "layers": 2, "input_feeding": True}
    return Luong(Vocabulary(11, 13, joint=False), attention=attention, **decoder, **recurrent("forward"))


def sutskever() -> Seq2Seq:
    return Sutskever(Vocabulary(11, 13, joint=False), cell="lstm", layers=2, **recurrent("backward"))


def transformer() -> Seq2Seq:
    sizes = {"dim": 12, "heads": 3, "feedforward_dim": 10, "encoder_layers": 2, "decoder_layers": 2, "dropout": 0.0}
    kinds = {"positions": Sinusoidal, "pattern": Full, "feedforward": ReLU, "normalization": "layer", "key_value_heads": None}
    return Transformer(Vocabulary(11, 13, joint=False), norm="pre", tied="none", **sizes, **kinds)


@pytest.fixture(params=[bahdanau, luong, sutskever, transformer], ids=lambda make: make.__name__)
def model(request: pytest.FixtureRequest, float64: None) -> Seq2Seq:
    """A random model whose distributions are far from even, so that its searches are worth looking at."""
    make: Callable[[], Seq2Seq] = request.param
    torch.manual_seed(1)
    made = make()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.6)
        made.output.weight[EOS] *= 0.3  # or most translations would end at once
    return made.eval()


LENGTHS = [7, 4, 1, 6, 3]  # of the sources
MAX_LENGTHS = torch.tensor([9, 6, 4, 8, 0])


def sentences() -> tuple[Tensor, Tensor]:
    src = torch.randint(4, 11, (5, 7), generator=torch.Generator().manual_seed(2))
    mask = torch.arange(7) < torch.tensor(LENGTHS).unsqueeze(1)
    return src.masked_fill(~mask, PAD), mask


@torch.no_grad()
def greedy(model: Seq2Seq, src: Tensor, src_mask: Tensor, max_length: int) -> list[int]:
    """The most probable next piece, again and again, from the whole prefix every time."""
    pieces: list[int] = []
    while len(pieces) < max_length:
        logits = model.project(model(src, torch.tensor([[BOS, *pieces]]), src_mask))[0, -1]
        logits[[PAD, BOS]] = -torch.inf
        if (best := int(logits.argmax())) == EOS:
            break
        pieces.append(best)
    return pieces


def test_beam_1_is_greedy_search(model: Seq2Seq) -> None:
    src, mask = sentences()
    found = beam_search(model, src, mask, beam=1, length_penalty=1.0, max_lengths=MAX_LENGTHS)
    expected = [[greedy(model, src[n : n + 1], mask[n : n + 1], int(MAX_LENGTHS[n]))] for n in range(5)]
    assert [ids(hypotheses) for hypotheses in found] == expected
    assert len({len(pieces) for ((pieces),) in expected}) > 2  # some stop by themselves, some at their limit


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_scores_are_log_probabilities_by_teacher_forcing_over_the_penalised_length(
    model: Seq2Seq, beam: int, penalty: float
) -> None:
    src, mask = sentences()
    found = beam_search(model, src, mask, beam=beam, length_penalty=penalty, max_lengths=MAX_LENGTHS)
    for n, hypotheses in enumerate(found):
        for hypothesis in hypotheses:
            expected = log_prob(model, src[n : n + 1], mask[n : n + 1], hypothesis.ids)
            assert hypothesis.log_prob == pytest.approx(expected, rel=1e-9)
            assert hypothesis.score == pytest.approx(expected / (len(hypothesis.ids) + 1) ** penalty, rel=1e-9)


def test_hypotheses_are_distinct_sorted_and_within_their_limit(model: Seq2Seq) -> None:
    src, mask = sentences()
    found = beam_search(model, src, mask, beam=4, length_penalty=1.0, max_lengths=MAX_LENGTHS)
    assert [len(hypotheses) for hypotheses in found] == [4, 4, 4, 4, 1]
    for hypotheses, limit in zip(found, MAX_LENGTHS.tolist(), strict=True):
        scores = [hypothesis.score for hypothesis in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len(set(map(tuple, ids(hypotheses)))) == len(hypotheses)
        assert all(len(pieces) <= limit and not {PAD, BOS, EOS} & set(pieces) for pieces in ids(hypotheses))


def test_a_sentence_is_translated_alike_alone_and_in_any_company(model: Seq2Seq) -> None:
    src, mask = sentences()
    together = beam_search(model, src, mask, beam=4, length_penalty=1.0, max_lengths=MAX_LENGTHS)
    turned = beam_search(model, src.flip(0), mask.flip(0), beam=4, length_penalty=1.0, max_lengths=MAX_LENGTHS.flip(0))
    for n, length in enumerate(LENGTHS):
        row = slice(n, n + 1)
        (alone,) = beam_search(
            model, src[row, :length], mask[row, :length], beam=4, length_penalty=1.0, max_lengths=MAX_LENGTHS[row]
        )
        for others in (together[n], turned[4 - n]):
            assert ids(others) == ids(alone)
            assert [h.score for h in others] == pytest.approx([h.score for h in alone], rel=1e-9)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beam_as_wide_as_the_space_finds_what_enumeration_finds(penalty: float) -> None:
    model = toy(4, sources=2, seed=1)
    found = found_in(model, [0, 1], [3, 2], beam=PIECES**3, penalty=penalty)
    for source, longest in enumerate([3, 2]):
        src = torch.tensor([[source]])
        expected = []
        for length in range(longest + 1):
            for pieces in itertools.product([UNK, A, B], repeat=length):
                value = log_prob(model, src, torch.ones_like(src, dtype=torch.bool), list(pieces))
                expected.append(Hypothesis(list(pieces), [], value, value / (length + 1) ** penalty))
        expected.sort(key=lambda hypothesis: -hypothesis.score)
        assert len(expected) == sum(3**length for length in range(longest + 1))
        assert ids(found[source]) == ids(expected)
        assert [h.log_prob for h in found[source]] == pytest.approx([h.log_prob for h in expected], rel=1e-9)
        assert [h.score for h in found[source]] == pytest.approx([h.score for h in expected], rel=1e-9)
        assert all(sum(h.log_probs) == pytest.approx(h.log_prob, rel=1e-9) for h in found[source])
        assert all(len(h.log_probs) == len(h.ids) + 1 for h in found[source])


def test_among_equals_the_first_hypothesis_and_the_lowest_piece_win() -> None:
    # Of UNK, EOS, A and B the best three end once; then the children of [UNK] come before those of [A] and [B].
    (found,) = found_in(toy(3), [0], [2], beam=3, penalty=0.0)
    assert ids(found) == [[], [UNK], [UNK, UNK]]


@pytest.mark.parametrize("beam", [1, 2, 5])
def test_padding_and_the_beginning_of_sentence_are_never_emitted(beam: int) -> None:
    model = toy(4)
    model.table[:, :, [PAD, BOS]] = 9.0
    (found,) = found_in(model, [0], [3], beam=beam)
    assert len(found) == beam
    assert not {PAD, BOS} & {piece for pieces in ids(found) for piece in pieces}


@pytest.mark.parametrize("beam", [1, 3])
def test_at_its_maximum_length_a_translation_ends(beam: int) -> None:
    model = toy(5)
    model.table[:, :, B] = 9.0
    model.table[:, :, EOS] = -9.0
    found = found_in(model, [0, 0, 0], [2, 0, 4], beam=beam)
    assert [hypotheses[0].ids for hypotheses in found] == [[B, B], [], [B, B, B, B]]
    assert found[1][0].log_prob == pytest.approx(float(model.table[0, 0].log_softmax(-1)[EOS]), rel=1e-6)


def test_a_finished_sentence_leaves_the_batch() -> None:
    model = toy(5, sources=4)
    model.table[:, :, A] = 9.0
    for source, length in enumerate([2, 0, 3, 1]):  # each ends by itself after as many
        model.table[source, prefix_number(*[A] * length), EOS] = 20.0
    found = found_in(model, [0, 1, 2, 3], [9, 9, 9, 9], beam=1)
    assert [ids(hypotheses) for hypotheses in found] == [[[A, A]], [[]], [[A, A, A]], [[A]]]
    assert model.rows == [4, 3, 2, 1]


def test_a_sentence_is_done_when_as_many_hypotheses_as_the_beam_have_finished() -> None:
    model = toy(6)
    model.table[:, :, EOS] = 5.0  # every hypothesis would rather end …
    model.table[:, :, A] = 4.0
    (found,) = found_in(model, [0], [5], beam=2)
    assert ids(found) == [[], [A]]
    assert len(model.rows) == 2  # … so the second step is the last, though the limit is 5


def test_an_end_that_is_not_among_the_best_of_the_beam_does_not_finish() -> None:
    model = toy(3)
    model.table[:] = -20.0
    model.table[0, 0, [A, B, EOS]] = torch.tensor([2.0, 1.0, 0.0])  # third of three
    model.table[0, 1:, EOS] = 5.0
    (found,) = found_in(model, [0], [2], beam=2)
    assert sorted(ids(found)) == [[A], [B]]
    (found,) = found_in(model, [0], [2], beam=3)
    assert [] in ids(found)


def test_the_length_penalty_decides_between_short_and_long() -> None:
    model = toy(4)
    model.table[:] = -20.0
    model.table[0, 0, [EOS, A]] = torch.tensor([1.0, 0.5])  # ending at once is likelier …
    model.table[0, prefix_number(A), B] = 5.0
    model.table[0, prefix_number(A, B), EOS] = 5.0
    best = {penalty: found_in(model, [0], [3], beam=2, penalty=penalty)[0][0] for penalty in (0.0, 1.0)}
    assert best[0.0].ids == []
    assert best[1.0].ids == [A, B]  # … but three pieces share the cost of the first
    assert best[1.0].score == pytest.approx(best[1.0].log_prob / 3)
    assert best[0.0] == replace(best[0.0], score=best[0.0].log_prob)


def test_fewer_translations_than_the_beam_may_exist() -> None:
    (found,) = found_in(toy(3, seed=2), [0], [1], beam=9)
    assert sorted(ids(found)) == [[], [UNK], [A], [B]]
