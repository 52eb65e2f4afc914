"""What commands write stays in the run, and takes the place of nothing that is not known to be theirs."""

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nmt.cli import main
from nmt.commands.explain import folder_name
from nmt.commands.streams import output_to
from nmt.data.tokenizer import Tokenizer
from nmt.errors import UserError
from nmt.files import is_scratch
from nmt.run import Run
from nmt.sweep.state import SweepState

MINE = "# of the user\n"
TEXT = "the dog sees the cat ."
SMALL = [
    *("model=transformer_tiny", "data.train_pairs=200", "data.dev_pairs=4", "data.test_pairs=4", "tokenizer.vocab_size=360"),
    *("train.tokens_per_batch=200", "train.validate_every=2", "decode.beam=1", "decode.max_length=5", "train.threads=1"),
]
COMMANDS = {
    "evaluate": ["split=dev", "threads=1"],
    "explain": [f"text={TEXT}", "threads=1"],
    "faithfulness": ["sentences=1", "steps=2", "split=dev", "method=attention", "threads=1"],
    "average": ["checkpoints=[2,4]", "threads=1"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run that has come to its end, with an evaluation and an explanation."""
    folder = tmp_path_factory.mktemp("places")
    run = folder / "run"
    assert main(["train", *SMALL, "train.max_updates=4", f"run_dir={run}", f"paths.cache={folder / 'cache'}"]) == 0
    assert main(command("evaluate", run)) == 0
    assert main(command("explain", run)) == 0
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NMT_CACHE", str(trained.parent / "cache"))
    shutil.copytree(trained, tmp_path / "run", symlinks=True)
    return Path("run")


def command(name: str, run: Path) -> list[str]:
    if name == "train":
        return ["train", *SMALL, "train.max_updates=6", f"run_dir={run}"]
    return [name, str(run), *COMMANDS[name]]


def refused(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that is refused."""
    status = main(list(arguments))
    output = capfd.readouterr()
    assert (status, output.out, output.err.count("\n")) == (2, "", 1), output.err
    return output.err


def shown(folder: Path) -> dict[str, bytes]:
    """All files below a folder, without those of ours that are hidden."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("[!.]*") if path.is_file()}


PLACES = [
    *[("evaluate", place) for place in ("evaluation", "evaluation/dev", "evaluation/dev/hypotheses.txt")],
    *[("evaluate", f"evaluation/dev/{name}") for name in ("sources.txt", "references.txt", "scores.json", "breakdown.png")],
    *[("explain", place) for place in ("explanations", "explanations/NAME", "explanations/NAME/explanation.html")],
    *[("explain", f"explanations/NAME/{name}") for name in ("explanation.json", "attention.png", "attention.svg")],
    *[("faithfulness", place) for place in ("explanations", "explanations/faithfulness.md", "explanations/faithfulness.json")],
    *[("average", place) for place in ("evaluation", "evaluation/average.json")],
    *[("train", place) for place in ("train.log", ".lock", "metrics.jsonl", "result.json", "profile.txt")],
    *[("train", place) for place in ("tensorboard", "non_finite", "evaluation", "evaluation/test", "tokenizer")],
]


def replaced(run: Path, place: str) -> Path:
    """The path of a place in a run, where nothing is any more; the folder above it is there."""
    path = run / place.replace("NAME", folder_name(TEXT))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    return path


@pytest.mark.parametrize(("name", "place"), PLACES)
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_in_a_run_leads_no_write_out_of_it(
    run: Path, capfd: pytest.CaptureFixture[str], name: str, place: str, dangling: bool
) -> None:
    path = replaced(run, place)
    outside = Path("outside")
    outside.mkdir()
    for each in ("file", "hypotheses.txt", "old.hparams", "faithfulness.md", "average.json", "attention.png"):
        (outside / each).write_text(MINE, encoding="utf-8")
    path.symlink_to((outside / ("new" if dangling else "file" if "." in path.name else "")).absolute())
    before = shown(outside)
    assert f"{path} is a link" in refused(capfd, *command(name, run))
    assert shown(outside) == before


@pytest.mark.parametrize(("name", "place"), [pair for pair in PLACES if "." in pair[1]])
def test_a_pipe_in_a_run_is_refused_at_once(run: Path, capfd: pytest.CaptureFixture[str], name: str, place: str) -> None:
    path = replaced(run, place)
    os.mkfifo(path)
    assert f"{path} is a pipe or a device" in refused(capfd, *command(name, run))


def test_a_link_in_place_of_the_config_is_not_followed(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (run / "config.yaml").rename("outside.yaml")
    (run / "config.yaml").symlink_to(Path("outside.yaml").absolute())
    before = Path("outside.yaml").read_bytes()
    assert "config.yaml is a link" in refused(capfd, *command("train", run))
    assert Path("outside.yaml").read_bytes() == before


@pytest.mark.parametrize("place", ["non_finite", "tensorboard", "profile.txt", "train.log"])
def test_a_run_goes_on_where_a_user_put_no_link(run: Path, place: str) -> None:
    replaced(run, place)
    assert main(command("train", run)) == 0


def test_a_run_directory_may_be_a_link_also_to_what_is_not_there_yet(run: Path) -> None:
    Path("link").symlink_to("elsewhere/new")
    assert main(command("train", Path("link"))) == 0
    assert Path("link").is_symlink()
    assert (Path("elsewhere/new") / "result.json").is_file()
    assert main(command("evaluate", Path("link"))) == 0
    assert (Path("elsewhere/new") / "evaluation" / "dev" / "scores.json").is_file()


def test_a_new_run_has_the_usual_permissions_and_a_name_as_long_as_can_be(run: Path) -> None:
    name = "ü" * 127
    before = os.umask(0o002)
    try:
        assert main(command("train", Path(name))) == 0
    finally:
        os.umask(before)
    assert [Path(name, place).stat().st_mode & 0o777 for place in ("", "tokenizer", "config.yaml")] == [0o775, 0o775, 0o664]


@pytest.mark.parametrize("name", ["table.md", "table.csv", "plot.png"])
@pytest.mark.parametrize("link", [False, True])
def test_a_report_leaves_what_is_not_its_own(run: Path, capfd: pytest.CaptureFixture[str], name: str, link: bool) -> None:
    Path("sweep").mkdir()
    run.rename("sweep/seed=1")
    Path("mine").write_text(MINE, encoding="utf-8")
    path = Path("sweep") / name
    path.symlink_to(Path("mine").absolute()) if link else path.write_text(MINE, encoding="utf-8")
    for arguments in (["sweep"], ["sweep/seed=1", "output=sweep"]):
        assert re.search(rf"{name} is there, and nmt is not known to have written it", refused(capfd, "report", *arguments))
    assert path.read_text(encoding="utf-8") == Path("mine").read_text(encoding="utf-8") == MINE
    assert {each.name for each in Path("sweep").iterdir()} == {"seed=1", name}
    path.unlink()
    for _ in range(2):
        assert main(["report", "sweep"]) == 0
    assert {each.name for each in Path("sweep").glob("[!.]*")} == {"seed=1", "table.md", "table.csv", "plot.png"}


USERS = ["rollout-plan.svg", "attention-is-all-you-need.png", "attention.backup.png", "references-of-mine.txt", "notes.txt"]


@pytest.mark.parametrize("name", ["explain", "faithfulness"])
def test_an_output_folder_keeps_what_the_user_has_in_it(run: Path, name: str) -> None:
    Path("out").mkdir()
    for each in USERS:
        Path("out", each).write_text(MINE, encoding="utf-8")
    for _ in range(2):
        assert main([*command(name, run), "output=out"]) == 0
    assert {each: Path("out", each).read_text(encoding="utf-8") for each in USERS} == dict.fromkeys(USERS, MINE)


@pytest.mark.parametrize(
    ("name", "file"),
    [("explain", "explanation.html"), ("explain", "attention.png"), ("faithfulness", "faithfulness.md")],
)
def test_a_file_of_the_user_with_the_name_of_a_result_is_not_replaced(
    run: Path, capfd: pytest.CaptureFixture[str], name: str, file: str
) -> None:
    Path("out").mkdir()
    Path("out", file).write_text(MINE, encoding="utf-8")
    assert "is there, and nmt is not known to have written it" in refused(capfd, *command(name, run), "output=out")
    assert shown(Path("out")) == {file: MINE.encode()}


def test_an_evaluation_that_the_user_has_changed_is_not_replaced(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert main([*command("evaluate", run), "output=out"]) == 0
    Path("out/hypotheses.txt").write_text(MINE, encoding="utf-8")
    Path("out/notes.txt").write_text(MINE, encoding="utf-8")
    before = shown(Path("out"))
    capfd.readouterr()
    assert "nmt is not known to have written it as it is" in refused(capfd, *command("evaluate", run), "output=out")
    assert shown(Path("out")) == before


@pytest.mark.parametrize("name", ["compare.html", "compare.json"])
@pytest.mark.parametrize("folder", ["out", "comparisons/run+two/dev"])
def test_a_comparison_leaves_what_is_not_its_own(run: Path, capfd: pytest.CaptureFixture[str], name: str, folder: str) -> None:
    Path("two").write_bytes((run / "evaluation/dev/hypotheses.txt").read_bytes())
    arguments = ["compare", "run", "two", "split=dev", "samples.bs=10", "samples.ar=10", "threads=1"]
    arguments += [] if folder != "out" else ["output=out"]
    Path(folder).mkdir(parents=True)
    Path(folder, name).write_text(MINE, encoding="utf-8")
    assert "nmt is not known to have written it" in refused(capfd, *arguments)
    assert shown(Path(folder)) == {name: MINE.encode()}
    Path(folder, name).unlink()
    for _ in range(2):
        assert main(arguments) == 0


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file can grow larger, as on a full disk; output must not be captured in one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("name", "folder", "full"),
    [
        ("evaluate", "evaluation/dev", "breakdown.png"),
        ("explain", f"explanations/{folder_name(TEXT)}", r"explanation\.html"),
        ("faithfulness", "explanations", r"faithfulness\.md"),
        ("average", "evaluation", r"average\.json"),
    ],
)
def test_what_cannot_be_written_is_named_and_the_results_before_stay(
    run: Path, capsys: pytest.CaptureFixture[str], name: str, folder: str, full: str
) -> None:
    place = run / folder
    assert main(command(name, run)) == 0
    before = shown(place)
    capsys.readouterr()
    size = {"evaluate": 2_000, "explain": 5_000, "faithfulness": 20, "average": 200}[name]
    if name == "average":
        with pytest.MonkeyPatch.context() as patch, small_files(size):
            patch.setattr("nmt.training.checkpoints.Checkpoints.save_averaged", lambda self, *_: self.find("averaged"))
            assert main(command(name, run)) == 2
    else:
        with small_files(size):
            assert main(command(name, run)) == 2
    assert re.search(rf"File too large: {place}/{full}\n$", capsys.readouterr().err)
    assert shown(place) == before
    assert [each for each in run.rglob(".*") if is_scratch(each.name)] == []
    assert main(command(name, run)) == 0


@pytest.mark.parametrize("command", ["report", "compare"])
def test_a_table_that_cannot_be_written_is_named(run: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    hypotheses = str(run / "evaluation/dev/hypotheses.txt")
    arguments = {
        "report": ["run", "output=out"],
        "compare": ["run", hypotheses, "split=dev", "samples.bs=9", "samples.ar=9", "threads=1", "output=out"],
    }[command]
    with small_files(10):
        assert main([command, *arguments]) == 2
    assert re.search(r"File too large: out/(table\.md|compare\.json)\n$", capsys.readouterr().err)
    assert not Path("out").exists()


def test_a_full_standard_output_is_named(run: Path) -> None:
    for name in COMMANDS:
        with Path("/dev/full").open("w") as full:
            arguments = [sys.executable, "-m", "nmt", *command(name, run)]
            done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert "standard output: No space left on device\n" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_output_of_two_at_once_is_that_of_one_and_scratch_names_are_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "out"
    (tmp_path / ".out.part").write_text(MINE, encoding="utf-8")
    with output_to(str(path)) as one, output_to(str(path)) as other:
        one.write(b"one\n")
        other.write(b"other\n")
        other.flush()
        one.write(b"one\n")
    assert path.read_bytes() == b"one\none\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == [".out.part", "out"]


@pytest.mark.parametrize("name", ["x" * 255, "字" * 85])
def test_an_output_may_have_the_longest_name_and_keeps_its_permissions(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    before = os.umask(0o027)
    try:
        with output_to(str(path)) as output:
            output.write(b"old")
        assert path.stat().st_mode & 0o777 == 0o640
        path.chmod(0o606)
        with output_to(str(path)) as output:
            output.write(b"new")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o606
    assert path.read_bytes() == b"new"


def test_the_second_of_two_new_trainings_of_one_run_says_so(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """Both have found nothing there, and one is faster."""
    Run.create(tmp_path / "run", {"one": 1}, tokenizer, corpus={}, environment={})
    with pytest.raises(UserError, match=r"another process is training .*run: wait for its end, or choose another run_dir"):
        Run.create(tmp_path / "run", {"one": 2}, tokenizer, corpus={}, environment={})
    assert (tmp_path / "run" / "config.yaml").read_text(encoding="utf-8") == "one: 1\n"
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("name", ["", "stop", "failed", "locks", "command", "multirun.yaml", "submitit"])
def test_a_link_in_the_state_of_a_sweep_leads_no_write_out_of_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text(MINE, encoding="utf-8")
    path = tmp_path / "sweep" / ".sweep" / name
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "outside" / ("" if name in ("", "failed", "locks", "submitit") else "file"))
    with pytest.raises(UserError, match=r"is a link"), SweepState(tmp_path / "sweep").alone():
        pass
    assert shown(tmp_path / "outside") == {"file": MINE.encode()}


def test_a_link_within_the_state_of_a_sweep_is_a_launchers(tmp_path: Path) -> None:
    with SweepState(tmp_path).alone():
        (tmp_path / ".sweep" / "submission.sh").touch()
        (tmp_path / ".sweep" / "latest.sh").symlink_to(tmp_path / ".sweep" / "submission.sh")
    with SweepState(tmp_path).alone():
        pass
