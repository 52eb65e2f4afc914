"""What is typed on the command line, through Hydra, and back."""

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from nmt.config import config_directory, register
from nmt.errors import UserError
from nmt.typed import check_repeated, plain, quoted

TEXTS = [
    *(
        "???",
        "\\???",
        "\\\\???",
        "null",
        "true",
        "1",
        "[a]",
        "{a}",
        "{a: b}",
        "${x}",
        "\\${x}",
        "${oc.env:HOME}",
        "a=b",
        "a,b",
        "",
    ),
    *(
        "'",
        '"',
        "'quoted'",
        '"quoted"',
        "it's",
        "back\\slash",
        "ends\\",
        "ends\\'",
        " spaces ",
        "~/x",
        "ü 漢",
        "#",
        "%",
        "a\tb",
    ),
]


def composed(command: str, *arguments: str) -> dict[str, Any]:
    """The config that the command line makes of arguments."""
    register()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return plain(compose(command, [quoted(argument, command=command) for argument in arguments]), command)


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_arrives_as_it_was_typed(text: str) -> None:
    assert composed("translate", "run=x", f"text={text}", f"prefix={text}")["text"] == text
    assert composed("translate", "run=x", f"text={text}", f"prefix={text}")["prefix"] == text
    assert composed("explain", "run=x", "text=a", f"reference={text}")["reference"] == text


@pytest.mark.parametrize("path", ["???", "[a]", "{a}", "${x}", "a=b", "a,b", "my file", "it's", "(1)", "a:b", "50%", "x\\"])
def test_any_path_arrives_as_it_was_typed(path: str) -> None:
    assert composed("translate", f"run=/{path}", f"input={path}") | {"input": path, "run": f"/{path}"} == composed(
        "translate", "run=/x", "input=x"
    ) | {"input": path, "run": f"/{path}"}
    assert composed("translate", "run=x", f"input={path}")["input"] == path


@pytest.mark.parametrize(
    ("typed", "items"),
    [
        ("[my dir/a,b]", ["my dir/a", "b"]),
        ("[ A B.en , C.en ]", ["A B.en", "C.en"]),
        ("['a, b',\"c d\"]", ["a, b", "c d"]),
        ("[it's,b]", ["it's", "b"]),
        ("[a=b,{c},(d),${e},???]", ["a=b", "{c}", "(d)", "${e}", "???"]),
        ("['it\\'s','x\\\\']", ["it's", "x\\"]),
        ("[null,1]", ["null", "1"]),
        ("[]", []),
    ],
)
def test_a_list_of_paths_is_what_its_commas_separate(typed: str, items: list[str]) -> None:
    assert composed("evaluate", "run=x", f"reference={typed}")["reference"] == items
    assert composed("train", "data=text", f"data.train={typed}")["data"]["train"] == items
    assert composed("report", f"run={typed}")["run"] == items


def test_null_and_quotes_keep_their_meaning() -> None:
    assert composed("evaluate", "run=x", "reference=null")["reference"] is None
    assert composed("evaluate", "run=x", "reference='[a,b]'")["reference"] == "[a,b]"
    assert composed("evaluate", "run=x", "reference='null'")["reference"] == "null"


@pytest.mark.parametrize("typed", ["[a,,b]", "[a,]", "[,]"])
def test_an_empty_item_of_a_list_is_named(typed: str) -> None:
    with pytest.raises(UserError, match="an item between its commas is empty"):
        quoted(f"reference={typed}", command="evaluate")


def test_an_empty_path_is_named_and_an_empty_text_is_text() -> None:
    for key in ("run", "run_dir", "input", "reference", "data.train"):
        with pytest.raises(UserError, match=f"{key}= is empty"):
            quoted(f"{key}=", command="evaluate")
    assert quoted("reference=", command="explain") == "reference=''"


def test_in_a_sweep_commas_of_the_data_separate_paths_and_lists_of_them() -> None:
    argument = quoted("data.train=a b/train,[c d,e],'f,g'", sweeping=True, command="train")
    (override,) = OverridesParser.create().parse_overrides([argument])
    assert override.is_sweep_override()
    assert list(override.sweep_string_iterator()) == ["'a b/train'", "['c d','e']", "'f,g'"]
    assert quoted("data.train=choice(a,b)", sweeping=True) == "data.train=choice(a,b)"


def test_home_directories_are_found_in_every_path_and_in_no_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    home = str(tmp_path)
    found = composed("evaluate", "run=[~/a,~/b]", "input=~/c", "reference=[~/d e,f]", "output=~", "archive=~root/x")
    assert (found["run"], found["input"], found["output"]) == ([f"{home}/a", f"{home}/b"], f"{home}/c", home)
    assert (found["reference"], found["archive"]) == ([f"{home}/d e", "f"], str(Path("~root").expanduser() / "x"))
    keys = ("run_dir", "sweep_dir", "init_from", "guide.run", "guide.reverse", "guide.links", "paths.cache", "data.train")
    found = composed("train", "data=text", *(f"{key}=~/{key}" for key in keys))
    assert [found["run_dir"], found["guide"]["run"], found["paths"]["cache"]] == [
        f"{home}/{key}" for key in ("run_dir", "guide.run", "paths.cache")
    ]
    assert [found["sweep_dir"], found["init_from"], found["data"]["train"]] == [
        f"{home}/{key}" for key in ("sweep_dir", "init_from", "data.train")
    ]
    assert composed("explain", "run=~/x", "text=~/y", "reference=~/z")["reference"] == "~/z"
    with pytest.raises(UserError, match=r"~nobody-of-that-name/x: there is no user nobody-of-that-name; .*\./~nobody"):
        composed("translate", "run=~nobody-of-that-name/x")


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("evaluate", ["reference=A", "reference=B"], ["reference is typed twice", "reference=[A,B]"]),
        ("evaluate", ["reference=[A,B]", "+reference=C"], ["reference=[A,B,C]"]),
        ("explain", ["reference=A", "reference=B"], ["reference=A and reference=B; type one of them"]),
        ("train", ["seed=1", "seed=2"], ["seed is typed twice: seed=1 and seed=2; type one of them"]),
        ("train", ["model=luong", "model@model=transformer"], ["model is typed twice"]),
        ("train", ["model/encoder=gru", "++model/encoder=lstm"], ["model/encoder is typed twice"]),
        ("train", ["data.train=a", "++data.train=b"], ["data.train=[a,b]"]),
    ],
)
def test_a_key_with_two_values_is_refused(command: str, arguments: list[str], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        check_repeated(command, ["device=cpu", *arguments, "threads=1"], sweeping=False)
    assert all(word in str(caught.value) for word in words)
    assert ("[" in str(caught.value)) == ("[" in words[-1])


def test_two_values_in_a_sweep_are_told_from_a_sweep_over_both() -> None:
    with pytest.raises(UserError, match="or sweep over both: seed=1,2"):
        check_repeated("train", ["seed=1", "seed=2", "-m"], sweeping=True)


def test_the_same_value_twice_other_packages_and_replacements_are_no_repetition() -> None:
    check_repeated("train", ["seed=1", "seed=1", "~schedule", "+schedule=linear"], sweeping=False)
    check_repeated("train", ["model/positions=rope", "model/positions@model.encoder.positions=none"], sweeping=False)
