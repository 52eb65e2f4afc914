"""Files of word links."""

from pathlib import Path

import pytest

from nmt.data.links import Gold, pharaoh, read_gold, read_pharaoh
from nmt.errors import UserError

LENGTHS = [(3, 4), (2, 2)]
EXPECTED = [
    Gold(frozenset({(0, 0), (2, 3)}), frozenset({(0, 0), (2, 3), (1, 2)})),
    Gold(frozenset({(1, 0)}), frozenset({(1, 0)})),
]


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gold.txt", "0-0 2-3 1?2\n1-0\n"),
        ("gold.txt", "0-0 1p2 2-3\n1-0\n"),
        ("gold.talp", "1-1 3s4 2p3\n2-1\n"),
        ("gold.naacl", "1 1 1 S\n1 3 4\n1 2 3 P\n\n2 2 1 S 0.9\n2 0 2 S\n"),
        ("gold.wa", "1 1 1 S \n1 3 4 S\n1 2 3 P\n2 2 1 S\n"),
        ("gold", "1 1 1 S\n1 3 4 S\n1 2 3 P\n2 2 1 S\n"),
    ],
)
def test_every_format_says_the_same(tmp_path: Path, name: str, text: str) -> None:
    assert read_gold(written(tmp_path, name, text), LENGTHS) == EXPECTED


def test_base_and_order_can_be_said(tmp_path: Path) -> None:
    assert read_gold(written(tmp_path, "a.wa", "1 0 0 S\n1 2 3 S\n1 1 2 P\n2 1 0 S\n"), LENGTHS, base=0) == EXPECTED
    assert read_gold(written(tmp_path, "b", "1-1 4-3 3p2\n1-2\n"), LENGTHS, base=1, swapped=True) == EXPECTED
    assert EXPECTED[0].swapped() == Gold(frozenset({(0, 0), (3, 2)}), frozenset({(0, 0), (3, 2), (2, 1)}))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("0-0\n", {}, r"gold has 1 lines but there are 2 sentence pairs"),
        ("0-0\n\n\n", {}, r"gold has 3 lines but there are 2 sentence pairs"),
        ("0-0\n1-2\n", {}, r"line 2: the link 1-2 is outside the sentence: the target has 2 words, counted from 0"),
        ("0-0 3-0\n\n", {}, r"line 1: the link 3-0 is outside the sentence: the source has 3 words"),
        ("0-0\n1=1\n", {}, r"line 2: '1=1' is no link such as 0-0"),
        ("0-0\n١-١\n", {}, r"line 2: '١-١' is no link"),
        ("1 1 1 S\n3 1 1 S\n", {}, r"line 2 is about sentence 3, but there are 2 pairs"),
        ("1 1 1 S\n2 2 3 S\n", {}, r"line 2: the link 2 2 3 S is outside the sentence: the target has 2 words, counted from 1"),
        ("1 1 1 S\n2 2\n", {}, r"line 2: '2 2' is no link such as `1 3 4 S`"),
        ("0-0\n\n", {"form": "xml"}, r"gold_format must be auto, pharaoh, talp, naacl, but is 'xml'"),
        ("0-0\n\n", {"base": 2}, r"must be 0 or 1, but is 2"),
        ("0-0\n\n", {"base": 1}, r"line 1: the link 0-0 is outside the sentence"),
    ],
)
def test_what_does_not_fit_the_text_is_named(tmp_path: Path, text: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_gold(written(tmp_path, "gold", text), LENGTHS, **options)  # type: ignore[arg-type]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    links = [[(0, 0), (10, 2)], [], [(3, 1)]]
    path = written(tmp_path, "links", "".join(f"{pharaoh(one)}\n" for one in links))
    assert list(read_pharaoh(path)) == links
