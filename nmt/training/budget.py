"""The largest batches that fit a GPU (`train.tokens_per_batch=auto`)."""

import gc
from collections.abc import Callable

import numpy as np
import torch

from nmt.data.batches import Batch, collate
from nmt.data.store import IdStore
from nmt.data.tokenizer import SIDES
from nmt.errors import UserError
from nmt.machine import is_out_of_memory
from nmt.training.faults import OutOfMemoryError
from nmt.training.loop import Trainer

MARGIN = 0.85
"""Share of what was found to fit that is used: memory breaks into pieces, and sampled segmentations grow."""

START, MOST = 1024, 1 << 20


def largest_budget(fits: Callable[[int], bool], *, least: int) -> int:
    """The largest number, to an eighth, from `least` on for which `fits` holds, times a margin; asked as often as log2.

    Raises:
        UserError: if `least` does not fit.
    """
    good = max(least, START)
    if not fits(good):
        good = least
        if not fits(good):
            raise UserError(
                f"not even one longest pair ({least} pieces) fits the GPU: lower data.max_length or the model's sizes"
            )
    bad = 2 * good
    while bad < MOST and fits(bad):
        good, bad = bad, 2 * bad
    while bad - good > good // 8:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return max(least, int(good * MARGIN))


def device_budget(store: IdStore, make: Callable[[int], Trainer]) -> int:
    """The `train.tokens_per_batch` with which updates fit the GPU, found by making some.

    Args:
        store: ids of the training split.
        make: gives a trainer, with a new model, for batches of so many tokens.
    """
    longest = max(int(store.lengths[side].max()) for side in SIDES) + 1

    def fits(tokens: int) -> bool:
        try:
            trainer = make(tokens)
            for batch in (widest(store, tokens), longest_batch(store, tokens)):
                for update in (1, 2):  # the optimizer's state comes with the first
                    pair = [batch.to(trainer.device)] * 2  # gradients of one while the other is computed, as in accumulation
                    bool(trainer.update(pair, update).finite)  # waits for it
        except OutOfMemoryError:
            return False
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                return False
            raise
        finally:
            trainer = None  # type: ignore[assignment]
            gc.collect()
            torch.cuda.empty_cache()
        return True

    return largest_budget(fits, least=longest)


def longest_batch(store: IdStore, tokens: int) -> Batch:
    """As many of the longest pairs as the budget holds."""
    return _batch(store, tokens, -1)


def widest(store: IdStore, tokens: int) -> Batch:
    """As many pairs of middle length."""
    return _batch(store, tokens, len(store) // 2)


def _batch(store: IdStore, tokens: int, place: int) -> Batch:
    order = np.argsort(np.maximum(*(store.lengths[side] for side in SIDES)), kind="stable")
    pair = int(order[place])
    rows = max(1, tokens // (max(int(store.lengths[side][pair]) for side in SIDES) + 1))
    return collate(*([store.ids(pair, side)] * rows for side in SIDES))
