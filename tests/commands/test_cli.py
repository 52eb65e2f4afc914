"""The command line before any command runs."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import nmt
from nmt import cli
from nmt.typed import quoted


def test_help_lists_every_command_with_one_line_and_one_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, (what, example) in cli.COMMANDS.items():
        assert f"{name} " in text
        assert what in text
        assert example in text
        assert example.startswith(f"nmt {name} ")


def test_version_is_the_package_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"nmt {nmt.__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from nmt.cli import main; main(['--help']); print(sorted({m.partition('.')[0] for m in sys.modules}))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("torch", "hydra", "omegaconf", "sentencepiece", "datasets", "numpy", "matplotlib", "tensorboard"):
        assert f"'{heavy}'" not in output


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "two words",
        "it's",
        'say "no"',
        "a=b",
        "[x, y]",
        "{a: b}",
        "${x}",
        "back\\slash",
        "ends\\",
        "ends\\'",
        "a,b",
        "ü 漢",
    ],
)
def test_free_text_reaches_hydra_as_it_was_typed(text: str) -> None:
    (override,) = OverridesParser.create().parse_overrides([quoted(f"text={text}")])
    value = override.value()
    assert value.replace(r"\${", "${") == text


def test_positional_runs_become_the_run_key() -> None:
    assert cli._named("evaluate", ["runs/x", "split=dev"]) == ["split=dev", "run=runs/x"]
    assert cli._named("translate", ["/a b/c = d"]) == ["run=/a b/c = d"]
    assert cli._named("evaluate", ["+data.test=x", "~decode", "my-run"]) == ["+data.test=x", "~decode", "run=my-run"]
    assert cli._named("translate", ["--cfg", "job", "runs/x"]) == ["--cfg", "job", "run=runs/x"]
    assert cli._named("train", ["model=luong"]) == ["model=luong"]
    assert cli._named("report", ["a b", "it's", "output=x"]) == ["output=x", "run=['a b','it\\'s']"]
    assert cli._named("report", ["run=x"]) == ["run=x"]


def test_a_run_of_a_sweep_is_a_run_although_its_name_looks_like_an_override(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Path("sweeps/mine/model=luong,seed=1")
    run.mkdir(parents=True)
    assert cli._named("evaluate", [f"{run}/", "split=test"]) == ["split=test", f"run={run}/"]
    assert cli._named("report", [str(run)]) == [f"run=['{run}']"]
    assert cli._named("evaluate", ["no/such=1"]) == ["no/such=1"]


def test_in_a_sweep_several_paths_of_data_are_several_values() -> None:
    assert quoted("data.train=a/train,b/train", sweeping=True) == "data.train='a/train','b/train'"
    assert quoted("data.train=a/train,b/train") == "data.train='a/train,b/train'"
    assert quoted("sweep_dir=a,b", sweeping=True) == "sweep_dir='a,b'"
