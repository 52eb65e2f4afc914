"""SentencePiece on both sides: the same text gives the same pieces, and ids give the text back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from nmt.config import TokenizerSettings
from nmt.data.tokenizer import SIDES, Side, Tokenizer, cached_tokenizer, train
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
    assert set(one.models) == {"src", "tgt"}
    assert one.joint is joint


def test_a_joint_tokenizer_has_one_vocabulary(tokenizer: Tokenizer, pairs: list[Pair]) -> None:
    assert tokenizer.joint
    assert tokenizer.src_size == tokenizer.tgt_size == 340
    for text in pairs[0]:
        assert tokenizer.encode([text], "src") == tokenizer.encode([text], "tgt")


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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "src.model", "tgt.model"]
    loaded = Tokenizer.load(tmp_path, joint=False, sampling=0.1)
    assert loaded.models == tokenizer.models
    assert loaded.sampling == 0.1


def test_a_folder_without_models_or_with_others_is_an_error(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must hold src\.model and tgt\.model, but holds \[\]"):
        Tokenizer.load(tmp_path, joint=True, sampling=0)
    (tmp_path / "joint.model").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"not a SentencePiece model"):
        Tokenizer.load(tmp_path, joint=True, sampling=0)
    tokenizer.save(tmp_path)
    (tmp_path / "tgt.model").unlink()
    with pytest.raises(UserError, match=r"but holds \['joint', 'src'\]"):
        Tokenizer.load(tmp_path, joint=True, sampling=0)


def test_the_joint_model_of_an_older_nmt_serves_both_sides(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "joint.model").write_bytes(tokenizer.models["src"])
    loaded = Tokenizer.load(tmp_path, joint=True, sampling=0)
    assert loaded.models == {"src": tokenizer.models["src"], "tgt": tokenizer.models["src"]}
    with pytest.raises(UserError, match=r"holds joint\.model, but tokenizer\.joint is false"):
        Tokenizer.load(tmp_path, joint=False, sampling=0)


def test_a_joint_tokenizer_of_two_vocabularies_is_an_error(pairs: list[Pair], tmp_path: Path) -> None:
    train(pairs, TokenizerSettings(vocab_size=310, joint=False)).save(tmp_path)
    with pytest.raises(UserError, match=r"tokenizer\.joint is true, but src\.model and tgt\.model have different pieces"):
        Tokenizer.load(tmp_path, joint=True, sampling=0)


@pytest.mark.parametrize("name", ["src.model", "tgt.model"])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.999])
def test_one_altered_bit_of_a_tokenizer_is_an_error(tokenizer: Tokenizer, tmp_path: Path, name: str, place: float) -> None:
    tokenizer.save(tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[int(place * len(content))] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} was altered: its SHA-256 is not that of manifest\.json"):
        Tokenizer.load(tmp_path, joint=True, sampling=0)
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match=r"src\.model was altered"):
        Tokenizer.load(tmp_path, joint=True, sampling=0)


def test_a_tokenizer_without_checksums_is_that_of_an_older_nmt(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    (tmp_path / "manifest.json").unlink()
    assert Tokenizer.load(tmp_path, joint=True, sampling=0).models == tokenizer.models


LOSSLESS = [
    "他来了，对吗？",
    "Ⅷ ﬁn ½ … ™",
    "e\u0301 und é",
    "tab\tund\u00a0fest\u3000weit",
    "weich\xadtrennung \u200bnull",
    "👩\u200d👩\u200d👧 \U0001f1e9\U0001f1ea",
]


@each_kind
@pytest.mark.parametrize("joint", [True, False])
def test_the_target_comes_back_character_by_character_and_the_source_is_normalised(
    pairs: list[Pair], kind: str, joint: bool
) -> None:
    tokenizer = train(pairs, TokenizerSettings(type=kind, vocab_size=310, joint=joint))
    assert [tokenizer.decode(ids) for ids in tokenizer.encode(LOSSLESS, "tgt")] == LOSSLESS
    pieces = [tokenizer.pieces(ids, "src") for ids in tokenizer.encode(["ｄer Ｈund，", "der Hund,"], "src")]
    assert pieces[0] == pieces[1]
    assert tokenizer.encode(["ｄer"], "tgt") != tokenizer.encode(["der"], "tgt")


@pytest.mark.parametrize(
    "rules", [("nmt_nfkc", "identity"), ("identity", "nfkc"), ("nfkc_cf", "nmt_nfkc"), ("identity", "identity")]
)
def test_each_side_of_a_joint_tokenizer_has_its_own_rule_and_the_same_pieces(pairs: list[Pair], rules: tuple[str, str]) -> None:
    settings = TokenizerSettings(vocab_size=320, normalization=rules[0], target_normalization=rules[1])
    tokenizer = train(pairs, settings)
    assert tokenizer.pieces(range(320), "src") == tokenizer.pieces(range(320), "tgt")
    for side, rule in zip(SIDES, rules, strict=True):
        processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.models[side])
        wanted = sentencepiece.SentencePieceNormalizer(rule_name=rule, add_dummy_prefix=False, escape_whitespaces=False)
        for text in ("Ｈund，", "ﬁnds ½ e\u0301", "A\u3000b"):
            assert processor.normalize(text).replace("▁", " ").strip() == wanted.normalize(text).replace("▁", " ").strip()


@each_kind
@pytest.mark.parametrize("joint", [True, False])
def test_another_engine_that_reads_the_files_finds_the_same_ids(
    pairs: list[Pair], kind: str, joint: bool, tmp_path: Path
) -> None:
    tokenizer = train(pairs, TokenizerSettings(type=kind, vocab_size=310, joint=joint))
    tokenizer.save(tmp_path)
    for side in SIDES:
        engine = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / f"{side}.model"))
        texts = [*LOSSLESS, *(text for pair in pairs[:20] for text in pair), "漢字 \U0001f600"]
        assert [engine.encode(text) for text in texts] == tokenizer.encode(texts, side)
        assert side == "src" or [engine.decode(engine.encode(text)) for text in texts] == texts


BLANK = [
    "\xad",
    "\u200b\u200d\ufeff",
    "\x00\x07\x1b",
    "\u3000\u00a0\u2003",
    "\ufe0f\U000e0100",
    "\u3164\uffa0\u115f",
    "\U000e0041\U000e007f",
    "\u2800",
    "\u2028",
    " \t",
]


@pytest.mark.parametrize("side", ["src", "tgt"])
@pytest.mark.parametrize("text", BLANK, ids=ascii)
def test_a_text_in_which_nothing_shows_has_no_pieces(pairs: list[Pair], text: str, side: Side) -> None:
    tokenizer = train(pairs, TokenizerSettings(vocab_size=340, sampling=0.1))
    assert tokenizer.encode([text, "der Hund", text * 20], side)[::2] == [[], []]
    assert tokenizer.encode_cut([text], side, 5) == ([[]], [False])
    assert tokenizer.sample(text, side, 1) == []
    assert tokenizer.surfaces(text, side) == []
    assert tokenizer.places(text, side) == ([], [])
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.models[side])
    assert tokenizer.encode([f"{text}H{text}"], side) == [processor.encode(f"{text}H{text}")]


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
