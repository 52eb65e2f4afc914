"""Batches: what is in them, in which order they come, and that any position continues the same sequence."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from nmt.config import TokenizerSettings
from nmt.data.batches import Batch, Position, TrainingData, collate, pad_with_eos, plan
from nmt.data.store import open_store
from nmt.data.tokenizer import Tokenizer, train
from nmt.errors import UserError
from nmt.vocabulary import BOS, EOS, PAD

Pair = tuple[str, str]
Lengths = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def lengths() -> Lengths:
    """Of 100,000 pairs with EOS: log-normal sources of 15 pieces in the middle, targets 0.7 to 1.4 times as long."""
    random = np.random.default_rng(1)
    src = np.clip(np.exp(random.normal(np.log(15), 0.5, 100_000)), 1, 99)
    tgt = np.clip(src * np.exp(random.normal(0, 0.2, 100_000)), 1, 99)
    return src.astype(np.int64) + 1, tgt.astype(np.int64) + 1


def tensors_of(batch: Batch) -> dict[str, torch.Tensor]:
    return {name: value for name, value in vars(batch).items() if isinstance(value, torch.Tensor)}


def planned(lengths: Lengths, *, tokens: int = 4096, seed: int = 1, epoch: int = 0) -> list[list[int]]:
    return [batch.tolist() for batch in plan(*lengths, tokens=tokens, seed=seed, epoch=epoch)]


@pytest.mark.parametrize("epoch", [0, 3])
def test_every_pair_comes_exactly_once_in_an_epoch(lengths: Lengths, epoch: int) -> None:
    numbers = list(itertools.chain(*planned(lengths, epoch=epoch)))
    assert sorted(numbers) == list(range(100_000))


@pytest.mark.parametrize("tokens", [100, 1000, 4096])
def test_no_side_of_a_batch_exceeds_its_tokens_and_no_batch_is_empty(lengths: Lengths, tokens: int) -> None:
    for batch in planned(lengths, tokens=tokens):
        assert len(batch) > 0
        for side in lengths:
            assert side[batch].max() * len(batch) <= tokens


def test_batches_are_full(lengths: Lengths) -> None:
    filled = [max(side[batch].max() for side in lengths) * len(batch) for batch in planned(lengths)]
    assert np.mean(filled) > 0.95 * 4096


def test_padding_stays_under_five_per_cent(lengths: Lengths) -> None:
    batches = planned(lengths)
    real = sum(int(side.sum()) for side in lengths)
    positions = sum(int(side[batch].max()) * len(batch) for side in lengths for batch in batches)
    assert 1 - real / positions < 0.05


def test_the_plan_is_a_function_of_seed_and_epoch(lengths: Lengths) -> None:
    assert planned(lengths, seed=1, epoch=2) == planned(lengths, seed=1, epoch=2)
    others = [planned(lengths, seed=seed, epoch=epoch) for seed, epoch in ((1, 0), (1, 1), (2, 0), (0, 1))]
    for one, other in itertools.combinations(others, 2):
        assert one != other
        assert {frozenset(batch) for batch in one} != {frozenset(batch) for batch in other}  # other company, not only order


def test_a_pair_longer_than_a_batch_is_an_error(lengths: Lengths) -> None:
    with pytest.raises(UserError, match=r"train\.tokens_per_batch \(7\) must hold the longest training pair \(9 pieces"):
        plan(np.array([3, 9, 4]), np.array([8, 2, 5]), tokens=7, seed=1, epoch=0)
    assert sorted(map(len, plan(np.array([3, 9, 4]), np.array([8, 2, 5]), tokens=9, seed=1, epoch=0))) == [1, 1, 1]


def test_collate_equals_a_written_out_loop() -> None:
    sources, targets = [[7, 5], [4, 9, 6, 8], [10]], [[5, 6, 7], [], [11, 12, 4, 5, 6]]
    batch = collate(*([np.array(row, np.int32) for row in rows] for rows in (sources, targets)))
    assert {name: tuple(tensor.shape) for name, tensor in tensors_of(batch).items()} == {
        "src": (3, 5),
        "src_mask": (3, 5),
        "tgt_in": (3, 6),
        "targets": (11,),
        "positions": (11,),
    }
    expected_targets, expected_positions = [], []
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        assert batch.src[row].tolist() == [*source, EOS] + [PAD] * (4 - len(source))
        assert batch.src_mask[row].tolist() == [column <= len(source) for column in range(5)]
        assert batch.tgt_in[row].tolist() == [BOS, *target] + [PAD] * (5 - len(target))
        for column, piece in enumerate([*target, EOS]):
            expected_targets.append(piece)
            expected_positions.append(row * 6 + column)
    assert batch.targets.tolist() == expected_targets
    assert batch.positions.tolist() == expected_positions
    assert batch.tokens == 11
    assert batch.src_tokens == 10
    kinds = {name: tensor.dtype for name, tensor in tensors_of(batch).items()}
    assert kinds.pop("src_mask") == torch.bool
    assert set(kinds.values()) == {torch.int64}


def test_rows_are_padded_after_their_end_of_sentence() -> None:
    padded, lengths = pad_with_eos([np.array(row, np.int32) for row in ([], [5, 6, 7], [8])])
    assert padded.tolist() == [[EOS, PAD, PAD, PAD], [5, 6, 7, EOS], [8, EOS, PAD, PAD]]
    assert lengths.tolist() == [1, 4, 2]


@pytest.fixture(scope="module", params=[("unigram", 0.0), ("unigram", 0.2), ("bpe", 0.1)], ids=str)
def sampling(request: pytest.FixtureRequest, pairs: list[Pair]) -> Tokenizer:
    """Tokenizers with subword sampling on and off."""
    kind, strength = request.param
    return train(pairs, TokenizerSettings(type=kind, vocab_size=340, sampling=strength))


def training_data(tokenizer: Tokenizer, corpus: Any, cache: Path, *, accumulate: int = 2, seed: int = 1) -> TrainingData:
    store = open_store(corpus, "train", tokenizer, cache)
    return TrainingData(store, tokenizer, tokens_per_batch=150, accumulate=accumulate, seed=seed)


def taken(data: TrainingData, start: Position, count: int) -> list[tuple[list[Batch], Position]]:
    updates = data.updates(start, CPU)
    try:
        return list(itertools.islice(updates, count))
    finally:
        updates.close()


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(tensor, tensors_of(other)[name]) for name, tensor in tensors_of(one).items())


def pieces(batches: list[Batch]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The (source, target) ids of every pair, without special ones."""
    found = []
    for batch in batches:
        for src, tgt in zip(batch.src.tolist(), batch.tgt_in.tolist(), strict=True):
            found.append((tuple(x for x in src if x > EOS), tuple(y for y in tgt if y > EOS)))
    return found


