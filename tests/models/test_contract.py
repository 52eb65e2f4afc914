"""What every model promises, whatever YAML it comes from: the contract of `nmt/models/seq2seq.py`."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.components import build_model
from nmt.config import config_directory
from nmt.errors import UserError
from nmt.models.seq2seq import Seq2Seq, Vocabulary
from nmt.vocabulary import BOS, PAD

Compose = Callable[..., dict[str, Any]]
Build = Callable[[dict[str, Any]], Seq2Seq]

YAMLS = sorted((config_directory() / "model").glob("*.yaml"))
ATTENTIONS = sorted(path.stem for path in (config_directory() / "model/attention").glob("*.yaml"))
CASES = [(f"model={path.stem}",) for path in YAMLS]
CASES += [
    (f"model={path.stem}", f"model/attention={attention}")
    for path in YAMLS
    if "- attention:" in path.read_text(encoding="utf-8")
    for attention in ATTENTIONS
]
CASES += [
    ("model=luong", f"model/attention={local}", f"model/attention/score={score}")
    for local in ("local_m", "local_p")
    for score in ("dot", "concat", "additive", "location")
]
CASES += [
    (f"model={name}", f"model.encoder.direction={direction}")
    for name in ("bahdanau", "luong", "encdec", "cho")
    for direction in ("forward", "backward", "both")
]
CASES += [(f"model={name}", "model/encoder=transformer") for name in ("bahdanau", "luong", "encdec", "cho")]
CASES += [("model=bahdanau", "model.cell=lstm"), ("model=luong", "model.cell=gru"), ("model=encdec", "model.cell=gru")]
CASES += [("model=luong", "model.input_feeding=false", f"model/attention={attention}") for attention in ATTENTIONS]
CASES += [
    (f"model={model}", f"model/{group}={path.stem}")
    for model in ("transformer", "decoder_only")
    for group in ("positions", "pattern", "feedforward")
    for path in sorted((config_directory() / "model" / group).glob("*.yaml"))
    if path.stem not in ("sinusoidal", "full", "relu")
]
CASES += [("model=transformer", "model.key_value_heads=1"), ("model=decoder_only", "model.prefix=causal")]
CASES += [("model=decoder_only", f"model/positions={kind}", "model.key_value_heads=1") for kind in ("shaw", "transformer_xl")]
SIZES = {"dim", "heads", "feedforward_dim", "encoder_layers", "decoder_layers", "layers", "embedding_dim", "hidden_dim"}
SIZES |= {"maxout_dim", "D", "key_value_heads"}
EXACT = {"rtol": 0.0, "atol": 1e-10}


@pytest.fixture(params=CASES, ids=" ".join)
def spec(request: pytest.FixtureRequest, small_spec: Compose, float64: None) -> dict[str, Any]:
    return small_spec(*request.param)


@pytest.fixture
def model(spec: dict[str, Any], built: Build) -> Seq2Seq:
    return built(spec)


def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Source (2, 7), the second of 4 pieces; target (2, 5) after BOS; source mask."""
    random = torch.Generator().manual_seed(2)
    src = torch.randint(4, 11, (2, 7), generator=random)
    mask = torch.arange(7) < torch.tensor([[7], [4]])
    tgt_in = torch.randint(4, 13, (2, 5), generator=random)
    tgt_in[:, 0] = BOS
    return src.masked_fill(~mask, PAD), tgt_in, mask


def test_forward_gives_features_that_project_to_one_logit_per_piece(model: Seq2Seq) -> None:
    src, tgt_in, mask = batch()
    features = model(src, tgt_in, mask)
    assert features.shape == (2, 5, model.output.in_features)
    assert model.project(features).shape == (2, 5, 13)
    assert isinstance(model.output, nn.Linear)
    torch.testing.assert_close(model.project(features), model.output(features), **EXACT)


def test_step_by_step_equals_teacher_forced(model: Seq2Seq) -> None:
    src, tgt_in, mask = batch()
    memory = model.encode(src, mask)
    state = model.start(memory)
    steps = []
    for position in range(5):
        features, state = model.step(tgt_in[:, position : position + 1], state, memory)
        steps.append(features)
    torch.testing.assert_close(torch.cat(steps, 1), model(src, tgt_in, mask), **EXACT)


def test_more_padding_changes_nothing_whatever_it_holds(model: Seq2Seq) -> None:
    src, tgt_in, mask = batch()
    padded = F.pad(src, (0, 3), value=PAD).masked_fill(~F.pad(mask, (0, 3)), 7)
    torch.testing.assert_close(model(padded, tgt_in, F.pad(mask, (0, 3))), model(src, tgt_in, mask), **EXACT)


