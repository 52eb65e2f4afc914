"""A run that begins with another one's parameters: everything is copied, of vocabularies what both have."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.components import build_model
from nmt.config import TokenizerSettings, compose, config_directory
from nmt.data.tokenizer import Tokenizer, train
from nmt.errors import UserError
from nmt.models.seq2seq import Seq2Seq, Vocabulary
from nmt.run import Run
from nmt.training.checkpoint import EMA, MODEL, Contents
from nmt.training.initial import PIECE_MODULES, copy_parameters, fill_from_origin, open_origin, shared_rows
from nmt.training.state import whole_weights

Compose = Callable[..., dict[str, Any]]
Rows = dict[str, tuple[Tensor, Tensor]]

FAMILIES = ["encdec_tiny", "cho_tiny", "bahdanau_tiny", "luong_tiny", "hybrid_tiny", "transformer_tiny", "decoder_only_tiny"]
MODELS = sorted(path.stem for path in (config_directory() / "model").glob("*.yaml"))
EXACT = {"rtol": 0.0, "atol": 0.0}
SRC, TGT = torch.tensor([[5, 9, 6, 8, 3]]), torch.tensor([[2, 7, 5, 10]])  # of the old vocabulary


def built(spec: dict[str, Any], seed: int, *, src: int, tgt: int, joint: bool) -> Seq2Seq:
    """A model whose every parameter, biases too, is random."""
    torch.manual_seed(seed)
    model = build_model(spec, Vocabulary(src, tgt, joint))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model.eval()


def features(model: Seq2Seq, src: Tensor, tgt_in: Tensor) -> Tensor:
    with torch.no_grad():
        return model(src, tgt_in, torch.ones_like(src, dtype=torch.bool))


def rows(pairs: dict[int, int]) -> tuple[Tensor, Tensor]:
    return torch.tensor(list(pairs)), torch.tensor(list(pairs.values()))


@pytest.mark.parametrize("name", MODELS)
def test_only_embeddings_and_output_have_the_size_of_a_vocabulary(compose_model: Compose, name: str) -> None:
    with torch.device("meta"):
        small, large = (build_model(compose_model(f"model={name}"), Vocabulary(size, size, joint=True)) for size in (301, 307))
    grown = {
        (name, before.shape[0], after.shape[0])
        for (name, before), after in zip(small.state_dict().items(), large.state_dict().values(), strict=True)
        if before.shape != after.shape
    }
    assert grown == {
        (f"{module}.{part}", 301, 307) for module in PIECE_MODULES for part, _ in getattr(small, module).named_parameters()
    }


@pytest.mark.parametrize("name", FAMILIES)
def test_with_the_same_vocabulary_the_copy_is_the_same_model(compose_model: Compose, name: str) -> None:
    spec = compose_model(f"model={name}")
    old, new = (built(spec, seed, src=13, tgt=13, joint=True) for seed in (1, 2))
    assert not torch.equal(features(old, SRC, TGT), features(new, SRC, TGT))
    all_rows = (torch.arange(13), torch.arange(13))
    copy_parameters(old, new, {"src": all_rows, "tgt": all_rows})
    torch.testing.assert_close(new.state_dict(), old.state_dict(), **EXACT)
    torch.testing.assert_close(new.project(features(new, SRC, TGT)), old.project(features(old, SRC, TGT)), **EXACT)


JOINT: dict[int, int] = {0: 0, 1: 1, 2: 2, 3: 3, 5: 9, 6: 4, 7: 10, 8: 7, 9: 5, 10: 6}
SEPARATE: dict[str, dict[int, int]] = {
    "src": {3: 3, 5: 9, 6: 4, 8: 7, 9: 5},
    "tgt": {0: 0, 1: 1, 2: 2, 3: 3, 5: 12, 7: 4, 10: 5},
}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("joint", [True, False], ids=["joint", "separate"])
def test_with_another_vocabulary_sentences_of_shared_pieces_are_read_and_scored_alike(
    compose_model: Compose, name: str, joint: bool
) -> None:
    tied = compose_model(f"model={name}").get("tied") is not None
    old = built(compose_model(f"model={name}"), 1, src=13, tgt=13, joint=True)
    spec = compose_model(f"model={name}", *(["model.tied=decoder"] if tied and not joint else []))
    new = built(spec, 2, src=11, tgt=11 if joint else 17, joint=joint)
    fresh = {key: value.clone() for key, value in new.state_dict().items()}
    maps = {"src": JOINT, "tgt": JOINT} if joint else SEPARATE
    copy_parameters(old, new, {side: rows(pairs) for side, pairs in maps.items()})

    src, tgt_in = (torch.tensor([[maps[side][n] for n in ids[0].tolist()]]) for side, ids in (("src", SRC), ("tgt", TGT)))
    found, expected = features(new, src, tgt_in), features(old, SRC, TGT)
    torch.testing.assert_close(found, expected, **EXACT)
    there, here = rows(maps["tgt"])
    torch.testing.assert_close(new.project(found)[..., here], old.project(expected)[..., there], rtol=1e-6, atol=1e-6)
    for module, side in PIECE_MODULES.items():
        matrix, drawn = getattr(new, module).weight, fresh[f"{module}.weight"]
        others = [n for n in range(len(matrix)) if n not in maps[side].values()]
        assert others
        torch.testing.assert_close(matrix[others].detach(), drawn[others], **EXACT)
    if tied:
        assert new.output.weight is new.tgt_embedding.weight
        assert (new.src_embedding.weight is new.tgt_embedding.weight) == joint


def test_an_output_bias_is_copied_by_piece_too(compose_model: Compose) -> None:
    old, new = (built(compose_model("model=luong_tiny"), seed, src=13, tgt=13, joint=True) for seed in (1, 2))
    for model, value in ((old, 1.0), (new, 2.0)):
        model.output.bias = torch.nn.Parameter(torch.full((13,), value))
    copy_parameters(old, new, {"src": rows(JOINT), "tgt": rows(JOINT)})
    assert [n for n in range(13) if new.output.bias[n] == 1.0] == sorted(JOINT.values())


@pytest.mark.parametrize("side", ["src", "tgt"])
@pytest.mark.parametrize("joint", [True, False])
def test_pieces_are_shared_by_their_text(tokenizer: Tokenizer, pairs: list[Any], side: Any, joint: bool) -> None:
    other = train(pairs[:120], TokenizerSettings(vocab_size=310, type="bpe", joint=joint))
    there, here = shared_rows(tokenizer, other, side)
    texts = other.pieces(here.tolist(), side)
    assert texts == tokenizer.pieces(there.tolist(), side)
    assert {"<pad>", "<unk>", "<s>", "</s>", "<0x41>"} < set(texts)
    size = other.src_size if side == "src" else other.tgt_size
    assert 250 < len(texts) < size
    known = set(tokenizer.pieces(range(tokenizer.src_size), side))
    assert [piece for piece in other.pieces(range(size), side) if piece in known] == texts


TINY = ["model=transformer_tiny", "tokenizer.vocab_size=340"]


def created(settings: dict[str, Any], tokenizer: Tokenizer) -> Run:
    return Run.create(Path(settings["run_dir"]), settings, tokenizer, corpus={}, environment={})


def save(run: Run, updates: int, *, best: int, **more: dict[str, Tensor]) -> None:
    weights = {MODEL: whole_weights(run.build_model())} | {f"{name}.safetensors": values for name, values in more.items()}
    state = {"updates": updates, "best": [{"update": best}]}
    run.checkpoints.finish(run.checkpoints.begin(updates), Contents(weights, {}, state), keep=9)


def begun(run: Run) -> Seq2Seq:
    """The model that a run begins with."""
    model = run.build_model()
    fill_from_origin(run, model)
    return model


@pytest.fixture
def old(tmp_path: Path, tokenizer: Tokenizer) -> Run:
    """A run with two checkpoints."""
    run = created(compose("train", [*TINY, f"run_dir={tmp_path / 'old'}"]), tokenizer)
    for updates in (10, 20):
        torch.manual_seed(updates)
        save(run, updates, best=10)
    return run


def config(old: Run, *overrides: str) -> dict[str, Any]:
    return compose("train", [*TINY, f"init_from={old.directory}", f"run_dir={old.directory.parent / 'new'}", *overrides])


def opened(settings: dict[str, Any]) -> Any:
    size = settings["tokenizer"]["vocab_size"]
    with torch.device("meta"):
        model = build_model(settings["model"], Vocabulary(size, size, settings["tokenizer"]["joint"]))
    return open_origin(settings, model)


def weights(run: Run, checkpoint: str) -> dict[str, Tensor]:
    return run.load_model(checkpoint, torch.device("cpu")).state_dict()


def test_a_new_run_begins_with_the_best_parameters_or_the_ones_named(old: Run, tokenizer: Tokenizer) -> None:
    for number, (checkpoint, updates) in enumerate({"best": "10", "last": "20", "20": "20"}.items()):
        settings = config(old, f"init_checkpoint={checkpoint}", f"run_dir={old.directory.parent / f'new{number}'}")
        origin = opened(settings)
        assert origin.identity["checkpoint"] == f"step-{updates:0>7}/model.safetensors"
        assert origin.tokenizer(sampling=0.0).models == tokenizer.models
        new = created(settings, tokenizer)
        torch.testing.assert_close(begun(new).state_dict(), weights(old, updates), **EXACT)


def test_a_run_that_has_a_checkpoint_needs_its_origin_no_more(old: Run, tokenizer: Tokenizer) -> None:
    settings = config(old)
    new = created(settings, tokenizer)
    save(new, 5, best=5)
    shutil.rmtree(old.directory)
    assert opened(settings) is None
    fill_from_origin(new, new.build_model())


def test_the_log_counts_the_shared_pieces(old: Run, pairs: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    other = train(pairs, TokenizerSettings(vocab_size=320))
    settings = config(old, "tokenizer.vocab_size=320", "init_tokenizer=false", "model.dropout=0.5")
    opened(settings)
    with caplog.at_level("INFO", logger="nmt"):
        begun(created(settings, other))
    count = len(set(other.pieces(range(320), "src")) & set(old.tokenizer.pieces(range(340), "src")))
    assert f"step-0000010, which shares {count} of 320 pieces" in caplog.text
    assert "not the same model as there: model.dropout (0.1 → 0.5)" in caplog.text


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["init_from=nowhere"], r"init_from=nowhere init_checkpoint=best: nowhere is not a run: it does not exist"),
        (["init_checkpoint=15"], r"init_checkpoint=15: checkpoint=15 is not in .* best, last, 10, 20"),
        (["init_weights=ema"], r"init_checkpoint=best: that run has no averages \(train\.ema_decay\): set init_weights=raw"),
        (["init_weights=mean"], r"init_checkpoint=best: weights must be auto, raw or ema, but is 'mean'"),
        (["init_checkpoint=averaged"], r"checkpoint=averaged is not in .*`nmt average` makes averaged"),
        (
            ["init_from=null", "init_checkpoint=last"],
            r"init_checkpoint=last says where in a run to begin, but init_from=RUN",
        ),
        (
            ["tokenizer.vocab_size=320"],
            r"keeps the tokenizer of that run, but tokenizer\.vocab_size \(340 → 320\) differ: .* init_tokenizer=false",
        ),
        (
            ["tokenizer.type=bpe", "tokenizer.byte_fallback=false"],
            r"tokenizer\.byte_fallback \(True → False\), tokenizer\.type \(unigram → bpe\) differ",
        ),
        (
            ["model.dim=32"],
            r"model of another shape: encoder\..* \(\(.*64.*\) there, \(.*32.*\) here\).* and \d+ more; "
            r"keys that differ: model\.dim \(64 → 32\)$",
        ),
        (
            ["model.decoder_layers=3"],
            r"decoder_layers\.\d.* \(none there, .*keys that differ: model\.decoder_layers \(2 → 3\)",
        ),
        (["model=luong_tiny"], r"model\._target_ \(nmt\.models\.transformer\.Transformer → nmt\.models\.luong\.Luong\)"),
    ],
)
def test_an_origin_that_does_not_fit_is_named_before_work_starts(old: Run, overrides: list[str], message: str) -> None:
    settings = config(old, *overrides)
    with pytest.raises(UserError, match=message):
        opened(settings)
    assert not Path(settings["run_dir"]).exists()


def test_exponential_averages_are_what_a_run_begins_with_unless_raw_weights_are_asked_for(
    old: Run, tokenizer: Tokenizer
) -> None:
    averages = {name: value + 1 for name, value in whole_weights(old.build_model()).items()}
    save(old, 30, best=30, ema=averages)
    for kind in ("auto", "ema", "raw"):
        settings = config(old, f"init_weights={kind}", "init_checkpoint=30", f"run_dir={old.directory.parent / kind}")
        assert opened(settings).weights == (MODEL if kind == "raw" else EMA)
        found = whole_weights(begun(created(settings, tokenizer)))
        expected = averages if kind != "raw" else whole_weights(old.load_model("30", torch.device("cpu"), "raw"))
        torch.testing.assert_close(found, expected, **EXACT)


def test_a_damaged_origin_is_named(old: Run) -> None:
    (old.checkpoints.find("best").directory / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"init_from=.*step-0000010.model\.safetensors was cut short or altered: name another"):
        opened(config(old))
    assert opened(config(old, "init_checkpoint=last")) is not None


def test_what_was_two_matrices_cannot_become_one(tmp_path: Path, tokenizer: Tokenizer) -> None:
    settings = compose("train", [*TINY, "model.tied=none", f"run_dir={tmp_path / 'old'}"])
    run = created(settings, tokenizer)
    save(run, 1, best=1)
    with pytest.raises(UserError, match=r"two matrices, .* which are one here; keys that differ: model\.tied \(none → all\)"):
        opened(config(run))


def test_what_was_one_matrix_may_become_two(old: Run, tokenizer: Tokenizer) -> None:
    settings = config(old, "model.tied=none")
    opened(settings)
    model = begun(created(settings, tokenizer))
    assert model.output.weight is not model.tgt_embedding.weight
    torch.testing.assert_close(model.state_dict(), weights(old, "best"), **EXACT)
