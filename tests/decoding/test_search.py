"""Beam search against greedy loops and exhaustive enumeration, and its rules on models whose distributions are written down."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.config import config_directory
from nmt.decoding.choosing import Beam, Sample, uniforms_of
from nmt.decoding.coverage import Covering
from nmt.decoding.forced import forced
from nmt.decoding.limits import Limits
from nmt.decoding.scoring import Scoring
from nmt.decoding.search import Hypothesis, search
from nmt.decoding.stopping import Ahead, Count, Exact, Standing, Stop
from nmt.explain.record import source_attention
from nmt.models.seq2seq import Memory, Seq2Seq, State
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
    scoring, limits = Scoring("average", length_penalty), Limits.make(max_lengths)
    return search(model, src, src_mask, chooser=Beam(beam), scoring=scoring, limits=limits, stop=Count(scoring, 1.0))


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


NAMES = sorted(path.stem for path in (config_directory() / "model").glob("*.yaml"))
WITHOUT_ATTENTION = ("encdec", "cho")


def searched(spec: dict[str, Any], built: Callable[[Any], Seq2Seq]) -> Seq2Seq:
    """A random model with distributions far from even, so that its searches are worth looking at."""
    made = built(spec)
    with torch.no_grad():
        made.output.weight *= 3.0
        made.output.weight[EOS] *= 0.1  # or most translations would end at once
    return made


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest, small_spec: Any, built: Callable[[Any], Seq2Seq], float64: None) -> Seq2Seq:
    """Each model there is."""
    return searched(small_spec(f"model={request.param}"), built)


@pytest.fixture(params=[name for name in NAMES if not name.startswith(WITHOUT_ATTENTION)])
def attentive(request: pytest.FixtureRequest, small_spec: Any, built: Callable[[Any], Seq2Seq], float64: None) -> Seq2Seq:
    """Each model that has attention to the source."""
    return searched(small_spec(f"model={request.param}"), built)


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


RULES = [("none", 1.0), ("average", 1.0), ("average", 0.3), ("wu", 0.8)]


class Never(Stop):
    """Every hypothesis lives until its maximum length."""

    def done(self, standing: Standing) -> Tensor:
        return torch.zeros_like(standing.counts, dtype=torch.bool)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("rule", "penalty"), RULES)
def test_the_exact_stop_changes_nothing_among_the_best(rule: str, penalty: float) -> None:
    scoring = Scoring(rule, penalty)
    found, steps = searched_toys(scoring, Exact(scoring))
    whole, most = searched_toys(scoring, Never(scoring))
    assert found == whole
    assert steps < most


def searched_toys(scoring: Scoring, stop: Stop) -> tuple[list[list[list[Hypothesis]]], int]:
    """The n best translations of some toys, and the steps that they took."""
    found, steps = [], 0
    for seed in range(6):
        model = toy(5, sources=2, seed=seed)
        model.table[:, :, EOS] += 1.0
        src = torch.tensor([[0], [1]])
        for n_best in (1, 2):
            limits = Limits.make(torch.tensor([5, 4]))
            options: dict[str, Any] = {"scoring": scoring, "limits": limits, "n_best": n_best, "stop": stop}
            results = search(model, src, torch.ones_like(src, dtype=torch.bool), chooser=Beam(3), **options)
            found.append([hypotheses[:n_best] for hypotheses in results])
        steps += sum(model.rows)
    return found, steps


def steps_of(stop: Stop, table: Tensor, beam: int = 2, n_best: int = 1) -> tuple[int, Hypothesis]:
    """The steps of a search over pieces whose logits do not depend on what stands before them, and its best hypothesis."""
    model = toy(6)
    model.table[:] = table
    mask = torch.ones(1, 1, dtype=torch.bool)
    options: dict[str, Any] = {"scoring": stop.scoring, "limits": Limits.make(torch.tensor([6])), "stop": stop}
    ((best, *_),) = search(model, torch.tensor([[0]]), mask, chooser=Beam(beam), n_best=n_best, **options)
    return len(model.rows), best


def test_patience_is_a_multiple_of_the_beam() -> None:
    table = torch.full((PIECES,), 0.0)
    table[EOS], table[A] = 5.0, 4.0  # an end is among the best two at every step
    steps = {patience: steps_of(Count(Scoring("average", 9.0), patience), table)[0] for patience in (0.5, 1.0, 2.0)}
    assert steps == {0.5: 1, 1.0: 2, 2.0: 4}  # with so large a length penalty a longer one may always become better


class Detour(Toy):
    """Ends early with little probability, or goes on with almost all of it and ends after four pieces."""

    def __init__(self) -> None:
        super().__init__(torch.full((1, PIECES**4, PIECES), -20.0))
        for t, prefix in enumerate([(), (A,), (A, A), (A, A, A)]):
            self.table[0, prefix_number(*prefix)] = torch.tensor([-20.0] * PIECES)
            self.table[0, prefix_number(*prefix), A] = 4.0
            self.table[0, prefix_number(*prefix), EOS] = 1.0 - t


def test_junk_that_ended_early_ends_no_search_and_is_not_returned_while_a_live_one_is_ahead() -> None:
    src, mask = torch.tensor([[0]]), torch.ones(1, 1, dtype=torch.bool)
    scoring = Scoring()
    best = {}
    for stop in (Count(scoring, 1.0), Ahead(scoring), Exact(scoring)):
        limits = Limits.make(torch.tensor([4]))
        ((first, *_),) = search(Detour(), src, mask, chooser=Beam(2), scoring=scoring, limits=limits, n_best=1, stop=stop)
        best[type(stop).__name__] = first
    assert best["Ahead"] == best["Exact"]
    assert best["Ahead"].ids == [A] * 4
    assert best["Count"].ids != [A] * 4
    assert best["Count"].score < best["Ahead"].score


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("rule", "penalty"), RULES)
@pytest.mark.parametrize("n_best", [1, 3])
def test_no_hypothesis_is_returned_that_a_live_one_is_ahead_of(rule: str, penalty: float, n_best: int) -> None:
    scoring = Scoring(rule, penalty)
    standings: list[Standing] = []

    class Watched(Ahead):
        def done(self, standing: Standing) -> Tensor:
            standings.append(standing)
            return super().done(standing)

    ends = 0
    for seed in range(8):
        standings.clear()
        model = toy(6, seed=seed)
        model.table[:, :, EOS] += 1.0
        src = torch.tensor([[0]])
        options: dict[str, Any] = {"scoring": scoring, "limits": Limits.make(torch.tensor([6])), "stop": Watched(scoring)}
        search(model, src, torch.ones_like(src, dtype=torch.bool), chooser=Beam(3), n_best=n_best, **options)
        last = standings[-1]
        if last.length <= 6:  # it ended by the rule, not at its maximum length
            ends += 1
            live = last.live.item() / scoring.lp(torch.tensor(last.length + 1.0)).item()
            assert last.scores[0, n_best - 1].item() >= live
            assert last.counts.item() >= 3
    assert ends > 0


def limited(model: Seq2Seq, limits: Limits, beam: int = 3) -> list[list[Hypothesis]]:
    src, mask = sentences()
    return search(model, src, mask, chooser=Beam(beam), scoring=Scoring(), limits=limits, stop=Ahead(Scoring()))


def test_no_translation_is_shorter_than_its_minimum(model: Seq2Seq) -> None:
    free = limited(model, Limits.make(MAX_LENGTHS))
    found = limited(model, Limits.make(MAX_LENGTHS, shortest=5))
    assert any(len(h.ids) < 5 for hypotheses in free for h in hypotheses)
    for hypotheses, most in zip(found, MAX_LENGTHS.tolist(), strict=True):
        assert all(min(5, most) <= len(h.ids) <= most for h in hypotheses)
        for hypothesis, alike in itertools.combinations(hypotheses, 2):
            assert hypothesis.ids != alike.ids


def test_translations_begin_with_their_prefix_and_count_its_probability(model: Seq2Seq) -> None:
    prefixes = [[7, 5], [], [9, 9, 9, 4, 6], [8], [4]]  # the third and the last longer than their maximum
    src, mask = sentences()
    for beam in (1, 3):
        found = limited(model, Limits.make(MAX_LENGTHS, prefixes=prefixes), beam)
        for n, (hypotheses, prefix) in enumerate(zip(found, prefixes, strict=True)):
            assert hypotheses
            for h in hypotheses:
                assert h.ids[: len(prefix)] == prefix
                assert len(h.ids) <= max(int(MAX_LENGTHS[n]), len(prefix))
                assert h.log_prob == pytest.approx(log_prob(model, src[n : n + 1], mask[n : n + 1], h.ids), rel=1e-9)
        assert ids(found[1]) == ids(limited(model, Limits.make(MAX_LENGTHS), beam)[1])


def sampled(model: Seq2Seq, rows: list[int], samples: int = 6, **options: float) -> list[list[Hypothesis]]:
    src, mask = sentences()
    uniforms = uniforms_of([src[n].tolist() for n in rows], seed=1, samples=samples, steps=10)
    chooser = Sample(uniforms, **options)  # type: ignore[arg-type]
    scoring, limits = Scoring("none"), Limits.make(MAX_LENGTHS[rows])
    return search(model, src[rows], mask[rows], chooser=chooser, scoring=scoring, limits=limits, stop=Exact(scoring))


def test_samples_are_whole_and_do_not_depend_on_company(model: Seq2Seq) -> None:
    src, mask = sentences()
    together, turned = sampled(model, [0, 1, 2, 3, 4]), sampled(model, [3, 0])
    assert [len(hypotheses) for hypotheses in together] == [6] * 5
    assert ids(together[0]) == ids(turned[1])
    assert ids(together[3]) == ids(turned[0])
    for n, hypotheses in enumerate(together):
        for h in hypotheses:
            assert len(h.ids) <= MAX_LENGTHS[n]
            assert h.log_prob == pytest.approx(log_prob(model, src[n : n + 1], mask[n : n + 1], h.ids), rel=1e-9)
    assert len({tuple(h.ids) for h in together[0]}) > 1


def test_sampling_only_the_likeliest_piece_is_greedy_search(model: Seq2Seq) -> None:
    found = sampled(model, [0, 1, 2, 3, 4], samples=2, top_k=1)
    expected = limited(model, Limits.make(MAX_LENGTHS), beam=1)
    assert [ids(hypotheses) for hypotheses in found] == [ids(hypotheses) * 2 for hypotheses in expected]


@pytest.mark.parametrize("scoring", [Scoring("none"), Scoring("wu", 0.7)], ids=str)
def test_forced_decoding_reports_what_the_search_reported(model: Seq2Seq, scoring: Scoring) -> None:
    check_forced(model, model, scoring)


def test_forced_decoding_reports_the_coverage_that_the_search_reported(attentive: Seq2Seq) -> None:
    check_forced(attentive, Covering(attentive), Scoring(coverage_penalty=0.4))


def check_forced(model: Seq2Seq, remembering: Seq2Seq, scoring: Scoring) -> None:
    src, mask = sentences()
    limits = Limits.make(MAX_LENGTHS)
    found = search(remembering, src, mask, chooser=Beam(3), scoring=scoring, limits=limits, stop=Ahead(scoring))
    for rank in range(3):
        rows = [n for n, hypotheses in enumerate(found) if len(hypotheses) > rank]
        again = forced(model, src[rows], mask[rows], [found[n][rank].ids for n in rows], scoring=scoring)
        for n, hypothesis in zip(rows, again, strict=True):
            assert hypothesis.score == pytest.approx(found[n][rank].score, rel=1e-8)
            assert hypothesis.log_prob == pytest.approx(found[n][rank].log_prob, rel=1e-9)
            assert hypothesis.log_probs == pytest.approx(found[n][rank].log_probs, rel=1e-8, abs=1e-10)


def test_coverage_prefers_what_has_looked_at_more_of_the_source(attentive: Seq2Seq) -> None:
    src, mask = sentences()
    scoring = Scoring(coverage_penalty=5.0)
    limits = Limits.make(MAX_LENGTHS)
    found = search(Covering(attentive), src, mask, chooser=Beam(3), scoring=scoring, limits=limits, stop=Ahead(scoring))
    for n in (0, 1, 3):
        targets = [h.ids for h in found[n]]
        attention = source_attention(attentive, src[[n] * 3], mask[[n] * 3], targets)
        assert attention is not None
        sums = [rows[: len(tgt) + 1].sum(0) for rows, tgt in zip(attention, targets, strict=True)]
        penalties = [5.0 * float(x[: LENGTHS[n] - 1].clamp(max=1).log().sum()) for x in sums]
        expected = [h.log_prob / (len(h.ids) + 1) + penalty for h, penalty in zip(found[n], penalties, strict=True)]
        assert [h.score for h in found[n]] == pytest.approx(expected, rel=1e-8)


def test_stopping_early_is_safe_with_coverage_too(attentive: Seq2Seq) -> None:
    src, mask = sentences()
    scoring = Scoring("wu", 0.6, 0.3)

    def best(stop: Stop) -> list[list[int]]:
        limits = Limits.make(MAX_LENGTHS)
        options: dict[str, Any] = {"scoring": scoring, "limits": limits, "n_best": 1, "stop": stop}
        return [row[0].ids for row in search(Covering(attentive), src, mask, chooser=Beam(3), **options)]

    assert best(Exact(scoring)) == best(Never(scoring))
