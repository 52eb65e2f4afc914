"""SentencePiece on both sides: the same text gives the same pieces, and ids give the text back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config import TokenizerSettings
from nmt.data.tokenizer import Tokenizer, cached_tokenizer, train
from nmt.errors import UserError
from nmt.vocabulary import BOS, EOS, PAD, UNK

Pair = tuple[str, str]
Lines = Callable[..., Any]
SETTINGS: dict[str, Any] = vars(TokenizerSettings(vocab_size=320))

each_kind = pytest.mark.parametrize("kind", ["unigram", "bpe"])


@each_kind
@pytest.mark.parametrize("joint", [True, False])
def test_training_gives_the_same_model_byte_for_byte(pairs: list[Pair], kind: str, joint: bool) -> None:
    settings = TokenizerSettings(type=kind, vocab_size=310, joint=joint)
    one, other = train(pairs, settings), train(iter(pairs), settings)
    assert one.models == other.models
    assert set(one.models) == ({"joint"} if joint else {"src", "tgt"})


def test_a_joint_tokenizer_has_one_vocabulary(tokenizer: Tokenizer, pairs: list[Pair]) -> None:
    assert tokenizer.joint
    assert tokenizer.src_size == tokenizer.tgt_size == 340
    for side in pairs[0]:
        assert tokenizer.encode([side], "src") == tokenizer.encode([side], "tgt")


def test_separate_tokenizers_know_their_own_side(pairs: list[Pair]) -> None:
    tokenizer = train(pairs, TokenizerSettings(type="bpe", vocab_size=400, joint=False))
    assert not tokenizer.joint
    vocabularies = {side: set(tokenizer.pieces(range(400), side)) for side in ("src", "tgt")}
    assert vocabularies["src"] != vocabularies["tgt"]
    src, tgt = pairs[0]
    assert len(tokenizer.encode([src], "src")[0]) < len(tokenizer.encode([src], "tgt")[0])
    assert len(tokenizer.encode([tgt], "tgt")[0]) < len(tokenizer.encode([tgt], "src")[0])
    assert tokenizer.decode(tokenizer.encode([tgt], "tgt")[0]) == tgt


def test_the_type_decides_the_pieces(pairs: list[Pair]) -> None:
    one, other = (train(pairs, TokenizerSettings(type=kind, vocab_size=320)) for kind in ("unigram", "bpe"))
    assert one.pieces(range(320), "src") != other.pieces(range(320), "src")


def test_only_the_first_sentences_are_learnt_from(pairs: list[Pair]) -> None:
    settings = TokenizerSettings(vocab_size=320, train_sentences=50)
    assert train(pairs, settings).models == train(pairs[:50], settings).models
    assert train(pairs, settings).models != train(pairs, TokenizerSettings(vocab_size=320)).models


@each_kind
def test_special_ids_come_first(pairs: list[Pair], kind: str) -> None:
    tokenizer = train(pairs, TokenizerSettings(type=kind, vocab_size=320))
    assert (PAD, UNK, BOS, EOS) == (0, 1, 2, 3)
    assert tokenizer.pieces(range(4), "src") == ["<pad>", "<unk>", "<s>", "</s>"]
    assert tokenizer.decode([BOS, *tokenizer.encode(["Hund"], "tgt")[0], EOS, PAD]) == "Hund"


@each_kind
def test_decoding_gives_back_what_was_encoded(pairs: list[Pair], kind: str) -> None:
    tokenizer = train(pairs, TokenizerSettings(type=kind, vocab_size=320))
    sentences = [tgt for _, tgt in pairs] + ["Ein neuer Satz, mit Komma!", "a b", ""]
    encoded = tokenizer.encode(sentences, "tgt")
    assert [tokenizer.decode(ids) for ids in encoded] == sentences
    assert all(id > EOS for ids in encoded for id in ids)


@pytest.mark.parametrize(("kind", "strength"), [("unigram", 0.2), ("bpe", 0.2)])
def test_a_drawn_segmentation_is_one_of_several_and_decided_by_its_seed(pairs: list[Pair], kind: str, strength: float) -> None:
    tokenizer = train(pairs, TokenizerSettings(type=kind, vocab_size=340, sampling=strength))
    text = pairs[0][1]
    drawn = [tokenizer.sample(text, "tgt", seed) for seed in range(20)]
    assert len(set(map(tuple, drawn))) > 1
    assert [tokenizer.sample(text, "tgt", seed) for seed in reversed(range(20))] == drawn[::-1]
    assert {tokenizer.decode(ids) for ids in drawn} == {text}
    best = tokenizer.encode([text], "tgt")
    tokenizer.sample(text, "tgt", 7)
    assert tokenizer.encode([text], "tgt") == best


def test_without_byte_fallback_unseen_characters_are_unknown(pairs: list[Pair]) -> None:
    tokenizer = train(pairs, TokenizerSettings(vocab_size=80, byte_fallback=False))
    assert UNK in tokenizer.encode(["日"], "src")[0]


@each_kind
def test_a_vocabulary_that_is_too_large_names_the_value_and_the_bound(pairs: list[Pair], kind: str) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.vocab_size \(9000\)") as caught:
        train(pairs, TokenizerSettings(type=kind, vocab_size=9000))
    (bound,) = [int(word.partition("=")[2]) for word in str(caught.value).split() if word.startswith("tokenizer.vocab_size=")]
    assert train(pairs, TokenizerSettings(type=kind, vocab_size=bound)).src_size == bound
    with pytest.raises(UserError, match=r"more than this corpus supports"):
        train(pairs, TokenizerSettings(type=kind, vocab_size=bound + 1))


@each_kind
def test_a_vocabulary_that_is_too_small_names_the_value_and_the_bound(pairs: list[Pair], kind: str) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.vocab_size \(270\) is less than .* need: set at least \d+") as caught:
        train(pairs, TokenizerSettings(type=kind, vocab_size=270))
    bound = int(str(caught.value).split()[-1])
    assert 270 < bound < 340
    assert train(pairs, TokenizerSettings(type=kind, vocab_size=bound + 1)).src_size == bound + 1


def test_a_tokenizer_is_saved_and_loaded_whole(pairs: list[Pair], tmp_path: Path) -> None:
    tokenizer = train(pairs, TokenizerSettings(vocab_size=310, joint=False))
    tokenizer.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src.model", "tgt.model"]
    loaded = Tokenizer.load(tmp_path, sampling=0.1)
    assert loaded.models == tokenizer.models
    assert loaded.sampling == 0.1


def test_a_folder_without_models_or_with_others_is_an_error(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must hold joint\.model, or src\.model and tgt\.model, but holds \[\]"):
        Tokenizer.load(tmp_path, sampling=0)
    (tmp_path / "joint.model").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"not a SentencePiece model"):
        Tokenizer.load(tmp_path, sampling=0)
    tokenizer.save(tmp_path)
    (tmp_path / "src.model").write_bytes(b"")
    with pytest.raises(UserError, match=r"but holds \['joint', 'src'\]"):
        Tokenizer.load(tmp_path, sampling=0)


def test_a_cached_tokenizer_is_not_trained_again(
    lines: Lines, pairs: list[Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached_tokenizer(lines(pairs), SETTINGS, tmp_path)
    assert first.models == train(pairs, TokenizerSettings(**SETTINGS)).models
    (folder,) = tmp_path.iterdir()
    monkeypatch.setattr("nmt.data.tokenizer.train", None)
    assert cached_tokenizer(lines(pairs), SETTINGS, tmp_path).models == first.models
    assert cached_tokenizer(lines(pairs), SETTINGS | {"sampling": 0.3}, tmp_path).sampling == 0.3
    assert list(tmp_path.iterdir()) == [folder]


def test_other_text_or_settings_train_another_tokenizer(lines: Lines, pairs: list[Pair], tmp_path: Path) -> None:
    first = cached_tokenizer(lines(pairs), SETTINGS, tmp_path)
    assert cached_tokenizer(lines(pairs[:150]), SETTINGS, tmp_path).models != first.models
    assert cached_tokenizer(lines(pairs), SETTINGS | {"type": "bpe"}, tmp_path).models != first.models
    assert cached_tokenizer(lines(pairs), SETTINGS | {"vocab_size": 321}, tmp_path).src_size == 321
    assert len(list(tmp_path.iterdir())) == 4


def test_an_empty_corpus_has_no_tokenizer(lines: Lines, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train has no pairs: set data\.train"):
        cached_tokenizer(lines([]), SETTINGS, tmp_path)
    assert list(tmp_path.iterdir()) == []
