"""Batches bounded by tokens and grouped by length; the order of data is a function of (seed, epoch, position)."""

import hashlib
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nmt.data.rows import Rows
from nmt.data.store import IdStore
from nmt.data.tokenizer import SIDES, Side, Tokenizer
from nmt.errors import UserError
from nmt.vocabulary import BOS, EOS, PAD


@dataclass(frozen=True)
class Batch:
    """Sentence pairs as tensors. B pairs, S and T the longest sides with EOS, N real target tokens (EOS counted).

    Attributes:
        src: (B, S) ids, EOS, padding.
        src_mask: (B, S), True where real.
        tgt_in: (B, T), BOS y1 … yn, padding.
        targets: (N,), y1 … yn EOS of all pairs, one after the other.
        positions: (N,), where the targets sit in the flattened (B · T).
        src_tokens: real source positions, EOS counted.
        guide: links between pieces, where attention learns from them.
    """

    src: Tensor
    src_mask: Tensor
    tgt_in: Tensor
    targets: Tensor
    positions: Tensor
    src_tokens: int
    guide: "Guide | None" = None

    @property
    def tokens(self) -> int:
        """N, without asking the device."""
        return self.targets.numel()

    @property
    def area(self) -> int:
        """Positions of both sides, padding included."""
        return self.src.numel() + self.tgt_in.numel()

    @classmethod
    def nothing(cls) -> "Batch":
        """A batch that can be computed like any other and has no target token: for a process without a share."""
        bos, eos = torch.full((1, 2), BOS), torch.full((1, 1), EOS)  # two steps: a first state may be no parameter's work
        none = torch.empty(0, dtype=torch.int64)
        return cls(src=eos, src_mask=torch.ones(1, 1, dtype=torch.bool), tgt_in=bos, targets=none, positions=none, src_tokens=0)

    def to(self, device: torch.device) -> "Batch":
        """The same on a device; the copy to a GPU does not wait."""
        if device.type == "cpu":
            return self

        def moved(tensor: Tensor) -> Tensor:
            return tensor.pin_memory().to(device, non_blocking=True)

        return Batch(
            src=moved(self.src),
            src_mask=moved(self.src_mask),
            tgt_in=moved(self.tgt_in),
            targets=moved(self.targets),
            positions=moved(self.positions),
            src_tokens=self.src_tokens,
            guide=None if self.guide is None else Guide(*map(moved, self.guide)),
        )


