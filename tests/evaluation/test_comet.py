"""COMET, by a stand-in for its package: neither the package nor a network is needed."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from nmt.errors import UserError
from nmt.evaluation.comet import comet, fetch_comet

CPU = torch.device("cpu")


class Model:
    """Its score of a sentence is the number of words that the translation shares with the reference."""

    def predict(
        self, rows: list[dict[str, str]], *, batch_size: int, gpus: int, devices: list[int] | None, progress_bar: bool
    ) -> SimpleNamespace:
        assert gpus == 0
        assert all(set(row) == {"src", "mt", "ref"} for row in rows)
        scores = [len({*row["mt"].split()} & {*row["ref"].split()}) for row in rows]
        return SimpleNamespace(scores=scores, system_score=sum(scores) / len(scores))


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module in the place of COMET's."""
    module: Any = ModuleType("comet")
    module.__spec__ = importlib.util.spec_from_loader("comet", None)
    module.download_model = lambda name: f"cache/{name}/model.ckpt"
    module.loaded = []
    module.load_from_checkpoint = lambda path: module.loaded.append(path) or Model()
    monkeypatch.setitem(sys.modules, "comet", module)
    return module


def test_the_score_is_the_models_own_and_the_signature_names_it(package: Any) -> None:
    file = fetch_comet("Unbabel/x")
    texts = ["a", "b"], ["the dog", "a cat"], ["the dog", "the cat"]
    found = comet(*texts, model="Unbabel/x", checkpoint=file, device=CPU)
    assert found.score == 1.5
    assert found.text == "COMET = 1.5000"
    assert found.signature.startswith("nrefs:1|model:Unbabel/x|version:")
    assert package.loaded == ["cache/Unbabel/x/model.ckpt"]


def test_a_file_of_a_model_is_taken_as_it_is(package: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.ckpt"
    with pytest.raises(UserError, match=r"comet_model: .*model\.ckpt does not exist"):
        fetch_comet(str(file))
    file.touch()
    assert fetch_comet(str(file)) == str(file)


def test_without_the_package_one_line_says_what_to_install_and_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'nmt\[comet\]'.*Unbabel/wmt22-comet-da.*2\.3 GB"):
        fetch_comet("Unbabel/wmt22-comet-da")


def test_a_package_that_lacks_another_is_named_before_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "comet.py").write_text("import no_such_package_of_comets")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "comet", raising=False)
    with pytest.raises(
        UserError, match=r"does not work \(No module named 'no_such_package_of_comets'\): pip install 'nmt\[comet\]'"
    ):
        fetch_comet("Unbabel/x")


def test_a_model_that_cannot_be_fetched_or_loaded_is_named(package: Any) -> None:
    def missing(name: str) -> str:
        raise KeyError(f"Model '{name}' not supported by COMET.")

    package.download_model = package.load_from_checkpoint = missing
    with pytest.raises(UserError, match=r"COMET's model x is not here and cannot be fetched: .*FILE\.ckpt; without a network"):
        fetch_comet("x")
    with pytest.raises(UserError, match=r"COMET's model x\.ckpt cannot be loaded: .*not supported"):
        comet(["a"], ["b"], ["c"], model="x.ckpt", checkpoint="x.ckpt", device=CPU)
