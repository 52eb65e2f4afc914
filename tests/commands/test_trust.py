"""A run or checkpoint from a stranger runs nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from nmt.components import build_corpus, build_model, build_optimizer, build_schedule
from nmt.config import compose
from nmt.data.tokenizer import Tokenizer
from nmt.errors import UserError
from nmt.models.seq2seq import Vocabulary
from nmt.run import Run, read_config
from nmt.training.checkpoint import MODEL, Checkpoint, Contents
from nmt.training.state import whole_weights

VOCABULARY = Vocabulary(13, 13, joint=True)


def test_parts_of_nmt_and_torch_optim_are_built() -> None:
    config = compose("train", ["model=luong_tiny"])
    model = build_model(config["model"], VOCABULARY)
    assert type(build_optimizer(config["optimizer"], model)).__name__ == "Adam"
    assert build_schedule(config["schedule"])(1) > 0
    assert build_corpus(config["data"]).src == "en"


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "torch.save",
        "torch.optim.optimizer.torch.save",
        "torch.optim.optimizer.torch.hub.load",
        "torch.optim.Adam",
        "torch.optim.nowhere.Adam",
        "nmt.cli.main",
        "nmt.run.subprocess.run",
        "nmt.components.importlib.import_module",
        "nmt.data.text.TextCorpus",
        "nmt.models.attention.General",
        "nmt.models.seq2seq.Seq2Seq",
        "nmt.training.schedules.math.exp",
        "nmt",
        "",
        7,
        None,
        ["os.system"],
    ],
)
def test_a_model_that_is_none_is_refused_without_a_call(target: Any) -> None:
    with pytest.raises(UserError, match=r"model\._target_ must name a part for model"):
        build_model({"_target_": target}, VOCABULARY)


def test_other_roles_refuse_what_is_not_theirs() -> None:
    model = torch.nn.Linear(2, 2)
    for target in (
        "torch.optim.optimizer.torch.save",
        "torch.optim.Optimizer",
        "torch.optim.lr_scheduler.LambdaLR",
        "os.remove",
    ):
        with pytest.raises(UserError, match=r"optimizer\._target_"):
            build_optimizer({"_target_": target}, model)
    for target in ("nmt.training.schedules.math.exp", "nmt.training.checkpoint._hash", "os.remove"):
        with pytest.raises(UserError, match=r"schedule\._target_"):
            build_schedule({"_target_": target})
    for target in ("nmt.run.Run", "nmt.data.store.IdStore", "nmt.data.corpus.Corpus", "pathlib.Path"):
        with pytest.raises(UserError, match=r"data\._target_"):
            build_corpus({"_target_": target})


def test_a_nested_target_is_looked_at_too() -> None:
    spec = compose("train", ["model=luong_tiny"])["model"]
    spec["attention"] = {"_target_": "subprocess.run", "args": ["touch", "owned"]}
    with pytest.raises(UserError, match=r"model\.attention\._target_"):
        build_model(spec, VOCABULARY)
    spec["attention"] = {"_target_": "nmt.models.attention.General", "query_dim": {"_target_": "os.getcwd"}}
    with pytest.raises(UserError):
        build_model(spec, VOCABULARY)


def test_a_target_in_place_of_a_value_is_refused() -> None:
    spec = compose("train", ["model=transformer_tiny"])["model"] | {"dim": {"_target_": "os.getpid"}}
    with pytest.raises(UserError, match=r"model\.dim must be int"):
        build_model(spec, VOCABULARY)


def test_interpolations_of_a_saved_config_stay_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hidden")
    config = {"data": {}, "model": {"norm": "${oc.env:SECRET}"}, "tokenizer": {}, "decode": {}}
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)), encoding="utf-8")
    read = read_config(tmp_path)
    assert read["model"]["norm"] == "${oc.env:SECRET}"
    spec = compose("train", ["model=transformer_tiny"])["model"] | read["model"]
    with pytest.raises(UserError, match=r"model\.norm .* interpolation"):
        build_model(spec, VOCABULARY)


def test_a_yaml_tag_in_a_saved_config_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"data: !!python/object/apply:os.mkdir ['{tmp_path / 'owned'}']\n")
    with pytest.raises(UserError, match="cannot be read"):
        read_config(tmp_path)
    assert not (tmp_path / "owned").exists()


class Bomb:
    """Unpickling it makes a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.path,)


def test_a_pickle_in_a_checkpoint_runs_nothing(tmp_path: Path, tokenizer: Tokenizer) -> None:
    config = compose("train", ["model=transformer_tiny"])
    run = Run.create(tmp_path / "run", config, tokenizer, corpus={}, environment={})
    contents = Contents({MODEL: whole_weights(run.build_model())}, {"optimizer": {}}, {"updates": 1, "best": [{"update": 1}]})
    run.checkpoints.finish(run.checkpoints.begin(1), contents, keep=1)
    checkpoint = run.checkpoints.find("best")
    torch.save({"optimizer": Bomb(tmp_path / "owned")}, checkpoint.directory / "training.pt")
    with pytest.raises(UserError, match="more than tensors"):
        checkpoint.training()
    assert not (tmp_path / "owned").exists()


def test_a_checkpoint_of_a_newer_format_says_so(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 99, "sha256": {}}))
    with pytest.raises(UserError, match=r"format 99.*newer nmt"):
        Checkpoint(tmp_path).damage()
