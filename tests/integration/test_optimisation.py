"""By the command line: averages beside the raw weights, fine-tuning, and a schedule that watches the dev loss."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.integration

SIZES = [
    *("model=transformer_tiny", "data.train_pairs=1500", "data.dev_pairs=12", "data.test_pairs=6", "train.threads=1"),
    *("train.tokens_per_batch=500", "train.log_every=1", "optimizer.lr=3e-3", "decode.beam=1", "decode.max_length=20"),
]
SMALL = [*SIZES, "tokenizer.vocab_size=600"]


def nmt(*arguments: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run([sys.executable, "-m", "nmt", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run `old` has been trained for 40 updates, with four checkpoints."""
    made = tmp_path_factory.mktemp("optimisation")
    more = ["schedule=constant", "train.validate_every=20", "train.checkpoint_every=10", "train.keep=4", "train.max_updates=40"]
    nmt("train", *SMALL, *more, f"run_dir={made / 'old'}", f"paths.cache={made / 'cache'}")
    return made


def parameters(run: Path, checkpoint: str = "last") -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / checkpoint / "model.safetensors")


def logged(run: Path, kind: str, name: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return {line["update"]: line[name] for line in lines if line["kind"] == kind}


def test_an_average_is_scored_beside_the_raw_weights_and_used_by_every_command(folder: Path) -> None:
    run = folder / "old"
    done = nmt("average", str(run), "last=3", "threads=1")
    assert [word in done.stdout for word in ("averaged", "20, 30, 40", "best", "last", "nrefs:1|case:mixed")] == [True] * 5
    parts = [parameters(run, f"step-{updates:07d}") for updates in (20, 30, 40)]
    for name, mean in parameters(run, "averaged").items():
        torch.testing.assert_close(mean, torch.stack([part[name].double() for part in parts]).mean(0).float(), rtol=0, atol=0)
    scores: dict[str, Any] = json.loads((run / "evaluation" / "average.json").read_text(encoding="utf-8"))
    assert scores["averaged"]["updates"] == [20, 30, 40]
    assert scores["last"]["bleu"]["score"] == logged(run, "valid", "valid/bleu")[40]

    nmt("evaluate", str(run), "checkpoint=averaged", "split=dev", "threads=1")
    assert json.loads((run / "evaluation" / "dev" / "scores.json").read_text())["bleu"] == scores["averaged"]["bleu"]
    assert nmt("translate", str(run), "checkpoint=averaged", "text=The dog sleeps.", "threads=1").stdout.count("\n") == 1


def test_named_checkpoints_are_averaged_without_a_corpus(folder: Path) -> None:
    run = folder / "copy"
    shutil.copytree(folder / "old", run, symlinks=True)
    shutil.rmtree(run / "evaluation")
    done = nmt("average", str(run), "checkpoints=[10,last]", "evaluate=false")
    assert "updates 10, 40 into" in done.stderr
    assert not (run / "evaluation").exists()
    error = nmt("average", str(run), "last=9", status=2).stderr
    assert error.count("\n") == 1
    assert "an average of 9 checkpoints needs as many" in error
    assert "evaluate=false averages without scores" in nmt("average", str(run), "data.dev_pairs=-1", status=2).stderr


def test_fine_tuning_begins_where_the_other_run_is_best_and_then_needs_it_no_more(folder: Path) -> None:
    origin, run = folder / "origin", folder / "tuned"
    shutil.copytree(folder / "old", origin, symlinks=True)
    more = ["schedule=constant", "optimizer.lr=0", "train.validate_every=4", f"run_dir={run}"]
    more += [f"paths.cache={folder / 'cache'}", "data.seed=7", *(key for key in SMALL if not key.startswith("optimizer.lr="))]
    from_origin = f"init_from={origin}"
    done = nmt("train", *more, from_origin, "train.max_updates=4")
    assert "600 of 600 pieces" in done.stderr
    for name in ("src.model", "tgt.model"):
        assert (run / "tokenizer" / name).read_bytes() == (origin / "tokenizer" / name).read_bytes()
    best = parameters(origin, "best")
    for name, value in parameters(run).items():  # a rate of 0 leaves what it began with
        torch.testing.assert_close(value, best[name], rtol=0, atol=0)
    shutil.rmtree(origin)
    assert "continuing" in nmt("train", *more, from_origin, "train.max_updates=6").stderr
    assert "init_from" in nmt("train", *more, f"init_from={folder / 'old'}", "train.max_updates=6", status=2).stderr


def test_fine_tuning_that_only_ruins_a_model_leaves_what_it_began_with_as_the_best(folder: Path) -> None:
    run = folder / "ruined"
    small = [key for key in SMALL if not key.startswith("optimizer.lr=")]
    more = ["schedule=constant", "optimizer.lr=3", "train.validate_every=2", f"init_from={folder / 'old'}", f"run_dir={run}"]
    done = nmt("train", *small, *more, f"paths.cache={folder / 'cache'}", "train.max_updates=4")
    assert "no validation was better than that of the parameters of" in done.stderr
    begun = parameters(folder / "old", "best")
    for name, value in parameters(run, "best").items():
        torch.testing.assert_close(value, begun[name], rtol=0, atol=0)
    loss, before = (logged(each, "valid", "valid/loss") for each in (run, folder / "old"))
    assert sorted(loss) == [0, 2, 4]
    assert loss[0] == pytest.approx(min(before.values()), rel=1e-6)
    assert loss[4] > loss[0]


def test_fine_tuning_with_another_vocabulary_learns_from_the_first_update_on(folder: Path) -> None:
    cache = f"paths.cache={folder / 'cache'}"
    more = ["schedule=constant", "train.validate_every=50", "train.max_updates=5", cache, "tokenizer.vocab_size=500"]
    error = nmt("train", *SIZES, *more, f"init_from={folder / 'old'}", f"run_dir={folder / 'refused'}", status=2).stderr
    assert "tokenizer.vocab_size (600 → 500) differ" in error
    assert not (folder / "refused").exists()
    runs = {"fresh": [], "shared": [f"init_from={folder / 'old'}", "init_tokenizer=false"]}
    for name, keys in runs.items():
        done = nmt("train", *SIZES, *more, *keys, f"run_dir={folder / name}")
        assert (" of 500 pieces" in done.stderr) == (name == "shared")
    first = {name: logged(folder / name, "train", "train/loss")[1] for name in runs}
    assert first["shared"] < first["fresh"] - 0.5


def test_a_run_killed_before_its_first_checkpoint_begins_anew_only_with_the_same_parameters(folder: Path) -> None:
    run = folder / "killed"
    origin = folder / "moving"
    shutil.copytree(folder / "old", origin, symlinks=True)
    more = ["schedule=constant", "train.validate_every=4", "train.max_updates=4", f"paths.cache={folder / 'cache'}"]
    more += [f"init_from={origin}", f"run_dir={run}", "init_checkpoint=last"]
    nmt("train", *SMALL, *more)
    shutil.rmtree(run / "checkpoints")
    (origin / "checkpoints" / "last").unlink()
    (origin / "checkpoints" / "last").symlink_to("step-0000010")
    assert "the parameters of init_from" in nmt("train", *SMALL, *more, status=2).stderr
    (origin / "checkpoints" / "last").unlink()
    (origin / "checkpoints" / "last").symlink_to("step-0000040")
    nmt("train", *SMALL, *more)


def test_a_schedule_that_watches_the_dev_loss_resumes_exactly(folder: Path) -> None:
    more = ["schedule=plateau", "schedule.warmup=2", "schedule.patience=0", "schedule.threshold=0.9"]
    more += ["train.validate_every=4", f"paths.cache={folder / 'cache'}", "model.dropout=0.2"]
    for name, stops in {"whole": [18], "stopped": [7, 13, 18]}.items():
        for stop in stops:
            nmt("train", *SMALL, *more, f"train.max_updates={stop}", f"run_dir={folder / name}")
    rates = [logged(folder / name, "train", "train/learning_rate") for name in ("whole", "stopped")]
    assert rates[0] == rates[1]
    peaks = [rates[0][update] / 3e-3 for update in (1, 2, 4, 8, 9, 12, 13, 16, 17)]
    assert peaks == pytest.approx([0.5, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125])
    whole, stopped = parameters(folder / "whole"), parameters(folder / "stopped")
    assert all(torch.equal(value, stopped[name]) for name, value in whole.items())
