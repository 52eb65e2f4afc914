"""SentencePiece on both sides: text to ids and back."""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import sentencepiece

from nmt.config import TokenizerSettings
from nmt.data.cache import cached
from nmt.data.corpus import Corpus
from nmt.data.subwords import Sampler
from nmt.errors import UserError
from nmt.saved import MEBIBYTE, read_small
from nmt.vocabulary import BOS, EOS, PAD, UNK

Side = Literal["src", "tgt"]
SIDES: tuple[Side, Side] = ("src", "tgt")
MOST_BYTES = 512 * MEBIBYTE
"""Of a model: some thirty for each piece."""
TRAINER_THREADS = 4
"""SentencePiece's result depends on the number of its threads: the same everywhere gives the same pieces everywhere."""

_LINE_BREAKS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


class Tokenizer:
    """The SentencePiece models of a run: one for both sides (joint) or one each.

    Attributes:
        joint: whether both sides share one model.
        sampling: 0, or the strength of subword sampling in training: the smoothing α of the unigram language model
            (Kudo 2018), the merge dropout p of BPE (Provilkov et al. 2020).
    """

    def __init__(self, models: dict[str, bytes], *, sampling: float) -> None:
        self.models = models
        self.joint = "joint" in models
        self.sampling = sampling
        processors = {name: sentencepiece.SentencePieceProcessor(model_proto=model) for name, model in models.items()}
        self._src = processors["joint" if self.joint else "src"]
        self._tgt = processors["joint" if self.joint else "tgt"]

    @classmethod
    def load(cls, directory: Path, *, sampling: float) -> "Tokenizer":
        """The tokenizer in a run's `tokenizer/`.

        Raises:
            UserError: if it is not there or is no SentencePiece model.
        """
        files = {path.stem: path for path in sorted(directory.glob("*.model"))}
        if set(files) not in ({"joint"}, {"src", "tgt"}):
            raise UserError(f"{directory} must hold joint.model, or src.model and tgt.model, but holds {sorted(files)}")
        try:
            tokenizer = cls({name: read_small(path, most=MOST_BYTES) for name, path in files.items()}, sampling=sampling)
        except (RuntimeError, FileNotFoundError) as error:
            raise UserError(f"{directory}: not a SentencePiece model ({error})") from error
        for side in (tokenizer._src, tokenizer._tgt):
            if (side.pad_id(), side.unk_id(), side.bos_id(), side.eos_id()) != (PAD, UNK, BOS, EOS):
                raise UserError(f"{directory}: a SentencePiece model without the special pieces of nmt")
        return tokenizer

    def save(self, directory: Path) -> None:
        """Write the models into a directory that exists."""
        for name, model in self.models.items():
            (directory / f"{name}.model").write_bytes(model)

    @property
    def src_size(self) -> int:
        """Pieces of the source vocabulary."""
        return int(self._src.get_piece_size())

    @property
    def tgt_size(self) -> int:
        """Pieces of the target vocabulary."""
        return int(self._tgt.get_piece_size())

    def encode(self, sentences: Sequence[str], side: Side) -> list[list[int]]:
        """The ids of sentences, without BOS and EOS."""
        ids: list[list[int]] = self._side(side).encode(list(sentences))
        return ids

    def sample(self, sentence: str, side: Side, seed: int) -> list[int]:
        """One segmentation of a sentence, drawn with its own seed: it depends on nothing else."""
        return self._samplers[side].sample(sentence, seed)

    def pieces(self, ids: Sequence[int], side: Side) -> list[str]:
        """The pieces behind ids."""
        pieces: list[str] = self._side(side).id_to_piece(list(ids))
        return pieces

    def surfaces(self, sentence: str, side: Side) -> list[tuple[str, str]]:
        """The pieces of a sentence, each with the characters that it was made of."""
        return [(piece.piece, piece.surface) for piece in self._side(side).encode(sentence, return_type="proto").pieces]

    def places(self, sentence: str, side: Side) -> tuple[list[int], list[int]]:
        """The ids of a sentence, and at which of its characters each piece begins."""
        pieces = self._side(side).encode(sentence, return_type="proto").pieces
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
    def _samplers(self) -> dict[str, Sampler]:
        """By side; made when the first sentence is sampled, which only training does."""
        samplers = {name: Sampler(model, self.sampling) for name, model in self.models.items()}
        return {side: samplers["joint" if self.joint else side] for side in ("src", "tgt")}

    def _side(self, side: Side) -> sentencepiece.SentencePieceProcessor:
        return self._src if side == "src" else self._tgt


def cached_tokenizer(corpus: Corpus, config: Mapping[str, Any], cache: Path) -> Tokenizer:
    """The tokenizer of a corpus' training split, from the cache or trained now.

    Raises:
        UserError: if the split is empty, or the vocabulary does not suit it.
    """
    settings = TokenizerSettings(**config)
    decisive = {name: value for name, value in config.items() if name != "sampling"}
    key = hashlib.sha256(json.dumps(["1", corpus.fingerprint("train"), decisive], sort_keys=True).encode()).hexdigest()[:32]

    def write(folder: Path) -> None:
        if next(iter(corpus.pairs("train")), None) is None:
            raise UserError("train has no pairs: set data.train to text that is not empty")
        train(corpus.pairs("train"), settings).save(folder)

    return cached(cache, f"tokenizer-{key}", write, lambda folder: Tokenizer.load(folder, sampling=settings.sampling))


def train(pairs: Iterable[tuple[str, str]], settings: TokenizerSettings) -> Tokenizer:
    """Learn the pieces of a corpus. The same text and settings give the same model, byte for byte.

    Raises:
        UserError: if the vocabulary does not suit the corpus.
    """
    texts: dict[str, list[str]] = {"joint": []} if settings.joint else {"src": [], "tgt": []}
    for src, tgt in islice(pairs, settings.train_sentences):  # the pieces of a large corpus are settled long before its end
        texts["joint" if settings.joint else "src"].append(src)
        texts["joint" if settings.joint else "tgt"].append(tgt)
    return Tokenizer({name: _train_one(lines, settings) for name, lines in texts.items()}, sampling=settings.sampling)


def _train_one(lines: list[str], settings: TokenizerSettings) -> bytes:
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type=settings.type,
            vocab_size=settings.vocab_size,
            byte_fallback=settings.byte_fallback,
            normalization_rule_name=settings.normalization,
            character_coverage=1.0,
            num_threads=TRAINER_THREADS,
            pad_id=PAD,
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UserError(_explain(str(error), settings.vocab_size)) from error
    return model.getvalue()


def _explain(message: str, size: int) -> str:
    if found := re.search(r"set it to a value <= (\d+)", message):
        return (
            f"tokenizer.vocab_size ({size}) is more than this corpus supports: "
            f"set tokenizer.vocab_size={found[1]} or less, or train on more text"
        )
    if found := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return f"tokenizer.vocab_size ({size}) is less than the characters of this corpus need: set at least {found[1]}"
    return f"tokenizer.vocab_size ({size}): SentencePiece cannot train on this corpus: {message}"
