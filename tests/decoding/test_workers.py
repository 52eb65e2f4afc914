"""Batches on one core or several: the order, the sizes, and what happens to errors and threads."""

import threading
from collections.abc import Iterator

import pytest
import torch

from nmt.decoding.workers import PIECES, in_batches

CPU = torch.device("cpu")


@pytest.fixture
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("count", [0, 1, 3, 4, 10])
def test_results_come_in_order_from_batches_of_like_length(count: int) -> None:
    lengths = [(7 * n) % 5 for n in range(count)]
    batches: list[list[int]] = []

    def work(batch: list[int]) -> list[int]:
        batches.append(batch)
        return [n * n for n in batch]

    assert in_batches(work, lengths, size=3, device=CPU) == [n * n for n in range(count)]
    assert sorted(n for batch in batches for n in batch) == list(range(count))
    assert all(len(batch) <= 3 for batch in batches)
    in_turn = sorted(batches, key=lambda batch: (-lengths[batch[0]], batch[0]))
    assert [lengths[n] for batch in in_turn for n in batch] == sorted(lengths, reverse=True)


@pytest.mark.usefixtures("two_threads")
def test_every_core_has_a_batch_of_its_own_and_threads_are_as_before() -> None:
    together = threading.Barrier(2, timeout=30)  # passes only if two batches are worked on at the same time
    inside: list[int] = []

    def work(batch: list[int]) -> list[int]:
        together.wait()
        inside.append(torch.get_num_threads())
        return batch

    in_batches(work, [1] * 4, size=2, device=CPU)
    assert inside == [1, 1]
    assert torch.get_num_threads() == 2
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert found == [2]


@pytest.mark.usefixtures("two_threads")
def test_an_error_in_a_batch_comes_out() -> None:
    def work(batch: list[int]) -> list[int]:
        if 3 in batch:
            raise KeyError("three")
        return batch

    with pytest.raises(KeyError, match="three"):
        in_batches(work, [1] * 8, size=2, device=CPU)
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_very_long_sentences_do_not_pad_many_others() -> None:
    batches: list[list[int]] = []

    def work(batch: list[int]) -> list[int]:
        batches.append(batch)
        return batch

    torch.set_num_threads(1)
    lengths = [1, PIECES // 3, 2 * PIECES, 1, 1]
    assert in_batches(work, lengths, size=64, device=CPU) == [0, 1, 2, 3, 4]
    assert batches == [[2], [1, 0, 3], [4]]
