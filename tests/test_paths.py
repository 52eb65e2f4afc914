"""Paths: home directories, the cache, and what a run keeps."""

import pwd
from pathlib import Path
from typing import NoReturn

import pytest

from nmt.errors import UserError
from nmt.paths import absolute, cache_directory, check_home, expanded, same_path


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither HOME nor an entry in the list of users."""

    def unknown(_: object) -> NoReturn:
        raise KeyError

    for name in ("HOME", "NMT_CACHE", "XDG_CACHE_HOME", "SACREBLEU"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_the_cache_is_the_first_that_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NMT_CACHE", "~/mine")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache_directory("~/chosen") == tmp_path / "chosen"
    assert cache_directory(None) == tmp_path / "mine"
    monkeypatch.setenv("NMT_CACHE", "")
    assert cache_directory(None) == Path("/shared/nmt")
    for unusable in ("relative", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", unusable)
        assert cache_directory(None) == tmp_path / ".cache" / "nmt"


@pytest.mark.usefixtures("homeless")
def test_without_a_home_a_named_cache_is_enough_and_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="there is no home directory for the cache: set NMT_CACHE=FOLDER"):
        cache_directory(None)
    with pytest.raises(UserError, match=r"~/x: there is no home directory; .*\./~/x"):
        expanded("~/x")
    with pytest.raises(UserError, match="no home directory, where sacreBLEU keeps what it fetches: set SACREBLEU=FOLDER"):
        check_home("sacreBLEU", "SACREBLEU")
    monkeypatch.setenv("NMT_CACHE", "/named")
    monkeypatch.setenv("SACREBLEU", "/there")
    assert cache_directory(None) == Path("/named")
    check_home("sacreBLEU", "SACREBLEU")


def test_what_a_run_keeps_is_absolute_and_names_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = Path.cwd()
    (tmp_path / "local").mkdir()
    guide = {"links": "links.txt", "run": None, "reverse": None}
    text = {"_target_": "nmt.data.text.TextCorpus", "train": ["a", "/b"], "dev": "c d", "test": None}
    kept = absolute({"data": text, "guide": guide, "init_from": "../run"})
    assert kept["data"] == text | {"train": [f"{here}/a", "/b"], "dev": f"{here}/c d"}
    assert (kept["guide"]["links"], kept["init_from"]) == (f"{here}/links.txt", f"{here}/../run")
    assert text["dev"] == "c d"
    hub = {"_target_": "nmt.data.hub.HubCorpus", "name": "local"}
    assert absolute({"data": hub})["data"]["name"] == f"{here}/local"
    for name in ("bentrevett/multi30k", None):
        assert absolute({"data": hub | {"name": name}})["data"]["name"] == name
    other = {"_target_": "mine.Corpus", "train": "newstest"}
    assert absolute({"data": other, "guide": {"links": "gold"}}) == {"data": other, "guide": {"links": "gold"}}


def test_paths_are_the_same_however_they_are_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    for typed in ("run", "run/", "./run", "link", "run/../run", str(tmp_path / "run")):
        assert same_path(typed, str(tmp_path / "run"))
    assert not same_path("other", "run")
    assert not same_path(None, "run")
    assert same_path(None, None)
