"""SentencePiece on both sides: text to ids and back."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import sentencepiece

from nmt.config import TokenizerSettings
from nmt.data.beginnings import beginning
from nmt.data.cache import cached
from nmt.data.corpus import Corpus
from nmt.data.learning import learn
from nmt.data.subwords import Sampler
from nmt.data.visible import is_visible
from nmt.errors import UserError
from nmt.saved import read_json, read_small
from nmt.vocabulary import BOS, EOS, PAD, UNK

Side = Literal["src", "tgt"]
SIDES: tuple[Side, Side] = ("src", "tgt")
MANIFEST = "manifest.json"
_LARGEST = 2**28  # bytes of a model, which has some 25 a piece
_LINE_BREAKS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


class Tokenizer:
    """The SentencePiece models of a run, one for each side.

    Args:
        models: of `src` and `tgt`.
        joint: whether both have the same pieces; they may normalise what they encode by different rules.
        sampling: 0, or the strength of subword sampling in training: the smoothing α of the unigram language model
            (Kudo 2018), the merge dropout p of BPE (Provilkov et al. 2020).

    Raises:
        UserError: if they should have the same pieces, but have not.
    """

    def __init__(self, models: Mapping[Side, bytes], *, joint: bool, sampling: float) -> None:
        self.models = {side: models[side] for side in SIDES}
        self.joint = joint
        self.sampling = sampling
        processors = [sentencepiece.SentencePieceProcessor(model_proto=model) for model in self.models.values()]
        self._src, self._tgt = processors
        if joint and models["src"] != models["tgt"] and _scored(self._src) != _scored(self._tgt):
            raise UserError("tokenizer.joint is true, but src.model and tgt.model have different pieces")

    @classmethod
    def load(cls, directory: Path, *, joint: bool, sampling: float) -> "Tokenizer":
        """The tokenizer in a run's `tokenizer/`; an older nmt wrote one `joint.model`, and no checksums.

        Raises:
            UserError: if it is not there, is damaged, or is no SentencePiece model.
        """
        files = {path.stem: path for path in sorted(directory.glob("*.model"))}
        if set(files) not in ({"joint"}, set(SIDES)):
            raise UserError(f"{directory} must hold src.model and tgt.model, but holds {sorted(files)}")
        if not joint and "joint" in files:
            raise UserError(f"{directory} holds joint.model, but tokenizer.joint is false")
        models = {name: read_small(path, most=_LARGEST) for name, path in files.items()}
        if (manifest := directory / MANIFEST).exists():
            _check(models, read_json(manifest, dict[str, dict[str, str]]), directory)
        try:
            tokenizer = cls({side: models.get(side) or models["joint"] for side in SIDES}, joint=joint, sampling=sampling)
        except RuntimeError as error:
            raise UserError(f"{directory}: not a SentencePiece model ({error})") from error
        except UserError as error:
            raise UserError(f"{directory}: {error}") from error
        for side in (tokenizer._src, tokenizer._tgt):
            if (side.pad_id(), side.unk_id(), side.bos_id(), side.eos_id()) != (PAD, UNK, BOS, EOS):
                raise UserError(f"{directory}: a SentencePiece model without the special pieces of nmt")
        return tokenizer

    def save(self, directory: Path) -> None:
        """Write the models and their checksums into a directory that exists."""
        for name, model in self.models.items():
            (directory / f"{name}.model").write_bytes(model)
        sums = {f"{name}.model": hashlib.sha256(model).hexdigest() for name, model in self.models.items()}
        (directory / MANIFEST).write_text(json.dumps({"sha256": sums}, indent=2) + "\n", encoding="utf-8")

    @property
    def src_size(self) -> int:
        """Pieces of the source vocabulary."""
        return int(self._src.get_piece_size())

    @property
    def tgt_size(self) -> int:
        """Pieces of the target vocabulary."""
        return int(self._tgt.get_piece_size())

    def encode(self, sentences: Sequence[str], side: Side) -> list[list[int]]:
        """The ids of sentences, without BOS and EOS. One in which there is nothing to see has none, as an empty one."""
        ids: list[list[int]] = self._side(side).encode([sentence if is_visible(sentence) else "" for sentence in sentences])
        return ids

    def encode_cut(self, sentences: Sequence[str], side: Side, most: int) -> tuple[list[list[int]], list[bool]]:
        """The first `most` ids of sentences, and which had more; a long sentence is not looked at beyond what decides these."""
        encoded = self.encode([self.beginning(sentence, side, most) for sentence in sentences], side)
        return [ids[:most] for ids in encoded], [len(ids) > most for ids in encoded]

    def beginning(self, sentence: str, side: Side, most: int) -> str:
        """So much of a sentence that its first `most` pieces are the same, and that there are more if the sentence has more."""
        return beginning(sentence, most, self._side(side), lambda: self._longest[side])

    def sample(self, sentence: str, side: Side, seed: int) -> list[int]:
        """One segmentation of a sentence, drawn with its own seed: it depends on nothing else."""
        return self._samplers[side].sample(sentence, seed) if is_visible(sentence) else []

    def pieces(self, ids: Sequence[int], side: Side) -> list[str]:
        """The pieces behind ids."""
        pieces: list[str] = self._side(side).id_to_piece(list(ids))
        return pieces

    def surfaces(self, sentence: str, side: Side) -> list[tuple[str, str]]:
        """The pieces of a sentence, each with the characters that it was made of."""
        return [(piece.piece, piece.surface) for piece in self._segmented(sentence, side)]

    def places(self, sentence: str, side: Side) -> tuple[list[int], list[int]]:
        """The ids of a sentence, and at which of its characters each piece begins."""
        pieces = self._segmented(sentence, side)
        before = [0]  # by byte, the characters before it
        for number, character in enumerate(sentence):
            before += [number + 1] * len(character.encode())
        return [piece.id for piece in pieces], [before[piece.begin] for piece in pieces]

    def ids(self, pieces: Sequence[str], side: Side) -> list[int]:
        """The ids of pieces; that of <unk> for strings that are none."""
        return [int(self._side(side).piece_to_id(piece)) for piece in pieces]

    def decode(self, ids: Sequence[int], unknown: Sequence[str] = ()) -> str:
        """Detokenised target text of ids; a line break that byte pieces may spell becomes a space.

        Args:
            ids: target pieces.
            unknown: text for the unknown ones, in order; without it they are SentencePiece's ⁇.
        """
        if not unknown:
            return _LINE_BREAKS.sub(" ", self._tgt.decode(list(ids))).strip()
        texts = iter(unknown)
        pieces = [next(texts) if n == UNK else piece for n, piece in zip(ids, self.pieces(ids, "tgt"), strict=True)]
        return _LINE_BREAKS.sub(" ", self._tgt.decode_pieces(pieces)).strip()

    @cached_property
    def _longest(self) -> dict[Side, int]:
        """By side, the characters of its longest piece."""
        sizes: dict[Side, int] = {"src": self.src_size, "tgt": self.tgt_size}
        return {side: max(map(len, self.pieces(range(size), side))) for side, size in sizes.items()}

    @cached_property
    def _samplers(self) -> dict[str, Sampler]:
        """By side; made when the first sentence is sampled, which only training does."""
        return {side: Sampler(model, self.sampling) for side, model in self.models.items()}

    def byte_ids(self, side: Side) -> list[int]:
        """The ids of pieces that are bytes."""
        processor = self._side(side)
        return [n for n in range(processor.get_piece_size()) if processor.is_byte(n)]

    def _segmented(self, sentence: str, side: Side) -> Sequence[Any]:
        """The pieces of a sentence with their surfaces and places, as SentencePiece's protocol buffer holds them."""
        pieces: Sequence[Any] = self._side(side).encode(sentence if is_visible(sentence) else "", return_type="proto").pieces
        return pieces

    def _side(self, side: Side) -> sentencepiece.SentencePieceProcessor:
        return self._src if side == "src" else self._tgt


