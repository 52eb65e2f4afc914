"""Subword sampling: another segmentation of a sentence each time, decided by a seed alone.

SentencePiece's own sampler is seeded anew in every process (its random generator is salted), so a continued run could
not repeat it. Its model says which pieces there are and what they score; drawing from them is done here.
"""

import math
import random
from bisect import bisect
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Protocol

import sentencepiece

from nmt.vocabulary import UNK

SPACE = "▁"
_UNK_PENALTY = 10.0  # SentencePiece's own: an unknown character scores this much less than the worst piece
_WORDS = 50_000  # whose lattices are remembered


class Segmenter(Protocol):
    """Draws the pieces of a word that begins with ▁."""

    def draw(self, word: str, random: random.Random) -> list[str]: ...


class Sampler:
    """Draws segmentations with the pieces of a SentencePiece model.

    Args:
        model: unigram or BPE, as SentencePiece serialises it.
        strength: the smoothing α of the unigram language model, or the dropout p of BPE.
    """

    def __init__(self, model: bytes, strength: float) -> None:
        # Wants a newer protobuf than COMET leaves beside it; only training samples
        from sentencepiece import sentencepiece_model_pb2

        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        spec = sentencepiece_model_pb2.ModelProto.FromString(model).trainer_spec  # type: ignore[attr-defined]  # generated
        numbers = range(self._processor.get_piece_size())
        pieces = {
            self._processor.id_to_piece(n): (n, self._processor.get_score(n))
            for n in numbers
            if not (self._processor.is_control(n) or self._processor.is_byte(n) or self._processor.is_unknown(n))
        }
        self._ids = {piece: n for piece, (n, _) in pieces.items()}
        self._byte_fallback = bool(spec.byte_fallback)
        scores = {piece: score for piece, (_, score) in pieces.items()}
        kind = Unigram if spec.model_type == spec.UNIGRAM else BPE
        self._segmenter: Segmenter = kind(scores, strength)

    def sample(self, sentence: str, seed: int) -> list[int]:
        """The ids of one segmentation of a sentence."""
        source = random.Random(seed)
        ids: list[int] = []
        for word in _words(self._processor.normalize(sentence)):
            for piece in self._segmenter.draw(word, source):
                found = self._ids.get(piece)
                if found is not None:
                    ids.append(found)
                elif self._byte_fallback:
                    ids += (self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in piece.encode())
                elif ids[-1:] != [UNK]:  # SentencePiece makes one <unk> of neighbours
                    ids.append(UNK)
        return ids


def _words(normalized: str) -> list[str]:
    """Words with the ▁ that begins each: no piece crosses it."""
    starts = [n for n, character in enumerate(normalized) if character == SPACE or n == 0]
    return [normalized[start:end] for start, end in pairwise([*starts, len(normalized)])]


class Unigram:
    """P(x) ∝ Π_i p(x_i)^α over all segmentations x of a word (Kudo 2018, section 3.3, with l = ∞).

    Forward filtering, backward sampling: with F(0) = 0 and F(j) = log Σ_i exp(F(i) + α log p(w_i … w_{j-1})), the last
    piece of w_0 … w_{j-1} begins at i with probability exp(F(i) + α log p(w_i … w_{j-1}) - F(j)).
    """

    def __init__(self, scores: dict[str, float], alpha: float) -> None:
        self._scores = scores
        self._alpha = alpha
        self._longest = max(map(len, scores))
        self._unknown = min(scores.values()) - _UNK_PENALTY
        self._lattice = lru_cache(maxsize=_WORDS)(self._filtered)

    def draw(self, word: str, random: random.Random) -> list[str]:
        lattice = self._lattice(word)
        pieces = []
        end = len(word)
        while end > 0:
            starts, cumulative = lattice[end]
            start = starts[min(bisect(cumulative, random.random() * cumulative[-1]), len(starts) - 1)]
            pieces.append(word[start:end])
            end = start
        return pieces[::-1]

    def _filtered(self, word: str) -> list[tuple[list[int], list[float]]]:
        """For each end the starts of the piece that ends there, and their cumulative probabilities."""
        forward = [0.0]
        lattice: list[tuple[list[int], list[float]]] = [([], [])]
        for end in range(1, len(word) + 1):
            logs = {}
            for start in range(max(0, end - self._longest), end):
                score = self._scores.get(word[start:end], self._unknown if end - start == 1 else None)
                if score is not None:
                    logs[start] = forward[start] + self._alpha * score
            largest = max(logs.values())
            weights = [math.exp(value - largest) for value in logs.values()]
            forward.append(largest + math.log(sum(weights)))
            lattice.append((list(logs), list(accumulate(weights))))
        return lattice


class BPE:
    """BPE-dropout (Provilkov et al. 2020, algorithm 1): at each step every possible merge is left out with probability p.

    Of those that remain the one learnt first is made, the leftmost among equals, until none remains.
    """

    def __init__(self, scores: dict[str, float], dropout: float) -> None:
        self._scores = scores
        self._dropout = dropout

    def draw(self, word: str, random: random.Random) -> list[str]:
        pieces = list(word)
        while merge := self._best_merge(pieces, random):
            pieces[merge - 1 : merge + 1] = [pieces[merge - 1] + pieces[merge]]
        return pieces

    def _best_merge(self, pieces: Sequence[str], random: random.Random) -> int | None:
        """The place of the second of two pieces to merge."""
        best, place = -math.inf, None
        for n, (left, right) in enumerate(pairwise(pieces), start=1):
            score = self._scores.get(left + right)
            if score is not None and score > best and random.random() >= self._dropout:
                best, place = score, n
        return place
