"""Batches of sentences of like length, a core each."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")


WORKERS = 8
"""Most batches at once: of more, each would wait for the others' Python."""


def in_batches(
    work: Callable[[list[int]], Sequence[Result]], lengths: Sequence[int], *, size: int, device: torch.device
) -> list[Result]:
    """The results of `work` for the sentences 0, 1, …, in order: called with the numbers of up to `size` of like length.

    Long ones come first, so that too little memory shows at once. On a CPU several batches share its cores: a search is
    many small steps, of which the threads of one batch can share only the largest.
    """
    order = sorted(range(len(lengths)), key=lambda n: -lengths[n])
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    threads = torch.get_num_threads()
    workers = min(threads, len(batches), WORKERS) if device.type == "cpu" else 1
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        workers = 1  # FSDP's hooks know no threads
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