def test_the_order_of_a_batch_changes_nothing(model: Seq2Seq) -> None:
    src, tgt_in, mask = batch()
    flipped = model(src.flip(0), tgt_in.flip(0), mask.flip(0))
    torch.testing.assert_close(flipped.flip(0), model(src, tgt_in, mask), **EXACT)


def test_every_source_piece_matters(model: Seq2Seq) -> None:
    src, tgt_in, mask = batch()
    for position in range(7):
        other = src.clone()
        other[0, position] = 4 + (src[0, position] - 3) % 7
        difference = (model(other, tgt_in, mask) - model(src, tgt_in, mask)).abs().amax((1, 2))
        assert difference[0] > 1e-9
        assert difference[1] < 1e-10


def test_a_later_target_piece_changes_no_earlier_position(model: Seq2Seq) -> None:
    src, tgt_in, mask = batch()
    other = tgt_in.clone()
    other[:, 3] = 4 + (tgt_in[:, 3] - 3) % 9
    before, after = model(src, tgt_in, mask), model(src, other, mask)
    torch.testing.assert_close(after[:, :3], before[:, :3], **EXACT)
    assert (after[:, 3:] - before[:, 3:]).abs().amax(-1).min() > 1e-9


def test_hypotheses_that_share_a_memory_equal_separate_sentences(model: Seq2Seq) -> None:
    src, _, mask = batch()
    prefixes = torch.randint(4, 13, (2, 3, 5), generator=torch.Generator().manual_seed(3))  # (B, K, T)
    memory = model.encode(src, mask)
    state = {name: x[:, [0, 0, 0]] for name, x in model.start(memory).items()}
    steps = []
    for position in range(5):
        features, state = model.step(prefixes[:, :, position], state, memory)
        steps.append(features)
    separate = model(src.repeat_interleave(3, 0), prefixes.flatten(0, 1), mask.repeat_interleave(3, 0))
    torch.testing.assert_close(torch.stack(steps, 2).flatten(0, 1), separate, **EXACT)


def test_memory_and_state_are_tensors_that_begin_with_sentences_and_hypotheses(model: Seq2Seq) -> None:
    src, _, mask = batch()
    memory = model.encode(src, mask)
    assert torch.equal(memory["mask"], mask)
    assert {x.size(0) for x in memory.values()} == {2}
    state = model.start(memory)
    assert {x.shape[:2] for x in state.values()} == {(2, 1)}
    state = {name: x[:, [0, 0, 0]] for name, x in state.items()}
    _, after = model.step(torch.full((2, 3), BOS), state, memory)
    assert after.keys() == state.keys()
    assert {x.shape[:2] for x in after.values()} == {(2, 3)}


def test_hypotheses_are_reordered_and_sentences_dropped_by_one_index(model: Seq2Seq) -> None:
    src, _, mask = batch()
    memory = model.encode(src, mask)
    state = {name: x[:, [0, 0, 0]] for name, x in model.start(memory).items()}
    _, state = model.step(torch.tensor([[4, 5, 6], [7, 8, 9]]), state, memory)
    everything, _ = model.step(torch.tensor([[5, 6, 7], [10, 11, 12]]), state, memory)
    kept = {name: x[torch.tensor([[1]]), torch.tensor([[2, 0]])] for name, x in state.items()}
    some, _ = model.step(torch.tensor([[12, 10]]), kept, {name: x[[1]] for name, x in memory.items()})
    torch.testing.assert_close(some, everything[1:, [2, 0]], **EXACT)


def test_a_step_leaves_the_state_that_it_was_given_alone(model: Seq2Seq) -> None:
    src, _, mask = batch()
    memory = model.encode(src, mask)
    state = model.start(memory)
    before = {name: x.clone() for name, x in state.items()}
    model.step(torch.tensor([[4], [5]]), state, memory)
    assert state.keys() == before.keys()
    for name, x in state.items():
        torch.testing.assert_close(x, before[name], rtol=0, atol=0)


def test_every_parameter_receives_a_gradient(model: Seq2Seq) -> None:
    src, tgt_in, mask = batch()
    targets = torch.randint(4, 13, (10,), generator=torch.Generator().manual_seed(4))
    F.cross_entropy(model.project(model(src, tgt_in, mask)).flatten(0, 1), targets).backward()
    untouched = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert untouched == []


