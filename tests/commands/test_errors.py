"""What a user gets wrong ends in one clear line on stderr and status 2, before anything is written."""

import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nmt.cli import main

for command in ("score", "explain", "align", "report"):
    importlib.import_module(f"nmt.commands.{command}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small parallel corpus, which is also the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))
    for split, count in (("train", 40), ("dev", 4), ("test", 4)):
        for language, word in (("de", "Hund"), ("en", "dog")):
            text = "".join(f"{word} {n} {'abcdefgh'[n % 8]}\n" for n in range(count))
            (tmp_path / f"{split}.{language}").write_text(text, encoding="utf-8")
    return tmp_path


TEXT = ["data=text", "data.train=train", "data.dev=dev", "data.test=test", "model=transformer_tiny", "run_dir=run"]


def changed(arguments: list[str], *others: str) -> list[str]:
    """Arguments with other values, or further keys."""
    keys = {other.partition("=")[0] for other in others}
    return [*(argument for argument in arguments if argument.partition("=")[0] not in keys), *others]


def error_of(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr of a command that must end with status 2."""
    status = main(list(arguments))
    output = capfd.readouterr()
    assert status == 2, output.err
    assert output.out == ""
    assert output.err.count("\n") == 1, output.err
    return output.err


@pytest.mark.parametrize(
    ("override", "pattern"),
    [
        ("train.max_update=5", r"there is no key train\.max_update: did you mean train\.max_updates\?"),
        ("modle=luong", r"there is no key modle: did you mean model\?"),
        ("model=lstm", r"model.*lstm"),
        ("model.widht=5", r"widht"),
        ("train.max_updates=many", r"train\.max_updates=many \(Value 'many' .*could not be converted to Integer\)$"),
        ("train.tokens_per_batch=0", r"train\.tokens_per_batch must be at least 1, but is 0"),
        ("train.label_smoothing=1.5", r"train\.label_smoothing must be at least 0 and less than 1, but is 1\.5"),
        ("train.precision=fp8", r"train\.precision must be one of fp32, bf16, fp16, but is 'fp8'"),
        ("train.clip_norm=-1", r"train\.clip_norm must be more than 0"),
        ("train.clip_norm=nan", r"train\.clip_norm must be more than 0"),
        ("decode.length_penalty=inf", r"decode\.length_penalty must be from 0 to 100, but is inf"),
        ("train.patience=0", r"train\.patience must be at least 1"),
        ("data.max_length=0", r"data\.max_length"),
        ("model/attention=dot", r"model/attention.*bahdanau.*luong"),
        ("tokenizer.type=word", r"tokenizer\.type must be one of unigram, bpe, but is 'word'"),
        ("tokenizer.normalization=nfd", r"tokenizer\.normalization must be one of .*nfkc.*'nfd'"),
        ("tokenizer.target_normalization=nfd", r"tokenizer\.target_normalization must be one of .*nfkc.*'nfd'"),
        ("tokenizer.character_coverage=0.5", r"tokenizer\.character_coverage must be from 0\.9 to 1, or null, but is 0\.5"),
        ("tokenizer.character_coverage=nan", r"tokenizer\.character_coverage must be from 0\.9 to 1, or null, but is nan"),
        ("tokenizer.vocab_size=4", r"tokenizer\.vocab_size must be at least 5, but is 4"),
        ("decode.beam=0", r"decode\.beam must be at least 1, but is 0"),
        ("decode.length_penalty=-1", r"decode\.length_penalty must be from 0 to 100, but is -1"),
        ("device=tpu", r"device must be auto, cpu, cuda or cuda:N, but is 'tpu'"),
        ("device=cuda:99", r"device=cuda:99 is not there"),
        ("model.heads=5", r"model\.heads \(5\) must divide model\.dim \(64\)"),
        ("model.dim=true", r"model\.dim must be int, but is True"),
        ("model.dim=wide", r"model\.dim must be int, but is 'wide'"),
        ("model.dropout=1.5", r"model\.dropout .*1\.5"),
        ("model.encoder_layers=0", r"model\.encoder_layers .*0"),
        ("model.norm=middle", r"model\.norm must be pre or post, but is 'middle'"),
        ("tokenizer.joint=false", r"tokenizer\.joint=true, or model\.tied=decoder"),
        ("schedule=cosine", r"schedule\.total"),
        ("schedule.warmup=0", r"schedule\.warmup must be at least 1, but is 0"),
        ("optimizer.lr=-1", r"lr|learning rate"),
        ("optimizer.betas=[0.9,0.98,0.99]", r"optimizer\.betas must be a list of 2 values, but is \[0\.9, 0\.98, 0\.99\]"),
        ("optimizer=lbfgs", r"optimizer.*adafactor.*sgd"),
        ("schedule=linear", r"schedule\.total has no default"),
        ("init_from=nowhere", r"init_from=\S*nowhere init_checkpoint=best: .*nowhere is not a run: it does not exist"),
        ("init_checkpoint=last", r"init_checkpoint=last says where in a run to begin, but init_from=RUN is not set"),
        ("init_weights=raw", r"init_weights=raw says where in a run to begin, but init_from=RUN is not set"),
        ("init_tokenizer=maybe", r"init_tokenizer=maybe \(Value 'maybe' is not a valid bool"),
        ("tokenizer.vocab_size=8000", r"tokenizer\.vocab_size \(8000\) is more than this corpus supports: set .*=\d+ or less"),
        ("tokenizer.vocab_size=262", r"tokenizer\.vocab_size \(262\) is less than .* at least \d+"),
        ("train.tokens_per_batch=2", r"train\.tokens_per_batch \(2\) must hold the longest training pair"),
        ("data.max_length=1", r"train has no usable pair: 0 have an empty side, 40 are longer than data\.max_length"),
        ("data.train=nowhere", r"nowhere"),
        ("data.dev=null", r"choose the best checkpoint by: set data\.dev=DIR/dev for the files DIR/dev\.de and DIR/dev\.en"),
        ("data.train=null", r"learn from: set data\.train=DIR/train for the files DIR/train\.de"),
        ("data.max_length=5 [", r"data\.max_length=5 \[ cannot be read: .* needs quotes of its own, as in .data\.max_length="),
        ("data.src={de", r"data\.src=\{de cannot be read"),
        ("seed", r"there is no key seed|seed is neither key=value nor a flag"),
        ("model/foo=bar", r"there is no key model/foo: nmt train --help"),
        ("data.dev=", r"data\.dev= is empty: give a path, or null"),
        ("--foo", r"unrecognized arguments: --foo; the flags are those of Hydra"),
        ("--cfg", r"argument --cfg/-c: expected one argument"),
        ("data.train=[train,,dev]", r"data\.train=\[train,,dev\]: an item between its commas is empty"),
        ("data.train=~/nowhere", r"data\.train: /.*/nowhere\.de does not exist"),
    ],
)
def test_an_impossible_setting_is_named_and_nothing_is_written(
    folder: Path, capfd: pytest.CaptureFixture[str], override: str, pattern: str
) -> None:
    line = error_of(capfd, "train", *changed([*TEXT, "tokenizer.vocab_size=286"], override))
    assert re.search(pattern, line), line
    assert not (folder / "run").exists()


def test_an_optimizer_of_ones_own_that_cannot_train_is_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "mine" / "optimizer").mkdir(parents=True)
    (folder / "mine" / "optimizer" / "newton.yaml").write_text("_target_: torch.optim.LBFGS\n_partial_: true\nlr: 1.0\n")
    line = error_of(capfd, "train", "--config-dir", "mine", *TEXT, "tokenizer.vocab_size=286", "optimizer=newton")
    assert "optimizer (LBFGS) evaluates the loss several times in one step" in line
    assert not (folder / "run").exists()


def test_files_of_different_length_are_named_with_both_counts(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "train.en").write_text("one\ntwo\n", encoding="utf-8")
    line = error_of(capfd, "train", *TEXT, "tokenizer.vocab_size=286")
    assert re.search(r"train\.de has 40 lines but .*train\.en has 2", line)
    assert not (folder / "run").exists()


def test_a_dev_set_of_different_length_stops_before_training(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for split in ("dev", "test"):
        path = folder / f"{split}.en"
        whole = path.read_text(encoding="utf-8")
        path.write_text("one\ntwo\n", encoding="utf-8")
        line = error_of(capfd, "train", *TEXT, "tokenizer.vocab_size=286")
        assert re.search(rf"{split}\.de has 4 lines but .*{split}\.en has 2", line)
        assert not (folder / "run").exists()
        path.write_text(whole, encoding="utf-8")


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_invalid_utf8_is_named_by_file_and_line(folder: Path, capfd: pytest.CaptureFixture[str], split: str) -> None:
    lines = (folder / f"{split}.de").read_bytes().split(b"\n")
    lines[2] = b"\xff\xfe"
    (folder / f"{split}.de").write_bytes(b"\n".join(lines))
    line = error_of(capfd, "train", *TEXT, "tokenizer.vocab_size=286")
    assert re.search(rf"{split}\.de.*line 3.*UTF-8", line)
    assert not (folder / "run").exists()


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_an_empty_file_is_named(folder: Path, capfd: pytest.CaptureFixture[str], split: str) -> None:
    (folder / f"{split}.de").write_bytes(b"")
    (folder / f"{split}.en").write_bytes(b"")
    line = error_of(capfd, "train", *TEXT, "tokenizer.vocab_size=286")
    assert re.search(rf"{split}\.de.*empty", line)
    assert not (folder / "run").exists()


def test_a_folder_with_other_files_is_not_taken_for_a_run(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "thesis.tex").write_text("mine")
    line = error_of(capfd, "train", *TEXT, "tokenizer.vocab_size=286")
    assert "holds files but is not a run" in line


def test_an_unknown_command_lists_the_commands(capfd: pytest.CaptureFixture[str]) -> None:
    assert "train, evaluate, translate" in error_of(capfd, "trian")


@pytest.mark.parametrize("command", ["evaluate", "translate", "average"])
def test_a_folder_that_is_no_run_is_named(folder: Path, capfd: pytest.CaptureFixture[str], command: str) -> None:
    assert re.search(r"nowhere is not a run: it does not exist", error_of(capfd, command, "run=nowhere"))
    (folder / "empty").mkdir()
    assert re.search(r"empty is not a run: it has no config\.yaml", error_of(capfd, command, "empty"))


def test_a_command_without_its_run_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    assert "run" in error_of(capfd, "translate", "text=x")


QUICK = ["tokenizer.vocab_size=286", "train.max_updates=1", "train.validate_every=1", "decode.beam=1", "decode.max_length=4"]


def test_a_run_keeps_its_text_wherever_a_command_is_typed(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "my dir").mkdir()
    (folder / "elsewhere").mkdir()
    for name in ("train.de", "train.en"):
        (folder / name).rename(folder / "my dir" / name)
    command = ["train", *changed([*TEXT, *QUICK], "data.train=[my dir/train, dev]")]
    assert main(command) == 0
    config = (folder / "run" / "config.yaml").read_text()
    for kept in ("my dir/train", "dev", "test"):
        assert str(folder / kept) in config
    assert main(command) == 0  # typed again, it is the same run
    monkeypatch.chdir(folder / "elsewhere")
    assert main(["evaluate", "../run", "split=dev"]) == 0
    capfd.readouterr()
    line = error_of(capfd, "evaluate", "../run", "split=test", "data.test=null")
    assert "split=test is not in the run's corpus, which has only train, dev: set data.test=DIR/test" in line
    line = error_of(capfd, "faithfulness", "../run", "split=test", *(f"data.{n}=null" for n in ("train", "dev", "test")))
    assert "which has no text at all: set data.test=" in line
    line = error_of(capfd, "align", "../run", "split=validation")
    assert "split must be one of train, dev, test, but is 'validation'" in line
    shutil.rmtree(folder / "run" / "checkpoints")
    assert "run/checkpoints holds no checkpoint" in error_of(capfd, "translate", "../run", "text=Hund")


def test_a_run_of_relative_paths_continues_in_the_folder_where_it_began(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["train", *TEXT, *QUICK]) == 0
    begun = [*changed([*TEXT, *QUICK], "run_dir=tuned"), "init_from=run"]
    assert main(["train", *begun]) == 0
    config = folder / "tuned" / "config.yaml"
    config.write_text(config.read_text().replace(f"{folder}/", ""))  # as older versions kept them
    assert "init_from: run\n" in config.read_text()
    assert main(["train", *begun]) == 0
    assert main(["train", *changed(begun, f"init_from={folder}/run")]) == 0
    capfd.readouterr()
    line = error_of(capfd, "train", *changed(begun, "init_from=tuned"))
    assert "init_from" in line


LIMITED = """
import resource, sys
import nmt.cli, nmt.commands.translate, nmt.commands.evaluate, nmt.commands.score, hydra
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[1]) * 2**20,) * 2)
sys.exit(nmt.cli.main(sys.argv[2:]))
"""


@pytest.mark.parametrize("command", [["translate", "text=der Hund"], ["evaluate", "split=dev"]])
def test_too_little_memory_is_one_line_that_says_what_to_lower(make_run: Callable[..., Path], command: list[str]) -> None:
    arguments = [*command, "decode.beam=1000", "device=cpu", f"run={make_run('transformer_tiny')}"]
    done = subprocess.run([sys.executable, "-c", LIMITED, "16", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == (
        f"nmt {command[0]}: too little memory: lower decode.batch_size, decode.beam or decode.max_length, or give shorter lines"
    )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("could not create a primitive"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    ],
)
def test_every_way_to_say_too_little_memory_is_known(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_: object) -> None:
        raise error

    for command, run in (("score", "run=x"), ("explain", "run=x"), ("align", "run=x"), ("report", "run=x")):
        monkeypatch.setattr(f"nmt.commands.{command}.main", fail)
        assert f"nmt {command}: too little memory: " in error_of(capfd, command, run)


def test_what_is_no_lack_of_memory_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("could not create a primitive descriptor for an LSTM forward propagation primitive")

    monkeypatch.setattr("nmt.commands.report.main", fail)
    with pytest.raises(RuntimeError, match="primitive descriptor"):
        main(["report", "run=x"])
