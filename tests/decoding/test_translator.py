"""From text to text: order, empty and overlong sentences, and characters that no piece has."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.config import DecodeSettings
from nmt.data.tokenizer import Tokenizer
from nmt.decoding.explainer import Explainer
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.models.seq2seq import Memory, Seq2Seq, State
from nmt.vocabulary import EOS, UNK

Pair = tuple[str, str]


class Copy(Seq2Seq):
    """Translates every sentence into itself."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.output = nn.Linear(vocabulary, vocabulary, bias=False)
        nn.init.eye_(self.output.weight)

    def script(self, src: Tensor) -> Tensor:
        """The pieces to emit, EOS last, (B, L)."""
        return src

    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        assert not self.training
        return {"mask": src_mask, "script": self.script(src)}

    def start(self, memory: Memory) -> State:
        return {"position": torch.zeros_like(memory["script"][:, :1])}

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        last = memory["script"].size(1) - 1
        pieces = memory["script"].gather(1, state["position"].clamp(max=last))  # (B, K)
        logits = 9 * F.one_hot(pieces, self.output.in_features).float()
        logits[..., EOS] += 18 * (pieces == EOS) - 9  # it ends where the script ends, in a beam too
        return logits, {"position": state["position"] + 1}

    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        raise AssertionError("translating takes steps, never forward")

    def cross_attention(self) -> list[nn.Module]:
        return []


class Say(Copy):
    """Translates every sentence into the same pieces."""

    def __init__(self, vocabulary: int, pieces: list[int]) -> None:
        super().__init__(vocabulary)
        self.pieces = pieces

    def script(self, src: Tensor) -> Tensor:
        return src.new_tensor([[*self.pieces, EOS]]).expand(len(src), -1)


def translator(tokenizer: Tokenizer, model: Seq2Seq | None = None, **settings: float) -> Translator:
    model = model or Copy(tokenizer.tgt_size)
    return Translator(model, tokenizer, DecodeSettings(**({"beam": 1} | settings)), torch.device("cpu"))


def piece(tokenizer: Tokenizer, name: str) -> int:
    """The id of a piece; pieces that do not exist fail."""
    names = tokenizer.pieces(range(tokenizer.tgt_size), "tgt")
    return names.index(name)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
@pytest.mark.parametrize("beam", [1, 3])
def test_translations_come_in_the_order_of_the_sentences(
    tokenizer: Tokenizer, pairs: list[Pair], batch_size: int, beam: int
) -> None:
    sentences = [src for src, _ in pairs[::13]]
    assert [len(s) for s in sentences] != sorted((len(s) for s in sentences), reverse=True)
    assert translator(tokenizer, batch_size=batch_size, beam=beam).translate(sentences) == sentences


def test_an_empty_line_gives_an_empty_line(tokenizer: Tokenizer) -> None:
    lines = ["", "der Hund sieht den Ball .", "   ", "die Katze hört den Ball .", ""]
    found = translator(tokenizer).search(lines)
    assert [translation.text for translation in found] == ["", lines[1], "", lines[3], ""]
    assert [len(translation.hypotheses) for translation in found] == [0, 1, 0, 1, 0]
    assert translator(tokenizer).translate([]) == []
    assert translator(tokenizer).translate([""]) == [""]


def test_an_overlong_source_is_cut_and_flagged(tokenizer: Tokenizer, pairs: list[Pair]) -> None:
    short, long = "Der Hund", pairs[-1][0]
    ids = tokenizer.encode([long], "src")[0]
    limit = len(ids) - 1
    found = translator(tokenizer, max_source_length=limit).search([long, short])
    assert [translation.cut for translation in found] == [True, False]
    assert [translation.text for translation in found] == [tokenizer.decode(ids[:limit]), short]
    assert not translator(tokenizer, max_source_length=limit + 1).search([long])[0].cut


