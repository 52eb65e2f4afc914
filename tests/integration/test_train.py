"""The whole path on the embedded corpus: train, evaluate, translate, and sacrebleu on what was written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

pytestmark = pytest.mark.integration

SMALL = [
    *("model=transformer_tiny", "data.train_pairs=3000", "data.dev_pairs=20", "data.test_pairs=30"),
    *("tokenizer.vocab_size=700", "train.tokens_per_batch=1000", "train.max_updates=120", "train.validate_every=60"),
    *("train.log_every=10", "optimizer.lr=3e-3", "schedule.warmup=20", "decode.beam=2"),
]


def nmt(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "nmt", *arguments], capture_output=True, text=True, input=stdin, check=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, subprocess.CompletedProcess[str]]":
    folder = tmp_path_factory.mktemp("train")
    run = folder / "run with spaces, and = signs"
    done = nmt("train", *SMALL, f"run_dir={run}", f"paths.cache={folder / 'cache'}")
    assert done.returncode == 0, done.stderr
    return run, done


def test_training_leaves_a_complete_run(trained) -> None:
    run, done = trained
    for name in ("config.yaml", "environment.json", "tokenizer/src.model", "tokenizer/tgt.model", "metrics.jsonl", "train.log"):
        assert (run / name).stat().st_size > 0, name
    assert (run / "checkpoints" / "last").resolve().name == "step-0000120"
    assert (run / "checkpoints" / "best" / "model.safetensors").exists()
    for wanted in (
        "transformer",
        "dev BLEU",
        "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:",
        "test chrF",
        "target tokens/s",
        "120",
    ):
        assert wanted in done.stdout, wanted


def test_training_learns(trained) -> None:
    run, _ = trained
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [line["train/loss"] for line in lines if line["kind"] == "train"]
    assert losses[-1] < 0.8 * losses[0]


def test_tensorboard_holds_figures_texts_and_attention_pictures(trained) -> None:
    run, _ = trained
    board = EventAccumulator(str(run / "tensorboard")).Reload()
    tags = board.Tags()
    wanted = {"train/loss", "train/perplexity", "train/learning_rate", "train/gradient_norm", "train/padding"}
    wanted |= {"speed/target_tokens_per_second", "valid/loss", "valid/perplexity", "valid/bleu", "valid/chrf"}
    assert wanted <= set(tags["scalars"])
    assert {"attention/dev_1", "attention/dev_2"} <= set(tags["images"])
    assert [event.step for event in board.Scalars("valid/bleu")] == [60, 120]
    assert any("samples" in tag for tag in tags["tensors"])


def test_sacrebleu_on_the_written_files_gives_the_very_score(trained) -> None:
    run, _ = trained
    done = nmt("evaluate", str(run), "split=test")
    assert done.returncode == 0, done.stderr
    folder = run / "evaluation" / "test"
    scores = json.loads((folder / "scores.json").read_text())
    files = [str(folder / "references.txt"), "-i", str(folder / "hypotheses.txt")]
    for metric in ("bleu", "chrf"):
        by_hand = subprocess.run(
            [sys.executable, "-m", "sacrebleu", *files, "-m", metric, "-w", "10", "--format", "json"],
            capture_output=True,
            text=True,
            check=True,
        )
        result = json.loads(by_hand.stdout)
        assert scores[metric]["score"] == pytest.approx(result["score"], abs=1e-9)
        assert result["signature"] == scores[metric]["signature"]
        assert scores[metric]["signature"] in done.stdout


def test_evaluate_repeats_the_scores_that_training_printed(trained) -> None:
    run, _ = trained
    again = nmt("evaluate", str(run), "split=dev")
    assert again.returncode == 0, again.stderr
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    best = max(line["valid/bleu"] for line in lines if line["kind"] == "valid")
    assert json.loads((run / "evaluation" / "dev" / "scores.json").read_text())["bleu"]["score"] == pytest.approx(best)


def test_translate_answers_every_line_with_a_line_in_order(trained) -> None:
    run, _ = trained
    odd = ["The dog sleeps.", "", "a\u2028b\u0085c\x0cd", "漢字 \U0001f600 \u202eabc", "x" * 5000, "The dog sleeps.\r"]
    done = subprocess.run(
        [sys.executable, "-m", "nmt", "translate", str(run), "decode.max_source_length=50", "decode.max_length=30"],
        input="\n".join(odd).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().removesuffix("\n").split("\n")
    assert len(lines) == len(odd)
    assert lines[1] == ""
    assert lines[0] and lines[0] == lines[5]
    assert len(done.stdout.decode().splitlines()) == len(odd)
    assert done.stderr.decode().count("decode.max_source_length") == 1
    assert "1 lines" in done.stderr.decode() or "1 line" in done.stderr.decode()


def test_any_sentence_can_be_typed_as_text(trained) -> None:
    run, _ = trained
    for text in ("Don't say \"no\", it's = {odd} [brackets], $HOME ${x} \\ 100%", "null", "true", "'quoted'", "[a, b]"):
        done = nmt("translate", f"run={run}", f"text={text}")
        assert done.returncode == 0, (text, done.stderr)
        assert done.stdout.count("\n") == 1


def test_a_finished_run_is_not_trained_again_and_more_updates_continue_it(trained) -> None:
    run, _ = trained
    before = (run / "checkpoints" / "last" / "model.safetensors").read_bytes()
    same = [argument for argument in SMALL if "max_updates" not in argument]
    again = nmt("train", *SMALL, f"run_dir={run}", f"paths.cache={run.parent / 'cache'}")
    assert again.returncode == 0, again.stderr
    assert (run / "checkpoints" / "last" / "model.safetensors").read_bytes() == before
    more = nmt("train", *same, "train.max_updates=130", f"run_dir={run}", f"paths.cache={run.parent / 'cache'}")
    assert more.returncode == 0, more.stderr
    assert "continuing" in more.stderr
    assert (run / "checkpoints" / "last").resolve().name == "step-0000130"


def test_a_moved_run_works_without_its_corpus_or_cache(trained, tmp_path: Path) -> None:
    run, _ = trained
    moved = tmp_path / "moved"
    subprocess.run(["cp", "-a", str(run), str(moved)], check=True)
    environment = {**os.environ, "NMT_CACHE": str(tmp_path / "nowhere")}
    done = subprocess.run(
        [sys.executable, "-c", f"import nmt; print(nmt.Translator.load({str(moved)!r}).translate(['The dog sleeps.']))"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("['")
    assert not (tmp_path / "nowhere").exists()