def test_updates_from_a_position_are_the_tail_of_the_updates_from_the_start(
    sampling: Tokenizer, lines: Callable[..., Any], pairs: list[Pair], tmp_path: Path
) -> None:
    data = training_data(sampling, lines(pairs), tmp_path)
    whole = taken(data, Position(0, 0), 60)
    assert whole[-1][1].epoch >= 2
    for done in (1, 7, 40):
        again = training_data(sampling, lines(pairs), tmp_path)
        tail = taken(again, whole[done - 1][1], 60 - done)
        for (batches, position), (expected, expected_position) in zip(tail, whole[done:], strict=True):
            assert position == expected_position
            assert all(same(*both) for both in zip(batches, expected, strict=True))


def test_an_epoch_of_updates_is_every_pair_once(
    sampling: Tokenizer, lines: Callable[..., Any], pairs: list[Pair], tmp_path: Path
) -> None:
    texts = []
    for batches, position in training_data(sampling, lines(pairs), tmp_path, accumulate=3).updates(Position(0, 0), CPU):
        assert len(batches) == 3 or (position.epoch == 1 and 1 <= len(batches) < 3)
        texts += [sampling.decode(tgt) for _, tgt in pieces(batches)]
        if position.epoch == 1:
            break
    assert position == Position(1, 0)
    assert sorted(texts) == sorted(tgt for _, tgt in pairs)


def test_another_seed_or_epoch_is_another_order(
    tokenizer: Tokenizer, lines: Callable[..., Any], pairs: list[Pair], tmp_path: Path
) -> None:
    def first(seed: int, epoch: int) -> Batch:
        data = training_data(tokenizer, lines(pairs), tmp_path, seed=seed)
        return taken(data, Position(epoch, 0), 1)[0][0][0]

    assert same(first(1, 0), first(1, 0))
    assert not same(first(1, 0), first(2, 0))
    assert not same(first(1, 0), first(1, 1))


def test_a_drawn_segmentation_depends_on_seed_epoch_pair_and_side_alone(
    lines: Callable[..., Any], pairs: list[Pair], tmp_path: Path
) -> None:
    twins = [pairs[0]] * 6 + pairs[1:40]  # one text, six numbers
    tokenizer = train(twins, TokenizerSettings(vocab_size=320, sampling=0.1))

    def epoch_of(seed: int, epoch: int, accumulate: int, tokens: int) -> list[Any]:
        store = open_store(lines(twins), "train", tokenizer, tmp_path)
        data = TrainingData(store, tokenizer, tokens_per_batch=tokens, accumulate=accumulate, seed=seed)
        found: list[Any] = []
        for batches, position in data.updates(Position(epoch, 0), CPU):
            found += pieces(batches)
            if position.epoch > epoch:
                return sorted(found)
        raise AssertionError

    drawn = epoch_of(1, 0, accumulate=1, tokens=60)
    assert drawn == epoch_of(1, 0, accumulate=2, tokens=500)  # other batches, so another order of calls
    assert drawn != epoch_of(2, 0, accumulate=1, tokens=60)
    assert drawn != epoch_of(1, 1, accumulate=1, tokens=60)
    twin_sources = [src for src, tgt in drawn if tokenizer.decode(tgt) == pairs[0][1]]
    assert len(twin_sources) == 6
    assert len(set(twin_sources)) > 1


def test_both_sides_of_a_pair_are_drawn_apart(lines: Callable[..., Any], pairs: list[Pair], tmp_path: Path) -> None:
    copies = [(src, src) for src, _ in pairs[:50]]
    tokenizer = train(copies, TokenizerSettings(vocab_size=320, sampling=0.1))
    drawn = pieces(taken(training_data(tokenizer, lines(copies), tmp_path, accumulate=999), Position(0, 0), 1)[0][0])
    assert len(drawn) == 50
    assert any(src != tgt for src, tgt in drawn)


def test_a_training_pair_longer_than_a_batch_is_found_before_training(
    tokenizer: Tokenizer, lines: Callable[..., Any], pairs: list[Pair], tmp_path: Path
) -> None:
    store = open_store(lines(pairs), "train", tokenizer, tmp_path)
    with pytest.raises(UserError, match=r"train\.tokens_per_batch \(4\)"):
        TrainingData(store, tokenizer, tokens_per_batch=4, accumulate=1, seed=1)


def test_a_batch_on_its_device_is_left_alone() -> None:
    batch = collate([np.array([5], np.int32)], [np.array([6], np.int32)])
    assert batch.to(CPU) is batch