@pytest.mark.parametrize(
    ("ratio", "offset", "most"), [(2.0, 3, 99), (1.5, 0, 99), (2.0, 10, 5), (0.0, 4, 99), (0.0, 0, 99)], ids=str
)
def test_the_length_of_a_translation_is_limited(tokenizer: Tokenizer, ratio: float, offset: int, most: int) -> None:
    ids = tokenizer.encode(["Hund"], "src")[0]
    model = Say(tokenizer.tgt_size, [ids[0]] * 200)
    settings = {"length_ratio": ratio, "length_offset": offset, "max_length": most}
    (found,) = translator(tokenizer, model, **settings).search(["Hund"])
    assert len(found.hypotheses[0].ids) == min(int(ratio * (len(ids) + 1)) + offset, most)  # with the end of sentence


@pytest.mark.parametrize(
    "end", ["<0x0A>", "<0x0D>", "<0x0B>", "<0x0C>", "<0x1C>", "<0x1E>", "<0xC2> <0x85>", "<0xE2> <0x80> <0xA8>"]
)
def test_no_translation_holds_a_line_break_even_if_the_model_spells_one(tokenizer: Tokenizer, end: str) -> None:
    hund, katze = (tokenizer.encode([word], "tgt")[0] for word in ("Hund", "Katze"))
    spelt = [piece(tokenizer, name) for name in end.split()]
    model = Say(tokenizer.tgt_size, [*spelt, *hund, *spelt, *spelt, *katze, *spelt])
    (text,) = translator(tokenizer, model, length_offset=99).translate(["Ball"])
    assert text.split() == ["Hund", "Katze"]
    assert text.splitlines() == [text]
    assert text == text.strip()


@pytest.mark.parametrize("sentence", ["Der Hund Żółć .", "日本語", "😀 Hund 🇩🇪", "Ω", "a\u0301 ß"])
def test_characters_that_were_never_seen_survive_as_bytes(tokenizer: Tokenizer, sentence: str) -> None:
    (ids,) = tokenizer.encode([sentence], "src")
    assert UNK not in ids
    assert any(name.startswith("<0x") for name in tokenizer.pieces(ids, "src"))
    (text,) = translator(tokenizer, max_length=99).translate([sentence])
    assert text == sentence.replace("a\u0301", "á")  # NFKC composes


def test_the_model_is_back_in_its_mode_after_translating(tokenizer: Tokenizer) -> None:
    for training in (True, False):
        model = Copy(tokenizer.tgt_size).train(training)
        translator(tokenizer, model).translate(["Der Hund"])
        assert model.training == training


@pytest.mark.parametrize(
    "blank", ["\xad", "\u200b\u200d\ufeff", "\u3000\u00a0", "\ufe0f", "\u3164", "\u2800", "\U000e0041", "\x07"], ids=ascii
)
def test_a_line_in_which_nothing_shows_gives_an_empty_line(tokenizer: Tokenizer, blank: str) -> None:
    copier = translator(tokenizer)
    found = copier.search([blank, "the dog", blank * 30])
    assert [translation.text for translation in found] == ["", "the dog", ""]
    assert not any(translation.hypotheses for translation in found[::2])
    with pytest.raises(UserError, match="the sentence is empty"):
        Explainer(copier).source(blank)


@pytest.mark.parametrize(
    "text", ["the dog sees " * 9000, "thedog" * 20_000, "犬" * 30_000], ids=["words", "no spaces", "bytes"]
)
def test_a_very_long_line_is_translated_as_its_first_pieces_and_little_of_it_is_cut_into_pieces(
    tokenizer: Tokenizer, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier = translator(tokenizer, max_source_length=20, max_length=40)
    whole = tokenizer.encode([text], "src")[0]
    given: list[int] = []
    original = tokenizer._src.encode

    def encode(texts: str | list[str], **options: Any) -> Any:
        given.append(len(texts) if isinstance(texts, str) else sum(map(len, texts)))
        return original(texts, **options)

    monkeypatch.setattr(tokenizer._src, "encode", encode)
    (found,) = copier.search([text])
    assert (found.hypotheses[0].ids, found.cut) == (whole[:20], True)
    assert max(given) <= 4096
    with pytest.raises(UserError, match=r"the sentence has more than \d+ pieces, but decode\.max_source_length is 20"):
        Explainer(copier).source(text)
    assert max(given) <= 4096
