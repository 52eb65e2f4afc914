"""What goes wrong on a device: losses and gradients that are not finite, and too little memory."""

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.data.batches import Batch
from nmt.data.tokenizer import Tokenizer
from nmt.errors import UserError
from nmt.files import inside, written_whole
from nmt.machine import is_out_of_memory
from nmt.training import distributed
from nmt.training.progress import Progress
from nmt.vocabulary import EOS, PAD

SCALING = 16
"""Updates that fp16 may lose while its loss scale comes down from 2^16 to 1 (`torch.amp.GradScaler`): no fault of theirs."""


class BadUpdates:
    """Counts updates that were not applied because their loss or gradient was not finite, and keeps their batches.

    On a GPU an update is looked at after the next one is on its way, so that nothing waits.

    Args:
        directory: of the run; batches go to `non_finite/update-0000123.json` in it.
        tokenizer: of the run.
        most: so many in a row end training.
        spared: so many in a row are nobody's fault.
    """

    def __init__(self, directory: Path, tokenizer: Tokenizer, *, most: int, spared: int) -> None:
        self._directory = directory / "non_finite"
        self._tokenizer = tokenizer
        self._most = most
        self._spared = spared
        self._pending: deque[tuple[int, _Later, list[Batch]]] = deque()

    def note(self, progress: Progress, finite: Tensor, batches: list[Batch]) -> None:
        """Take in an update; raises `UserError` where there were too many in a row."""
        self._pending.append((progress.updates, _Later(finite), batches))
        while len(self._pending) > finite.is_cuda:
            self._look(progress)

    def settle(self, progress: Progress) -> None:
        """Look at every update that was noted."""
        while self._pending:
            self._look(progress)

    def _look(self, progress: Progress) -> None:
        update, finite, batches = self._pending.popleft()
        if finite.value():
            progress.non_finite = 0
            return
        progress.non_finite += 1
        if progress.non_finite <= self._spared:
            return
        self._write(update, batches)
        if progress.non_finite - self._spared >= self._most:
            raise UserError(
                f"the loss or the gradient was not finite in {progress.non_finite} updates in a row, up to update {update:,}; "
                f"their batches are in {self._directory}, and nothing of them was applied. Start anew with a lower "
                "optimizer.lr, a longer schedule.warmup, train.clip_norm=1.0 or train.precision=fp32 (train.max_non_finite "
                "says how many are too many)"
            )

    def _write(self, update: int, batches: list[Batch]) -> None:
        name = f"update-{update:07d}" + (f"-rank-{distributed.rank()}" if distributed.size() > 1 else "")
        described = [self._described(batch) for batch in batches]
        with written_whole(inside(self._directory.parent, self._directory.name, f"{name}.json")) as file:
            file.write(json.dumps(described, indent=1, ensure_ascii=False) + "\n")

    def _described(self, batch: Batch) -> dict[str, Any]:
        pairs = []
        for src, tgt in zip(batch.src.tolist(), batch.tgt_in.tolist(), strict=True):
            src_ids = [n for n in src if n not in (PAD, EOS)]
            tgt_ids = [n for n in tgt[1:] if n != PAD]  # after BOS
            pieces = {"src": self._tokenizer.pieces(src_ids, "src"), "tgt": self._tokenizer.pieces(tgt_ids, "tgt")}
            pairs.append({side: " ".join(words) for side, words in pieces.items()})
        return {"src_shape": list(batch.src.shape), "tgt_shape": list(batch.tgt_in.shape), "pairs": pairs}


class _Later:
    """A flag on its way from the device."""

    def __init__(self, flag: Tensor) -> None:
        self._flag = flag.to("cpu", non_blocking=True)
        self._arrived = torch.cuda.current_stream(flag.device).record_event() if flag.is_cuda else None

    def value(self) -> bool:
        if self._arrived is not None:
            self._arrived.synchronize()
        return bool(self._flag)


class OutOfMemoryError(UserError):
    """A batch did not fit the memory of its device."""


@contextmanager
def room_to_translate(device: torch.device) -> Iterator[None]:
    """While it is open, too little memory is an error of the search."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise OutOfMemoryError(
                f"{device} has too little memory to translate dev: lower decode.batch_size, or train.tokens_per_batch"
            ) from None
        raise


def out_of_memory(batch: Batch, device: torch.device) -> OutOfMemoryError:
    """What to tell the user of a batch that did not fit."""
    peak = ""
    if device.type == "cuda":
        most, all_of_it = torch.cuda.max_memory_allocated(device), torch.cuda.get_device_properties(device).total_memory
        peak = f"; at most {most / 2**30:.1f} of its {all_of_it / 2**30:.1f} GiB were in use"
    return OutOfMemoryError(
        f"{device} has too little memory for a batch of {batch.src.size(0)} pairs, {batch.src.size(1)} source and "
        f"{batch.tgt_in.size(1)} target positions{peak}: lower train.tokens_per_batch and raise train.accumulate, lower "
        "data.max_length, or set train.gradient_checkpointing=true or train.precision=bf16"
    )
