"""Slugs: one name for one setting, whatever way it was typed, and never the same for two."""

import itertools
import re

import pytest

from nmt.sweep.slugs import LONGEST, settings_in, slug, swept_settings


def test_a_slug_says_keys_and_values_in_the_order_of_the_keys() -> None:
    assert slug({"seed": 2, "model": "luong"}) == "model=luong,seed=2"
    assert slug({"model": "luong", "seed": 2}) == "model=luong,seed=2"


def test_a_slash_is_replaced() -> None:
    assert slug({"model/attention": "dot", "experiment": "lectures/dot"}) == "experiment=lectures+dot,model+attention=dot"


@pytest.mark.parametrize(
    ("one", "other"),
    [("1e-3", "0.001"), ("True", "true"), ("'luong'", "luong"), ("[1, 2]", "[1,2]"), ("{a: 1, b: 2}", "{b: 2, a: 1}")],
)
def test_two_ways_to_type_one_value_are_one_slug(one: str, other: str) -> None:
    assert slug(swept_settings([f"x={one}"], ())) == slug(swept_settings([f"x={other}"], ()))


def test_different_settings_have_different_slugs() -> None:
    values = [
        "a/b",
        "a+b",
        "a-b",
        "a b",
        "a,b",
        "a,x=b",
        "a%2Fb",
        "1",
        1,
        1.0,
        1.5,
        "1.5",
        True,
        "true",
        None,
        "null",
        "",
        "ä",
        [1],
        "[1]",
    ]
    settings = [{"x": value} for value in values] + [
        {"x": "a", "y": "b"},
        {"x": "a,y=b"},
        {"y": "a"},
        {"x/y": "a"},
        {"x+y": "a"},
    ]
    slugs = [slug(setting) for setting in settings]
    clashes = [(a, b) for (a, s), (b, t) in itertools.combinations(zip(settings, slugs, strict=True), 2) if s == t]
    assert clashes == []


def test_any_slug_is_a_safe_name_of_a_file() -> None:
    for value in ("../../etc", "a\\b", "C:\\x", "x\0y", "a\nb", "漢字", "*?<>|\"'", "~", "$HOME", ".", "-rf"):
        name = slug({"x": value})
        assert re.fullmatch(r"x=[\w.~+%-]*", name, re.ASCII), name


def test_what_is_too_long_is_cut_and_still_its_own() -> None:
    long = {"data.train": "corpus/" * 40}
    other = {"data.train": "corpus/" * 40 + "x"}
    assert len(slug(long)) == LONGEST
    assert slug(long) == slug(dict(long))
    assert slug(long) != slug(other)
    assert slug(long).startswith("data.train=corpus+corpus")
    assert settings_in(slug(long)) is None


def test_a_slug_can_be_read_again() -> None:
    assert settings_in(slug({"model/attention": "dot", "x": "a,b=c", "seed": 3})) == {
        "model/attention": "dot",
        "x": "a,b=c",
        "seed": "3",
    }
    assert settings_in("luong") is None
    assert settings_in("my run, the second") is None


def test_constants_are_no_part_of_what_is_swept() -> None:
    overrides = ["model=luong", "+data.x=2", "train.max_updates=10", "seed=3"]
    assert swept_settings(overrides, {"train.max_updates", "sweep_dir"}) == {"model": "luong", "data.x": 2, "seed": 3}
