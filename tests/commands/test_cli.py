"""The command line before any command runs."""

import os
import subprocess
import sys
from collections.abc import Callable
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


@pytest.mark.parametrize("launched", [True, False])
@pytest.mark.parametrize(("arguments", "status"), [(["--version"], 0), (["nonsense"], 2)])
def test_one_of_many_processes_ends_without_taking_the_interpreter_down(
    launched: bool, arguments: list[str], status: int
) -> None:
    # A thread of gloo that gives back a tensor meanwhile would abort it: status 134 after a training that went well
    code = "import atexit; atexit.register(print, 'taken down'); from nmt.cli import run; run()"
    variables = {"RANK": "1", "WORLD_SIZE": "2"} if launched else {}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert ("taken down" in done.stdout) is not launched
    assert ("there is no command" in done.stderr) if status else (nmt.__version__ in done.stdout)


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


def nmt_to(stdout: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a command whose standard output a shell redirects."""
    command = ["sh", "-c", f'exec "$0" -m nmt "$@" {stdout}', sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, check=False, env={**os.environ, **environment})


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["train", "--help"], ["translate", "--cfg", "job", "run=x"], ["report", "--info", "config"]],
)
@pytest.mark.parametrize(
    ("stdout", "message"),
    [
        (">/dev/full", "standard output: No space left on device"),
        (">&-", "standard output is closed: send it to a file, such as /dev/null"),
    ],
)
def test_output_that_cannot_be_written_is_one_line(arguments: list[str], stdout: str, message: str) -> None:
    done = nmt_to(stdout, *arguments)
    command = "nmt" if arguments[0].startswith("-") else f"nmt {arguments[0]}"
    assert (done.returncode, done.stderr.decode()) == (2, f"{command}: {message}\n")


def test_a_result_that_cannot_be_written_is_one_line(make_run: Callable[..., Path]) -> None:
    for arguments in (["translate", "text=der Hund"], ["evaluate", "split=dev", "data.dev_pairs=2", "breakdown=false"]):
        done = nmt_to(">/dev/full", *arguments, "device=cpu", f"run={make_run('transformer_tiny')}")
        lines = [line for line in done.stderr.decode().splitlines() if line.startswith("nmt ")]
        assert (done.returncode, lines) == (2, [f"nmt {arguments[0]}: standard output: No space left on device"])
        assert "Traceback" not in done.stderr.decode()


def test_a_result_for_a_file_needs_no_standard_output(tmp_path: Path) -> None:
    done = nmt_to(">&-", "translate", "run=nowhere", f"output={tmp_path / 'x'}")
    assert b"nowhere is not a run" in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--cfg", "job"]])
def test_whoever_has_read_enough_is_told_nothing(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "nmt", *arguments]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


PRINTING = r"from nmt import cli; cli._help = lambda: 'gr\xf6\xdfer \u2192 \u6f22'; raise SystemExit(cli.main(['--help']))"


@pytest.mark.parametrize(
    ("environment", "written"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, "größer \\u2192 \\u6f22\n".encode("latin-1")),
        ({"PYTHONIOENCODING": "ascii"}, b"gr\\xf6\\xdfer \\u2192 \\u6f22\n"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, b"gr\\xf6\\xdfer \\u2192 \\u6f22\n"),
        ({"PYTHONIOENCODING": "utf-8"}, "größer → 漢\n".encode()),
    ],
)
def test_a_character_that_the_terminal_lacks_is_written_as_its_code(environment: dict[str, str], written: bytes) -> None:
    done = subprocess.run([sys.executable, "-c", PRINTING], capture_output=True, check=False, env={**os.environ, **environment})
    assert (done.returncode, done.stdout, done.stderr) == (0, written, b"")


def test_an_argument_that_is_no_text_is_told_from_one_that_the_encoding_here_lacks() -> None:
    command = [sys.executable, "-m", "nmt", "translate", "run=x"]
    done = subprocess.run([*command, b"text=\xff"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "nmt translate: an argument is not valid UTF-8\n")
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([*command, "text=ü".encode()], capture_output=True, text=True, check=False, env=ascii_only)
    assert done.returncode == 2
    assert "an argument is not ascii, which is the encoding here: set PYTHONUTF8=1" in done.stderr


def test_runs_whose_names_mean_something_else_are_still_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli._named("translate", ["~/seed=1", "text=x"]) == ["text=x", "run=~/seed=1"]
    assert cli._named("train", ["~schedule"]) == ["~schedule"]
    assert cli._named("evaluate", ["~decode"]) == ["~decode"]
    assert cli._named("evaluate", ["null"]) == ["run='null'"]
    assert cli._named("evaluate", ["[x]"]) == ["run='[x]'"]


def test_flags_may_stand_anywhere() -> None:
    assert cli._flags_last(["model=x", "-m", "seed=1,2", "--config-dir", "d", "a=b"]) == [
        *("model=x", "seed=1,2", "a=b", "-m", "--config-dir", "d")
    ]
