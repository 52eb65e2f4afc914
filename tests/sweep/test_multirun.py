"""Sweeps around a training that only pretends: what begins, what is found finished, what a failure or a signal ends."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from nmt.cli import main
from nmt.components import build_corpus
from nmt.config import register
from nmt.errors import Interrupted, UserError
from nmt.sweep.multirun import sweep
from nmt.training.progress import Progress

Config = dict[str, Any]


class Pretended:
    """Trains in no time: the score is the learning rate; leaves what a finished run leaves."""

    def __init__(self, failing: Callable[[Config], Exception | BaseException | None] = lambda config: None) -> None:
        self.trained: list[Config] = []
        self.failing = failing

    def __call__(self, config: Config) -> float:
        self.trained.append(config)
        if error := self.failing(config):
            raise error
        run = Path(config["run_dir"])
        score, updates = float(config["optimizer"]["lr"]), config["train"]["max_updates"]
        last = run / "checkpoints" / "last"
        last.mkdir(parents=True, exist_ok=True)
        (run / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
        corpus = build_corpus(config["data"])
        made_of = {"fingerprints": {split: corpus.fingerprint(split) for split in corpus.splits()}}
        (run / "corpus.json").write_text(json.dumps(made_of))
        (last / "state.json").write_text(json.dumps(Progress(updates=updates).as_state()))
        result = {"model": "none", "parameters": 1, "updates": updates, "seconds": 1, "target_tokens_per_second": 1}
        result |= {"dev": {"bleu": score}}
        (run / "result.json").write_text(json.dumps(result | {"test": None}))
        return score

    @property
    def names(self) -> list[str]:
        return [Path(config["run_dir"]).name for config in self.trained]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    register()
    return tmp_path


def run(*arguments: str, train: Callable[[Config], float], report: Callable[[Config], object] = lambda config: None) -> int:
    return sweep(["-m", "train.max_updates=5", *arguments], train=train, report=report)


def test_every_setting_is_trained_once_in_a_folder_of_its_name(here: Path) -> None:
    train = Pretended()
    reported: list[Config] = []
    assert run("model=luong_tiny,transformer_tiny", "seed=2,1", train=train, report=reported.append) == 0
    assert train.names == [f"model={model}_tiny,seed={seed}" for model in ("luong", "transformer") for seed in (2, 1)]
    assert {str(Path(config["run_dir"]).parent) for config in train.trained} == {"sweeps/model+seed"}
    assert [config["seed"] for config in train.trained] == [2, 1, 2, 1]
    assert reported == [{"run": "sweeps/model+seed", "output": None}]
    assert sorted(path.name for path in here.iterdir()) == ["sweeps"]  # no multirun/, no outputs/
    assert {path.name for path in (here / "sweeps/model+seed").iterdir()} == {*train.names, ".sweep"}


@pytest.mark.integration
def test_what_is_finished_is_not_trained_again_in_whatever_order_it_is_typed() -> None:
    run("optimizer.lr=1e-3,0.01", "seed=1", "sweep_dir=s", train=Pretended())
    again = Pretended()
    assert run("sweep_dir=s", "seed=1", "optimizer.lr=0.01,0.02,0.001", train=again) == 0
    assert again.names == ["optimizer.lr=0.02"]


@pytest.mark.integration
def test_more_updates_continue_the_same_runs() -> None:
    run("seed=1,2", "sweep_dir=s", train=Pretended())
    longer = Pretended()
    assert run("seed=1,2", "sweep_dir=s", "train.max_updates=9", train=longer) == 0
    assert longer.names == ["seed=1", "seed=2"]


def test_a_constant_that_decides_the_result_may_not_change_and_is_named() -> None:
    run("seed=1,2", "sweep_dir=s", train=Pretended())
    train = Pretended()
    with pytest.raises(
        UserError, match=r"s/seed=1 belongs to another configuration: model\.dropout \(0\.1 → 0\.4\).*sweep_dir"
    ):
        run("seed=3,1", "model.dropout=0.4", "sweep_dir=s", train=train)
    assert train.trained == []


def test_other_text_is_refused_before_any_run_whether_it_is_there_or_new() -> None:
    run("seed=1,2", "sweep_dir=s", "data.train_pairs=100", train=Pretended())
    for seeds in ("1,3", "3,4"):
        train = Pretended()
        with pytest.raises(UserError, match=r"the text of data\.train, data\.train_pairs \(100 → 200\).*another sweep_dir"):
            run(f"seed={seeds}", "sweep_dir=s", "data.train_pairs=200", train=train)
        assert train.trained == []


def test_a_second_command_on_the_same_sweep_is_refused_while_the_first_is_at_work() -> None:
    def train_and_sweep(config: Config) -> float:
        with pytest.raises(UserError, match="another nmt train -m is at work in s"):
            run("seed=1,2", "sweep_dir=s", train=Pretended())
        return Pretended()(config)

    assert run("seed=1", "optimizer.lr=0.1,0.2", "sweep_dir=s", train=train_and_sweep) == 0


def test_a_failed_run_ends_nothing_whatever_it_is_and_is_tried_again() -> None:
    errors = {1: UserError("no"), 2: OSError(28, "No space left on device", "x"), 3: RuntimeError("a\nb"), 4: MemoryError()}
    train = Pretended(lambda config: errors.get(config["seed"]))
    assert run("seed=1,2,3,4,5", "sweep_dir=s", train=train) == 1
    assert train.names == [f"seed={seed}" for seed in (1, 2, 3, 4, 5)]
    records = {path.name: path.read_text() for path in Path("s/.sweep/failed").iterdir()}
    assert sorted(records) == [f"seed={seed}.txt" for seed in errors]
    assert [records[f"seed={seed}.txt"].splitlines()[0] for seed in errors] == [
        "no",
        "No space left on device: x",
        "RuntimeError: a b",
        "MemoryError",
    ]
    assert all("Traceback" in record for record in records.values())
    again = Pretended()
    assert run("seed=1,2,5", "sweep_dir=s", train=again) == 0
    assert again.names == ["seed=1", "seed=2"]


def test_an_interruption_ends_the_sweep_and_the_rest_is_not_begun() -> None:
    train = Pretended(lambda config: Interrupted(signal.SIGTERM) if config["seed"] == 2 else None)
    with pytest.raises(Interrupted):
        run("seed=1,2,3", "sweep_dir=s", train=train)
    assert train.names == ["seed=1", "seed=2"]
    again = Pretended()
    assert run("seed=1,2,3", "sweep_dir=s", train=again) == 0
    assert again.names == ["seed=2", "seed=3"]


@pytest.mark.integration
def test_an_experiment_may_be_a_sweep_that_the_command_line_changes(here: Path) -> None:
    train = Pretended()
    assert run("experiment=compare/families", "seed=5,6", train=train) == 0
    families = ("bahdanau_tiny", "luong_tiny", "transformer_tiny")
    assert train.names == [f"model={model},seed={seed}" for model in families for seed in (5, 6)]
    assert {Path(config["run_dir"]).parent.name for config in train.trained} == {"compare-families+seed"}


SEARCH = ("hydra/sweeper=optuna", "optimizer.lr=tag(log,interval(1e-4,1e-2))", "model=luong_tiny", "sweep_dir=s")


@pytest.mark.integration
def test_a_search_looks_for_the_highest_score_and_finds_its_trials_again() -> None:
    train = Pretended()
    assert run(*SEARCH, "hydra.sweeper.n_trials=4", train=train) == 0
    rates = [config["optimizer"]["lr"] for config in train.trained]
    assert len(set(rates)) == 4
    assert OmegaConf.load("s/best.yaml")["best_params"]["optimizer.lr"] == max(rates)
    again = Pretended()
    assert run(*SEARCH, "hydra.sweeper.n_trials=6", train=again) == 0
    assert len(again.trained) == 2


@pytest.mark.integration
def test_failed_trials_do_not_end_a_search_even_if_they_are_all() -> None:
    train = Pretended(lambda config: UserError("no") if len(train.trained) == 2 else None)
    assert run(*SEARCH, "hydra.sweeper.n_trials=3", train=train) == 1
    assert len(train.trained) == 3
    hopeless = Pretended(lambda config: UserError("no"))
    assert run(*SEARCH[:-1], "sweep_dir=t", "hydra.sweeper.n_trials=2", train=hopeless) == 1
    assert len(hopeless.trained) == 2


@pytest.mark.integration
def test_a_stored_search_goes_on_with_what_was_interrupted_up_to_its_number_of_trials() -> None:
    stored = (*SEARCH, "hydra.sweeper.n_trials=4", "hydra.sweeper.storage=sqlite:///s.db", "hydra.sweeper.study_name=rates")
    train = Pretended(lambda config: KeyboardInterrupt() if len(train.trained) == 2 else None)
    with pytest.raises(KeyboardInterrupt):
        run(*stored, train=train)
    again = Pretended()
    assert run(*stored, train=again) == 0
    assert len(again.trained) == 3
    assert again.names[0] == train.names[1]
    done = Pretended()
    assert run(*stored, train=done) == 0
    assert done.trained == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["modell=luong,transformer"], ["no key modell", "did you mean model?"]),
        (["seed=1,2", "optimizer.lrr=1"], ["no key optimizer.lrr", "optimizer.lr?"]),
        (["model=luong,lung", "seed=1,2"], ["model/lung", "luong_tiny"]),
        (["train.accumulate=1,0"], ["train.accumulate=0: train.accumulate must be at least 1"]),
        (["seed=1,x"], ["seed=x"]),
        (["seed=1,2", "run_dir=x"], ["run_dir", "sweep_dir"]),
        (["seed=1"], ["no key has several values", "seed=1,2,3"]),
        (["optimizer.lr=interval(0.1,0.2)"], ["optimizer.lr=interval(0.1,0.2)", "hydra/sweeper=optuna"]),
        (["seed=1,2", "hydra/launcher=submitit_slurm"], ["SLURM", "srun", "joblib"]),
        (["seed=1,2", "hydra/launcher=nowhere"], ["hydra/launcher/nowhere", "joblib", "submitit_slurm"]),
        (["seed=1,2", "--cfg", "job"], ["-m", "--cfg"]),
        (["hydra/sweeper=optuna", "model=choice(luong,lung)"], ["model/lung"]),
        (
            ["hydra/sweeper=optuna", "optimizer.lr=interval(0.1,0.2)", "hydra.sweeper.storage=sqlite:///s.db"],
            ["hydra.sweeper.study_name"],
        ),
    ],
)
def test_what_cannot_work_is_named_before_anything_is_written(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: list[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert main(["train", "-m", "data.train_pairs=100", *arguments]) == 2
    message = capfd.readouterr().err
    for word in words:
        assert word in message
    assert message.count("\n") == 1
    assert not (here / "sweeps").exists()


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("wrong", ["model=lung", "modell=luong", "optimizer.lrr=1", "train.keep=many", "train.keep=["])
def test_what_is_wrong_is_named_wherever_the_flag_stands(
    here: Path, capfd: pytest.CaptureFixture[str], wrong: str, place: int
) -> None:
    assert main(["train", wrong, "seed=1"]) == 2
    plain = capfd.readouterr().err
    arguments = [wrong, "seed=1,2"]
    arguments.insert(place, "-m")
    assert main(["train", *arguments]) == 2
    assert capfd.readouterr().err == plain
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "-m", "seed=1", "seed=2"], ["seed is typed twice", "seed=1,2"]),
        (["evaluate", "x", "-m"], ["-m", "only nmt train"]),
        (["train", "sweep_dir=x"], ["sweep_dir", "-m"]),
        (["train", "experiment=compare/families"], ["model, seed", "-m"]),
        (["train", "hydra/launcher=joblib"], ["hydra/launcher=joblib", "-m"]),
        (["train", "hydra/sweeper=optuna"], ["hydra/sweeper=optuna", "-m"]),
    ],
)
def test_what_belongs_to_sweeps_is_not_taken_elsewhere(
    here: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    assert main(arguments) == 2
    message = capfd.readouterr().err
    for word in words:
        assert word in message
    assert list(here.iterdir()) == []


def test_without_the_extra_the_remedy_is_named(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra._internal.config_repository import ConfigRepository

    load = ConfigRepository.load_config
    monkeypatch.setattr(
        ConfigRepository,
        "load_config",
        lambda self, config_path: (
            None if config_path in ("hydra/launcher/joblib", "hydra/sweeper/optuna") else load(self, config_path)
        ),
    )
    for choice in ("hydra/launcher=joblib", "hydra/sweeper=optuna"):
        assert main(["train", "-m", "seed=1,2", choice]) == 2
        assert f"{choice.replace('=', '/')} is not installed: pip install nmt[sweep]" in capfd.readouterr().err


GRID = ("model=luong_tiny,transformer_tiny", "sweep_dir=s")


def begin(*arguments: str) -> None:
    assert run(*arguments, train=Pretended()) == 0


def refused(*arguments: str) -> str:
    """The message of a command that must not train anything, and leaves the folder as it is."""
    train, before = Pretended(), sorted(Path("s").rglob("*"))
    with pytest.raises(UserError) as caught:
        run(*arguments, train=train)
    assert train.trained == []
    assert sorted(Path("s").rglob("*")) == before
    return str(caught.value)


def forget() -> None:
    """Make the sweep one of a version that kept nothing of what it is of."""
    (Path("s") / ".sweep" / "sweep.json").unlink()


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("other", "words"),
    [
        (("optimizer.lr=0.1,0.2",), ["keys that vary", "seed", "→ optimizer.lr"]),
        (("model=luong_tiny,transformer_tiny", "seed=3,4"), ["keys that vary", "→ model, seed"]),
        (("seed=3,4", "model.dropout=0.4"), ["model.dropout (0.1 → 0.4)"]),
        (("seed=3,4", "optimizer.lr=0.5"), ["optimizer.lr (", "→ 0.5)"]),
        (("seed=3,4", "data.train_pairs=70"), ["the text of data.train", "data.train_pairs (30000 → 70)"]),
        (("seed=3,4", "data.src=de", "data.tgt=en"), ["data.src (en → de)", "data.tgt (de → en)"]),
        (("seed=3,4", "guide.links=gold"), ["guide.links (None → gold)"]),
    ],
)
def test_new_runs_of_another_sweep_are_refused_with_the_keys_and_both_values(
    kept: bool, other: tuple[str, ...], words: list[str]
) -> None:
    begin("seed=1,2", "sweep_dir=s")
    if not kept:
        forget()
    message = refused(*other, "sweep_dir=s")
    for word in [*words, "sweep_dir=s is of another sweep", "choose another sweep_dir"]:
        assert word in message


def test_another_choice_of_configs_is_named_as_it_is_typed() -> None:
    begin("seed=1,2", "model=luong_tiny", "sweep_dir=s")
    message = refused("seed=3,4", "model=transformer_tiny", "sweep_dir=s")
    assert "model (luong_tiny → transformer_tiny)" in message
    assert "model.encoder_layers" not in message
    message = refused("seed=3,4", "model=luong_tiny", "experiment=quickstart", "sweep_dir=s")
    assert "experiment (None → quickstart)" in message


def test_a_constant_is_compared_in_the_runs_that_are_there_not_only_in_those_to_come() -> None:
    begin(*GRID)
    assert "model.dropout (0.2 → 0.4)" in refused("model=bahdanau_tiny,encdec_tiny", "model.dropout=0.4", "sweep_dir=s")
    assert "model.readout (None → deep)" in refused("model=bahdanau_tiny,encdec_tiny", "+model.readout=deep", "sweep_dir=s")
    assert "model.dropout (0.1 → 0.2)" in refused("model=bahdanau_tiny,luong_tiny", "model.dropout=0.2", "sweep_dir=s")


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("more", "names"),
    [
        (("model=luong_tiny,bahdanau_tiny",), ["model=bahdanau_tiny"]),
        (("model=bahdanau_tiny,encdec_tiny", "device=cpu", "train.keep=7"), ["model=bahdanau_tiny", "model=encdec_tiny"]),
        (("model=bahdanau_tiny,luong_tiny", "train.log_every=7"), ["model=bahdanau_tiny"]),
    ],
)
def test_more_values_and_what_is_free_continue_a_sweep(kept: bool, more: tuple[str, ...], names: list[str]) -> None:
    begin(*GRID)
    if not kept:
        forget()
    train = Pretended()
    assert run(*more, "sweep_dir=s", train=train) == 0
    assert train.names == names


def test_longer_training_and_later_seeds_continue_a_sweep_again_and_again() -> None:
    begin("seed=1,2", "sweep_dir=s")
    for seeds, names in (("1,2,3", ["seed=3"]), ("5,6", ["seed=5", "seed=6"])):
        train = Pretended()
        assert run(f"seed={seeds}", "sweep_dir=s", train=train) == 0
        assert train.names == names
    longer = Pretended()
    assert run("seed=1,7", "train.max_updates=9", "sweep_dir=s", train=longer) == 0
    assert longer.names == ["seed=1", "seed=7"]


def test_a_sweep_whose_runs_left_nothing_is_still_known() -> None:
    failing = Pretended(lambda config: UserError("no"))
    assert run("seed=1,2", "sweep_dir=s", train=failing) == 1
    assert "optimizer.lr" in refused("optimizer.lr=0.1,0.2", "sweep_dir=s")
    assert (Path("s") / ".sweep" / "failed" / "seed=1.txt").exists()


def test_values_that_need_quotes_are_found_in_the_names_of_runs(tmp_path: Path) -> None:
    begin("optimizer.betas=[0.9,0.98],[0.9,0.99]", "sweep_dir=s")
    forget()
    train = Pretended()
    assert run("optimizer.betas=[0.9,0.98],[0.8,0.9]", "sweep_dir=s", train=train) == 0
    assert len(train.trained) == 1


def test_ordinary_runs_in_the_folder_are_no_part_of_the_sweep() -> None:
    begin("seed=1,2", "sweep_dir=s")
    shutil.copytree("s/seed=1", "s/baseline")
    forget()
    begin("seed=1,2,3", "sweep_dir=s")


@pytest.mark.integration
def test_a_search_is_known_by_what_it_searches_and_by_its_constants() -> None:
    search = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "sweep_dir=s")
    space = ("optimizer.lr=tag(log,interval(1e-4,1e-2))", "model=luong_tiny")
    begin(*search, *space)
    assert "model (luong_tiny → transformer_tiny)" in refused(*search, space[0], "model=transformer_tiny")
    assert "keys that vary (optimizer.lr → model.dropout)" in refused(*search, "model.dropout=interval(0,0.5)", space[1])
    assert "the text of data.train" in refused(*search, *space, "data.train_pairs=70")
    train = Pretended()
    assert run(*search, "optimizer.lr=interval(0.5,0.9)", space[1], "hydra.sweeper.n_trials=3", train=train) == 0
    assert train.trained


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    begin("seed=1,2", "sweep_dir=s")
    record: Any = Path("s") / ".sweep" / "sweep.json"
    record.write_text("[")
    assert "sweep.json is damaged" in refused("seed=1,2", "sweep_dir=s")
