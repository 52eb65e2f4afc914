"""Subword sampling against enumeration, against SentencePiece itself, and across processes."""

import math
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import sentencepiece

from nmt.config import TokenizerSettings
from nmt.data.subwords import BPE, Sampler, Unigram
from nmt.data.tokenizer import SIDES, Tokenizer, train

SENTENCES = ["Der Hund sieht den Ball im Garten .", "Die  Katze\u2028hört ﬁsh 漢字 \U0001f600", "", "Ball"]


def tokenizer_of(pairs: list[tuple[str, str]], kind: str, sampling: float, byte_fallback: bool = True) -> Tokenizer:
    return train(
        pairs,
        TokenizerSettings(type=kind, vocab_size=340 if byte_fallback else 100, sampling=sampling, byte_fallback=byte_fallback),
    )


def segmentations(word: str, scores: dict[str, float], unknown: float) -> dict[tuple[str, ...], float]:
    """Every segmentation of a word with its summed score."""
    if not word:
        return {(): 0.0}
    found = {}
    for end in range(1, len(word) + 1):
        score = scores.get(word[:end], unknown if end == 1 else None)
        if score is not None:
            rest = segmentations(word[end:], scores, unknown)
            found |= {(word[:end], *pieces): score + total for pieces, total in rest.items()}
    return found


def test_unigram_draws_every_segmentation_as_often_as_its_smoothed_probability() -> None:
    scores = {"▁": -3.0, "a": -2.0, "b": -2.5, "ab": -3.0, "▁a": -4.0, "aba": -6.0, "▁aba": -7.5}
    alpha, draws = 0.5, 40_000
    weights = {pieces: math.exp(alpha * total) for pieces, total in segmentations("▁abaxb", scores, -17.5).items()}
    total = sum(weights.values())
    source, segmenter = random.Random(1), Unigram(scores, alpha)
    counts = Counter(tuple(segmenter.draw("▁abaxb", source)) for _ in range(draws))
    assert set(counts) <= set(weights)
    assert len(weights) == 5
    for pieces, weight in weights.items():
        expected = draws * weight / total
        assert abs(counts[pieces] - expected) < 5 * math.sqrt(expected) + 1, pieces


def test_bpe_without_dropout_merges_as_learnt_and_with_full_dropout_not_at_all() -> None:
    scores = {"ab": -0.0, "▁a": -1.0, "abc": -2.0, "▁abc": -3.0}
    assert BPE(scores, 0.0).draw("▁abc", random.Random(1)) == ["▁abc"]
    assert BPE(scores, 0.0).draw("▁aab", random.Random(1)) == ["▁a", "ab"]
    assert BPE(scores, 1.0).draw("▁abc", random.Random(1)) == ["▁", "a", "b", "c"]


def test_bpe_leaves_a_merge_out_with_the_probability_asked_for() -> None:
    source, segmenter = random.Random(1), BPE({"ab": -0.0}, 0.3)
    whole = sum(segmenter.draw("ab", source) == ["ab"] for _ in range(20_000))
    assert abs(whole - 14_000) < 5 * math.sqrt(20_000 * 0.3 * 0.7)


@pytest.mark.parametrize("byte_fallback", [True, False])
@pytest.mark.parametrize(("kind", "strength"), [("unigram", 1e6), ("bpe", 1e-300)])
def test_at_the_limit_of_its_strength_sampling_is_sentencepiece_itself(
    pairs: list[tuple[str, str]], kind: str, strength: float, byte_fallback: bool
) -> None:
    tokenizer = tokenizer_of(pairs, kind, 0.1, byte_fallback)
    for side in SIDES:
        sampler = Sampler(tokenizer.models[side], strength)
        for sentence in [*SENTENCES, *(text for pair in pairs[:50] for text in pair)]:
            assert sampler.sample(sentence, 7) == tokenizer.encode([sentence], side)[0], sentence


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_samples_differ_between_seeds_and_always_spell_the_sentence(pairs: list[tuple[str, str]], kind: str) -> None:
    tokenizer = tokenizer_of(pairs, kind, 0.3)
    for sentence in SENTENCES:
        text = tokenizer.decode(tokenizer.encode([sentence], "tgt")[0])
        samples = [tokenizer.sample(sentence, "tgt", seed) for seed in range(50)]
        assert {tokenizer.decode(ids) for ids in samples} == {text}
    assert len({tuple(tokenizer.sample(SENTENCES[0], "src", seed)) for seed in range(50)}) > 20


def test_unigram_draws_pieces_as_often_as_sentencepiece_does(pairs: list[tuple[str, str]]) -> None:
    tokenizer = tokenizer_of(pairs, "unigram", 0.2)
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.models["tgt"])
    sentence, draws = "Die Katze sucht", 4_000
    ours = Counter(piece for seed in range(draws) for piece in tokenizer.sample(sentence, "src", seed))
    theirs = Counter(
        piece for _ in range(draws) for piece in processor.encode(sentence, enable_sampling=True, alpha=0.2, nbest_size=-1)
    )
    for piece in ours | theirs:
        expected = theirs[piece]
        assert abs(ours[piece] - expected) < 7 * math.sqrt(max(ours[piece], expected)) + 5, processor.id_to_piece(piece)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_another_process_draws_the_same(pairs: list[tuple[str, str]], tmp_path: Path, kind: str) -> None:
    tokenizer = tokenizer_of(pairs, kind, 0.2)
    tokenizer.save(tmp_path)
    code = (
        "import sys; from pathlib import Path; from nmt.data.tokenizer import Tokenizer\n"
        f"tokenizer = Tokenizer.load(Path({str(tmp_path)!r}), joint=True, sampling=0.2)\n"
        f"print([tokenizer.sample({SENTENCES[0]!r}, 'src', seed) for seed in range(9)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([tokenizer.sample(SENTENCES[0], "src", seed) for seed in range(9)])
