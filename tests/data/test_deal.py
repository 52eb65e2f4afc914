"""An update dealt out to processes."""

import numpy as np
import pytest
import torch

from nmt.data.batches import Batch, deal


@pytest.mark.parametrize("sizes", [(5,), (1,), (4, 3), (9, 2, 6), (7, 7, 7, 7, 1)])
@pytest.mark.parametrize("processes", [1, 2, 3, 4, 8])
def test_every_pair_goes_to_one_process_and_all_have_as_many_batches(sizes: tuple[int, ...], processes: int) -> None:
    pairs = np.arange(sum(sizes))
    batches = np.split(pairs, np.cumsum(sizes)[:-1])
    shares = deal(batches, processes)
    assert len({len(share) for share in shares}) == 1
    assert sorted(pair for share in shares for batch in share for pair in batch.tolist()) == pairs.tolist()
    for share in shares:
        for batch in share:  # a batch keeps to one of the planned ones, whose lengths are alike
            assert sum(set(batch.tolist()) <= set(planned.tolist()) for planned in batches) >= 1


def test_one_process_gets_the_plan_as_it_is() -> None:
    batches = [np.array([3, 1]), np.array([2])]
    assert [batch.tolist() for batch in deal(batches, 1)[0]] == [[3, 1], [2]]


def test_the_largest_batch_is_halved_first() -> None:
    shares = deal([np.arange(8), np.arange(8, 10)], 3)
    assert sorted(len(batch) for (batch,) in shares) == [2, 4, 4]


def test_a_batch_of_nothing_has_no_target_token() -> None:
    nothing = Batch.nothing()
    assert (nothing.tokens, nothing.src_tokens) == (0, 0)
    assert (nothing.src.shape, nothing.tgt_in.shape) == ((1, 1), (1, 2))
    assert nothing.to(torch.device("cpu")).area == 3