def cached_tokenizer(corpus: Corpus, config: Mapping[str, Any], cache: Path) -> Tokenizer:
    """The tokenizer of a corpus' training split, from the cache or trained now.

    Raises:
        UserError: if the split is empty, or `tokenizer.vocab_size` is too small or too large for it.
    """
    settings = TokenizerSettings(**config)
    decisive = {name: value for name, value in config.items() if name != "sampling"}
    fingerprint = corpus.fingerprint("train")
    key = hashlib.sha256(json.dumps(["2", fingerprint, decisive], sort_keys=True).encode()).hexdigest()[:32]

    def write(folder: Path) -> None:
        if next(iter(corpus.pairs("train")), None) is None:
            raise UserError("train has no pairs: set data.train to text that is not empty")
        reading = corpus.read("train")
        train(reading, settings).save(folder)
        reading.check(fingerprint)

    def read(folder: Path) -> Tokenizer:
        return Tokenizer.load(folder, joint=settings.joint, sampling=settings.sampling)

    return cached(cache, f"tokenizer-{key}", write, read)


def _scored(processor: sentencepiece.SentencePieceProcessor) -> tuple[list[str], list[float]]:
    """The pieces of a model and their scores."""
    numbers = list(range(processor.get_piece_size()))
    return processor.id_to_piece(numbers), processor.get_score(numbers)


def _check(models: Mapping[str, bytes], manifest: Mapping[str, Mapping[str, str]], directory: Path) -> None:
    """Raise `UserError` unless models are those of a manifest."""
    sums = manifest.get("sha256", {})
    for name, model in models.items():
        if sums.get(f"{name}.model") != hashlib.sha256(model).hexdigest():
            raise UserError(f"{directory / name}.model was altered: its SHA-256 is not that of {MANIFEST}")


def train(pairs: Iterable[tuple[str, str]], settings: TokenizerSettings) -> Tokenizer:
    """Learn the pieces of a corpus. The same text and settings give the same model, byte for byte.

    Raises:
        UserError: if there is no text, or `tokenizer.vocab_size` is too small or too large for it.
    """
    used = list(islice(pairs, settings.train_sentences))  # the pieces of a large corpus are settled long before its end
    texts = {"src": (src for src, _ in used), "tgt": (tgt for _, tgt in used)}
    models = learn(texts, settings)
    return Tokenizer({side: models[side] for side in SIDES}, joint=settings.joint, sampling=settings.sampling)
