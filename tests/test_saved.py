"""What nmt has saved is read as if a stranger had written it."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
import pytest

from nmt.errors import UserError
from nmt.saved import MEBIBYTE, MOST_VALUES, MOST_YAML, checked, read_json, read_saved_lines, read_small, read_yaml

BOMB = "a: &a [1, 1]\n" + "".join(f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True))

YAML = {
    "an alias bomb": (BOMB, "alias"),
    "nested lists": ("[" * 5_000, "nested too deeply"),
    "nested keys": ("\n".join(" " * depth + "k:" for depth in range(500)), "nested too deeply"),
    "a long number": ("a: " + "9" * 5_000, "a number of 5,000 digits"),
    "a long hexadecimal number": ("a: 0x" + "f" * 5_000, "digits"),
    "sixties": ("a: " + ":".join(["59"] * 5_000), "digits"),
    "a long decimal": ("a: 1." + "9" * 5_000, "digits"),
    "a number that no setting has": ("a: " + "9" * 300, "a value of type int"),
    "many values": ("a: [" + "1," * MOST_VALUES + "]", f"more than {MOST_VALUES:,} values"),
    "much text": ("a: " + "x" * MOST_YAML, "more than"),
    "a set": ("!!set {a}", "a value of type set"),
    "bytes": ("a: !!binary aGk=", "a value of type bytes"),
    "a Python object": ("a: !!python/name:os.system", "constructor"),
    "a number for a key": ("1: 2", "no name of a key"),
    "a list for a key": ("? [a]\n: b", "mapping"),
    "a key twice": ("a: 1\na: 2", "mapping"),
    "several documents": ("--- 1\n--- 2", "single document"),
    "what is no number": ("a: !!int x", "invalid literal"),
    "a null byte": ("a: \0", "special characters"),
    "no UTF-8": ("a: \udcff", "invalid start byte"),
}


@pytest.mark.parametrize("kind", YAML)
def test_yaml_that_takes_too_long_or_is_no_plain_value_is_refused(kind: str, tmp_path: Path) -> None:
    text, message = YAML[kind]
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=message):
        read_yaml(path)


def test_plain_yaml_is_read_as_the_command_line_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: 1.0e-09\nb: [1, 2.5, null, true, 'no', '1', .inf, 1_000]\nc: {d: {e: é}}\n", encoding="utf-8")
    assert read_yaml(path) == {"a": 1e-9, "b": [1, 2.5, None, True, "no", "1", float("inf"), 1000], "c": {"d": {"e": "é"}}}


class Shape(TypedDict):
    count: Annotated[int, msgspec.Meta(ge=0)]
    name: str | None


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "9" * 5_000,
        '{"count": ' + "9" * 5_000 + "}",
        '{"count": 1.5, "name": null}',
        '{"count": -1, "name": null}',
        '{"count": true, "name": null}',
        '{"count": 1, "name": 3}',
        '{"count": 1}',
        "[]",
        "",
        "{",
        "\x00",
        '{"count": 1, "name": "' + "x" * MEBIBYTE + '"}',
    ],
    ids=range(14),
)
def test_json_of_another_shape_or_depth_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(str(path))):
        read_json(path, Shape, most=MEBIBYTE)


def test_json_of_the_shape_is_read_and_more_keys_are_let_be(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text('{"count": 3, "name": null, "more": 1}', encoding="utf-8")
    assert read_json(tmp_path / "file.json", Shape) == {"count": 3, "name": None}
    assert checked({"a": [1, "x"]}, dict[str, Any], "here") == {"a": [1, "x"]}


@pytest.mark.parametrize("kind", ["fifo", "zero", "tty", "folder", "sparse", "proc"])
def test_what_is_no_file_or_has_no_end_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "zero" | "tty":
            path.symlink_to(f"/dev/{kind}")
        case "folder":
            path.mkdir()
        case "sparse":
            path.touch()
            os.truncate(path, 10**12)
        case "proc":
            path.symlink_to("/proc/self/environ" if sys.platform == "linux" else "/dev/zero")
    with pytest.raises(UserError, match=re.escape(str(path))):
        read_small(path, most=1)


def test_the_lines_of_a_text_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "hypotheses.txt"
    path.write_bytes("a\u2028b\n\n c\r\n".encode())
    assert read_saved_lines(path) == ["a\u2028b", "", " c\r"]
    path.write_bytes(b"x" * (MEBIBYTE + 1))
    with pytest.raises(UserError, match="a line of 1,048,577 bytes"):
        read_saved_lines(path)
    path.write_bytes(b"\xff\n")
    with pytest.raises(UserError, match="UTF-8"):
        read_saved_lines(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_saved_lines(tmp_path / "nothing")