def test_dropout_acts_in_training_only(spec: dict[str, Any], built: Build) -> None:
    src, tgt_in, mask = batch()
    with_dropout, without = built(spec | {"dropout": 0.5}), built(spec | {"dropout": 0.0})
    torch.testing.assert_close(with_dropout(src, tgt_in, mask), without(src, tgt_in, mask), **EXACT)
    torch.testing.assert_close(without.train()(src, tgt_in, mask), without.eval()(src, tgt_in, mask), **EXACT)
    with_dropout.train()
    assert (with_dropout(src, tgt_in, mask) - with_dropout(src, tgt_in, mask)).abs().max() > 1e-3


def test_sizes_below_1_and_impossible_dropouts_are_named(spec: dict[str, Any], built: Build) -> None:
    for name in SIZES & spec.keys():
        with pytest.raises(UserError, match=rf"model\.{name} must be at least 1, but is 0"):
            built(spec | {name: 0})
    for dropout in (1.0, -0.1):
        with pytest.raises(UserError, match=rf"model\.dropout must be at least 0 and less than 1, but is {dropout}"):
            built(spec | {"dropout": dropout})


def test_a_model_is_a_function_of_its_arguments(model: Seq2Seq) -> None:
    src, tgt_in, mask = batch()
    first = model(src, tgt_in, mask)
    model(src.flip(1), tgt_in, mask.flip(0))
    torch.testing.assert_close(model(src, tgt_in, mask), first, rtol=0, atol=0)


def transformer_size(vocabulary: int, dim: int, feedforward_dim: int, layers: int) -> int:
    """Post-norm, embeddings and output one matrix (Vaswani et al. 2017, sections 3.1 to 3.4)."""
    attention = 4 * (dim * dim + dim)
    feedforward = 2 * dim * feedforward_dim + feedforward_dim + dim
    norm = 2 * dim
    encoder = attention + feedforward + 2 * norm
    decoder = 2 * attention + feedforward + 3 * norm
    return vocabulary * dim + layers * (encoder + decoder)


def bahdanau_size(vocabulary: int, m: int, n: int, l: int, comparison: int) -> int:  # noqa: E741 - the paper's letters
    """Bahdanau et al. 2015, section A.2, with a bias wherever `Bahdanau` says it has one."""
    encoder = 2 * 3 * (n * m + n * n + n)
    attention = comparison * n + comparison * 2 * n + comparison
    decoder = (n * n + n) + 3 * (n * m + n + n * n + n * 2 * n)
    readout = 2 * l * (n + m + 1 + 2 * n) + vocabulary * l
    return 2 * vocabulary * m + encoder + attention + decoder + readout


def luong_size(vocabulary: int, n: int, layers: int) -> int:
    """Luong et al. 2015, with `general`."""
    encoder = layers * 4 * (n * 2 * n + n)
    decoder = layers * 4 * (n * 2 * n + n) + 4 * n * n  # input feeding widens the first layer
    return 3 * vocabulary * n + encoder + decoder + n * n + 2 * n * n


@pytest.mark.parametrize(
    ("name", "vocabulary", "size"),
    [
        ("transformer_base", 37000, transformer_size(37000, 512, 2048, 6)),
        ("transformer_big", 37000, transformer_size(37000, 1024, 4096, 6)),
        ("bahdanau_paper", 30000, bahdanau_size(30000, 620, 1000, 500, 1000)),
        ("luong_paper", 50000, luong_size(50000, 1000, 4)),
    ],
)
def test_the_papers_models_have_the_papers_sizes(compose_model: Compose, name: str, vocabulary: int, size: int) -> None:
    with torch.device("meta"):
        model = build_model(compose_model(f"model={name}"), Vocabulary(vocabulary, vocabulary, joint=True))
    assert sum(parameter.numel() for parameter in model.parameters()) == size


def test_transformer_base_has_63_million_parameters() -> None:
    assert transformer_size(37000, 512, 2048, 6) == 63_082_496


@pytest.mark.parametrize("override", [f"model={path.stem}" for path in YAMLS])
def test_bf16_autocast_stays_close_to_float32_in_training_and_search(small_spec: Compose, override: str, built: Build) -> None:
    model = built(small_spec(override))
    src, tgt_in, mask = batch()
    expected = model(src, tgt_in, mask)
    with torch.autocast("cpu", torch.bfloat16):
        features = model(src, tgt_in, mask)
        features.float().square().sum().backward()
        memory = model.encode(src, mask)
        state, steps = model.start(memory), []
        for column in tgt_in.split(1, dim=1):
            step, state = model.step(column, state, memory)
            steps.append(step)
    for found in (features, torch.cat(steps, dim=1)):
        assert (found.float() - expected).norm() < 0.1 * expected.norm()
    assert all(parameter.grad is not None for name, parameter in model.named_parameters() if not name.startswith("output"))