class Guide(NamedTuple):
    """M links between the pieces of a batch: where attention should be.

    Attributes:
        rows: numbers of the pairs, (M,).
        tgt: target pieces, (M,), from 0.
        src: source pieces, (M,), from 0.
        shares: of a target piece that has n links each gets 1 / n, (M,).
    """

    rows: Tensor
    tgt: Tensor
    src: Tensor
    shares: Tensor

    @classmethod
    def of(cls, links: list[npt.NDArray[np.int32]]) -> "Guide":
        """The links of every pair, each with i and j in turn."""
        rows = np.repeat(np.arange(len(links)), [len(one) // 2 for one in links])
        src, tgt = np.concatenate([np.empty(0, np.int32), *links]).reshape(-1, 2).T.astype(np.int64)
        _, inverse, counts = np.unique(np.stack([rows, tgt]), axis=1, return_inverse=True, return_counts=True)
        shares = (1 / counts[inverse.reshape(-1)]).astype(np.float32)
        return cls(*(torch.from_numpy(np.ascontiguousarray(one)) for one in (rows, tgt, src, shares)))


def collate(
    sources: list[npt.NDArray[np.int32]],
    targets: list[npt.NDArray[np.int32]],
    links: list[npt.NDArray[np.int32]] | None = None,
) -> Batch:
    """A batch of source and target ids, both without BOS and EOS, and of the links between them, i and j in turn."""
    src, src_lengths = pad_with_eos(sources)
    tgt_out, tgt_lengths = pad_with_eos(targets)
    tgt_in = np.concatenate([np.full((len(tgt_out), 1), BOS), tgt_out[:, :-1]], axis=1)
    real = np.arange(tgt_out.shape[1]) < tgt_lengths[:, None]
    tgt_in[~real] = PAD
    positions = np.flatnonzero(real)
    return Batch(
        src=torch.from_numpy(src),
        src_mask=torch.from_numpy(np.arange(src.shape[1]) < src_lengths[:, None]),
        tgt_in=torch.from_numpy(tgt_in),
        targets=torch.from_numpy(tgt_out.reshape(-1)[positions]),
        positions=torch.from_numpy(positions),
        src_tokens=int(src_lengths.sum()),
        guide=None if links is None else Guide.of(links),
    )


def pad_with_eos(rows: list[npt.NDArray[np.int32]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ids, EOS and padding (B, longest + 1), and the lengths with EOS (B,)."""
    lengths = np.array([len(row) + 1 for row in rows])
    padded = np.full((len(rows), lengths.max()), PAD, dtype=np.int64)
    for n, row in enumerate(rows):
        padded[n, : len(row)] = row
        padded[n, len(row)] = EOS
    return padded, lengths


def plan(
    src_lengths: npt.NDArray[np.int64], tgt_lengths: npt.NDArray[np.int64], *, tokens: int, seed: int, epoch: int
) -> list[npt.NDArray[np.int64]]:
    """The batches of an epoch as pair numbers, from lengths alone.

    Pairs are sorted by target length, and by source length within it (rising and falling in turn, so that
    neighbours stay alike), equal ones in random order; cut where the next pair would make the padded
    batch exceed `tokens`; and the batches shuffled.

    Args:
        src_lengths: pieces with EOS, (pairs,).
        tgt_lengths: pieces with EOS, (pairs,).
        tokens: most target positions of a batch, padding included; the source side may have as many.
        seed: of the run.
        epoch: from 0.

    Raises:
        UserError: if one pair alone exceeds `tokens`.
    """
    longest = np.maximum(src_lengths, tgt_lengths)
    _check_budget(tokens, int(longest.max()))
    random = np.random.Generator(np.random.PCG64([seed, epoch]))
    turn = np.where(tgt_lengths % 2 == 0, src_lengths, -src_lengths)
    order = np.lexsort((random.permutation(len(longest)), turn, tgt_lengths))
    cuts, start, widest = [], 0, 0
    for position, length in enumerate(longest[order].tolist()):
        widest = max(widest, length)
        if widest * (position + 1 - start) > tokens:
            cuts.append(position)
            start, widest = position, length
    batches = np.split(order, cuts)
    return [batches[n] for n in random.permutation(len(batches))]


def deal(batches: list[npt.NDArray[np.int64]], processes: int) -> list[list[npt.NDArray[np.int64]]]:
    """The batches of an update as shares of so many processes, as many batches in each; one may be empty.

    Whole batches are dealt out first. What is left over for less than all processes is halved, every second pair to either
    side, the largest first, until there is enough for each.

    Args:
        batches: pair numbers, (pairs,) each.
        processes: at least 1.
    """
    left = len(batches) - len(batches) % processes
    rest = list(batches[left:])
    while rest and len(rest) < processes:
        rest.sort(key=len)
        largest = rest.pop()
        rest += [largest[0::2], largest[1::2]]
    dealt = [*batches[:left], *rest]
    return [dealt[process::processes] for process in range(processes)]


def _check_budget(tokens: int, longest: int) -> None:
    if longest > tokens:
        raise UserError(
            f"train.tokens_per_batch ({tokens}) must hold the longest training pair ({longest} pieces with the "
            "end of sentence): raise it, or lower data.max_length"
        )


@dataclass(frozen=True)
class Position:
    """Where training stands in its data: the next update of an epoch, both from 0."""

    epoch: int
    update: int


Plan = tuple[int, list[npt.NDArray[np.int64]], Position]
"""An update to make: its epoch, the pair numbers of its batches, and the position after it."""


class TrainingData:
    """The endless sequence of updates over a store, each one or more batches, from any position on.

    Args:
        store: ids of the training split.
        tokenizer: draws segmentations where subword sampling is on.
        tokens_per_batch: see `plan`, which goes by the likeliest segmentation: one that is sampled may be longer.
        accumulate: batches of an update.
        seed: of the run.
        process: which of the `processes` this is: its share of each update is what it gets.
        processes: among which the batches of an update are dealt out; the update is the same for any number.
        links: between the pieces of each pair of the store, i and j in turn; None: attention is not guided.

    Raises:
        UserError: if one pair alone exceeds `tokens_per_batch`.
    """

    def __init__(
        self,
        store: IdStore,
        tokenizer: Tokenizer,
        *,
        tokens_per_batch: int,
        accumulate: int,
        seed: int,
        process: int = 0,
        processes: int = 1,
        links: Rows | None = None,
    ) -> None:
        _check_budget(tokens_per_batch, max(int(store.lengths[side].max()) for side in SIDES) + 1)
        self._store = store
        self._tokenizer = tokenizer
        self._tokens = tokens_per_batch
        self._accumulate = accumulate
        self._seed = seed
        self._process = process
        self._processes = processes
        self._links = links

    def updates(self, position: Position, device: torch.device) -> Generator[tuple[list[Batch], Position], None, None]:
        """Batches of each update from `position` on, with the position after it; the next is made while one is used."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as maker:
            plans = self._plans(position)
            pending = maker.submit(self._next, plans, device)
            while True:
                ready = pending.result()
                pending = maker.submit(self._next, plans, device)
                yield ready

    def _plans(self, position: Position) -> Iterator[Plan]:
        epoch, first = position.epoch, position.update
        while True:
            batches = plan(
                self._store.lengths["src"] + 1,
                self._store.lengths["tgt"] + 1,
                tokens=self._tokens,
                seed=self._seed,
                epoch=epoch,
            )
            updates = [batches[n : n + self._accumulate] for n in range(0, len(batches), self._accumulate)]
            if first > 0 and first >= len(updates):
                raise UserError(f"training cannot continue at update {first:,} of an epoch that has {len(updates):,}")
            for number in range(first, len(updates)):
                last = number + 1 == len(updates)
                yield epoch, updates[number], Position(epoch + 1, 0) if last else Position(epoch, number + 1)
            epoch, first = epoch + 1, 0

    def _next(self, plans: Iterator[Plan], device: torch.device) -> tuple[list[Batch], Position]:
        epoch, update, after = next(plans)
        share = deal(update, self._processes)[self._process]
        return [self._batch(pairs.tolist(), epoch).to(device) for pairs in share], after

    def _batch(self, pairs: list[int], epoch: int) -> Batch:
        if not pairs:
            return Batch.nothing()
        links = None if self._links is None else [self._links[pair] for pair in pairs]
        sources, targets = self._ids(pairs, epoch)
        return collate(sources, targets, links)

    def _ids(self, pairs: list[int], epoch: int) -> list[list[npt.NDArray[np.int32]]]:
        if self._tokenizer.sampling == 0:
            return [[self._store.ids(pair, side) for pair in pairs] for side in SIDES]
        return [[self._sampled(pair, side, epoch) for pair in pairs] for side in SIDES]

    def _sampled(self, pair: int, side: Side, epoch: int) -> npt.NDArray[np.int32]:
        name = f"{self._seed} {epoch} {pair} {side}".encode()
        seed = int.from_bytes(hashlib.blake2b(name, digest_size=4).digest(), "little")
        return np.asarray(self._tokenizer.sample(self._store.text(pair, side), side, seed), np.int32)
