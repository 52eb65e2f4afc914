"""Batches of sentences of like length, a core each."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")


PIECES = 2**15
"""Most pieces of a batch, padding counted, of more than one sentence."""

WORKERS = 8
"""Most batches at once: of more, each would wait for the others' Python."""


def in_batches(
    work: Callable[[list[int]], Sequence[Result]], lengths: Sequence[int], *, size: int, device: torch.device
) -> list[Result]:
    """The results of `work` for the sentences 0, 1, …, in order: called with the numbers of up to `size` of like length.

    Of very long ones there are fewer, no more than `PIECES` pieces. Long ones come first, so that too little memory shows at
    once. On a CPU several batches share its cores: a search is many small steps, of which the threads of one batch can share
    only the largest.
    """
    order = sorted(range(len(lengths)), key=lambda n: -lengths[n])
    batches: list[list[int]] = []
    for n in order:
        if not batches or len(batches[-1]) >= min(size, PIECES // max(lengths[batches[-1][0]], 1)):
            batches.append([])
        batches[-1].append(n)
    threads = torch.get_num_threads()
    workers = min(threads, len(batches), WORKERS) if device.type == "cpu" else 1
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        workers = 1  # the other cores have processes of their own
    if workers <= 1:
        found = [work(batch) for batch in batches]
    else:
        share = (threads // workers,)
        executor = ThreadPoolExecutor(workers, "translating", initializer=torch.set_num_threads, initargs=share)
        try:
            found = list(executor.map(work, batches))
        finally:
            executor.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)  # which the workers have also set for threads to come
    by_number = {
        n: result for batch, results in zip(batches, found, strict=True) for n, result in zip(batch, results, strict=True)
    }
    return [by_number[n] for n in range(len(lengths))]
