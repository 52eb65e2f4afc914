"""JSON records: what is written can be read, by whoever takes whatever for the end of a line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.commands.streams import json_line
from nmt.decoding.records import given, records
from nmt.decoding.translator import Translator
from nmt.errors import UserError

MakeRun = Callable[..., Path]


def test_a_record_has_all_that_the_search_knows(make_run: MakeRun) -> None:
    translator = Translator.load(make_run("luong_tiny")).having(n_best=2)
    sentences = ["der Hund sieht", "", "das Kind " * 30]
    translations = translator.search(sentences)
    found = records(translator, sentences, translations)
    assert [record["source"] for record in found] == sentences
    assert [record["cut"] for record in found] == [False, False, True]
    assert [list(record) for record in found] == [["source", "cut", "translations"]] * 3
    assert [len(record["translations"]) for record in found] == [2, 0, 2]
    for record, translation in zip(found, translations, strict=True):
        for listed, text, hypothesis in zip(record["translations"], translation.texts, translation.hypotheses, strict=True):
            assert list(listed) == ["text", "score", "log_prob", "pieces", "log_probs", "alignment"]
            assert listed["text"] == text
            assert translator.tokenizer.ids(listed["pieces"], "tgt") == hypothesis.ids
            assert [listed["score"], listed["log_prob"]] == [hypothesis.score, hypothesis.log_prob]
        source, ids = given(json.loads(json_line(record)), translator.tokenizer, "here")
        assert (source, ids) == (record["source"], [hypothesis.ids for hypothesis in translation.hypotheses])


@pytest.mark.parametrize("text", ["a\u2028b", "\u2029", "\x85", "\x0b\x0c\x1c\x1d\x1e", "\r\n", "\0", "\U0001f600", '"\\'])
def test_a_record_is_one_line_for_every_reader(text: str) -> None:
    line = json_line({"source": text})
    assert line.splitlines() == [line]
    assert json.loads(line) == {"source": text}


def test_the_unknown_piece_is_a_piece(make_run: MakeRun) -> None:
    tokenizer = Translator.load(make_run("transformer_tiny", byte_fallback=False)).tokenizer
    assert given({"source": "x", "translations": [{"pieces": ["<unk>"]}]}, tokenizer, "here") == ("x", [[1]])
    for piece in ("漢", "", "<pad>", "<s>", "</s>"):
        with pytest.raises(UserError, match=r"here: .* is no piece of the run's vocabulary: was it written by another run"):
            given({"source": "x", "translations": [{"pieces": ["<unk>", piece]}]}, tokenizer, "here")
