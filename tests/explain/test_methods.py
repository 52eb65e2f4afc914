"""Every method of explanation on every model, and against a second computation."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.config import config_directory
from nmt.errors import UserError
from nmt.explain.attribution import Attribution
from nmt.explain.gradients import LogProbability, gradient_x_input, integrated_gradients
from nmt.explain.maps import Maps, Pair, read
from nmt.explain.methods import METHODS, method_named, methods_of
from nmt.explain.norms import layer_norms, norms
from nmt.explain.record import record_attention
from nmt.explain.relevance import normalized, propagated, relevance
from nmt.explain.rollout import rolled, rollout
from nmt.models.seq2seq import Seq2Seq

Build = Callable[[dict[str, Any]], Seq2Seq]
Spec = Callable[..., dict[str, Any]]

YAMLS = sorted(path.stem for path in (config_directory() / "model").glob("*.yaml"))
MODELS = [name for name in YAMLS if "_" not in name.removeprefix("decoder_")]
STACKS = [
    ("model=transformer",),
    ("model=transformer", "model.norm=post", "model.key_value_heads=1"),
    ("model=transformer", "model/positions=shaw"),
    ("model=decoder_only",),
    ("model=decoder_only", "model.prefix=causal", "model/positions=transformer_xl"),
]
EXACT = {"rtol": 0, "atol": 1e-9}
SOURCE, TARGET = [4, 5, 6, 7, 8], [9, 10, 11]


def pair(source: list[int] = SOURCE, target: list[int] = TARGET) -> Pair:
    return Pair.of(source, target, torch.device("cpu"))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("source", "target"), [(SOURCE, TARGET), ([4], [9]), ([], TARGET), ([4], [])])
def test_every_method_gives_finite_numbers_for_any_sentence(
    name: str, source: list[int], target: list[int], small_spec: Spec, built: Build
) -> None:
    model = built(small_spec(f"model={name}"))
    assert methods_of(model)
    for method in methods_of(model):
        found = METHODS[method](model, pair(source, target))
        assert found.source.shape == (len(target) + 1, len(source) + 1)
        assert found.source.isfinite().all(), method
        shares = found.shares()
        assert shares.source.isfinite().all()
        if found.prefix is not None:
            assert found.prefix.shape == (len(target) + 1, len(target) + 1)
            assert found.prefix.isfinite().all(), method
            assert not found.prefix.triu(1).any(), f"{method} looks into the future"


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_the_methods_that_its_parts_allow(name: str, small_spec: Spec, built: Build) -> None:
    model = built(small_spec(f"model={name}"))
    by_gradient = ["gradient_x_input", "integrated_gradients"]
    expected = {
        "encdec": by_gradient,
        "cho": by_gradient,
        "transformer": list(METHODS),
        "decoder_only": list(METHODS),
    }.get(name, ["attention", "norms", *by_gradient])
    assert methods_of(model) == expected


def test_an_unknown_method_and_one_that_a_model_lacks_are_refused_with_those_there_are(small_spec: Spec, built: Build) -> None:
    luong, encdec = (built(small_spec(f"model={name}")) for name in ("luong", "encdec"))
    with pytest.raises(UserError, match="there is no method 'lime'; there are: attention, rollout, norms"):
        method_named("lime", luong)
    with pytest.raises(UserError, match=r"rollout needs self-attention in its decoder.*it has: attention, norms"):
        method_named("rollout", luong)
    with pytest.raises(UserError, match=r"attention needs attention to the source.*it has: gradient_x_input"):
        method_named("attention", encdec)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("overrides", STACKS, ids=" ".join)
def test_relevance_is_what_the_equations_say_written_out(overrides: tuple[str, ...], small_spec: Spec, built: Build) -> None:
    model = built(small_spec(*overrides))
    found = relevance(model, pair())
    for t in range(4):
        source, prefix = relevance_written_out(model, pair(), t)
        torch.testing.assert_close(found.source[t], source, **EXACT)
        torch.testing.assert_close(found.prefix[t], prefix, **EXACT)
    assert found.source.sum() > 0.01


def relevance_written_out(model: Seq2Seq, given: Pair, t: int) -> tuple[Tensor, Tensor]:
    """Row t of R^ts and R^tt, by recorded gradients and loops over positions."""
    S, T = given.src.size(1), given.tgt_in.size(1)
    names = {module: name for name, module in model.named_modules()}
    with record_attention(model, gradients=True) as maps:
        features = model(given.src, given.tgt_in, given.src_mask)
        model.project(features)[0, t, given.tgt_out[t]].backward()

    def positive(weights: Tensor) -> Tensor:
        H, rows, columns = weights.shape[1:]
        A = torch.zeros(rows, columns)
        products = torch.zeros(H, rows, columns) if weights.grad is None else (weights * weights.grad)[0].detach()
        for h in range(H):
            for i in range(rows):
                for j in range(columns):
                    A[i, j] += max(float(products[h, i, j]), 0) / H
        return A

    if joint := model.joint_attention():
        R = torch.eye(S + T)
        for module in joint:
            A_ss, A_t = (positive(weights) for weights in maps[names[module]])
            A = torch.zeros(S + T, S + T)
            A[:S, :S], A[S:] = A_ss, A_t
            R = R + times(A, R)
        return R[S + t, :S], R[S + t, S:]
    encoder, decoder, cross = (
        [positive(maps[names[module]][0]) for module in modules]
        for modules in (model.encoder_attention(), model.decoder_attention(), model.cross_attention())
    )
    R_ss, R_tt, R_ts = torch.eye(S), torch.eye(T), torch.zeros(T, S)
    for A in encoder:
        R_ss = R_ss + times(A, R_ss)
    for A_tt, A_ts in zip(decoder, cross, strict=True):
        R_ts, R_tt = R_ts + times(A_tt, R_ts), R_tt + times(A_tt, R_tt)
        R_ts = R_ts + times(times(scaled(R_tt), A_ts), scaled(R_ss))
    return R_ts[t], R_tt[t]


def times(A: Tensor, B: Tensor) -> Tensor:
    product = torch.zeros(len(A), B.size(1))
    for i in range(len(A)):
        for j in range(B.size(1)):
            for k in range(len(B)):
                product[i, j] += A[i, k] * B[k, j]
    return product


def scaled(R: Tensor) -> Tensor:
    result = torch.eye(len(R))
    for i in range(len(R)):
        added = [float(R[i, j]) - (i == j) for j in range(len(R))]
        if (total := sum(added)) != 0:
            for j in range(len(R)):
                result[i, j] += added[j] / total
    return result


def test_relevance_of_two_layers_worked_out_by_hand() -> None:
    encoder = [torch.tensor(A) for A in ([[0.0, 0.5], [0.0, 0.0]], [[0.5, 0.0], [0.5, 0.5]])]
    decoder = [torch.tensor(A) for A in ([[0.0, 0.0], [0.5, 0.0]], [[0.0, 0.0], [1.0, 0.0]])]
    cross = [torch.tensor(A) for A in ([[1.0, 0.0], [0.0, 0.5]], [[0.0, 0.0], [0.0, 1.0]])]
    # R^ss = [[1.5, 0.75], [0.5, 1.75]], so R̄^ss = [[1.4, 0.6], [0.4, 1.6]]; R̄^tt = [[1, 0], [1, 1]] in both layers
    R_ts, R_tt = propagated(Maps(encoder, decoder, cross, []))
    torch.testing.assert_close(R_ts, torch.tensor([[1.4, 0.6], [3.4, 3.6]]))
    torch.testing.assert_close(R_tt, torch.tensor([[1.0, 0.0], [1.5, 1.0]]))


def test_a_row_to_which_nothing_was_added_stays_the_identity() -> None:
    R = torch.tensor([[1.0, 0.0], [0.5, 1.0]])
    assert normalized(R).equal(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    assert normalized(torch.eye(3)).equal(torch.eye(3))


def test_rollout_of_two_layers_worked_out_by_hand() -> None:
    encoder = [torch.tensor([A]) for A in ([[1.0, 0.0], [0.5, 0.5]], [[0.5, 0.5], [0.0, 1.0]])]
    decoder = [torch.tensor([A]) for A in ([[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [1.0, 0.0]])]
    cross = [torch.tensor([A]) for A in ([[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.5, 0.5]])]
    # the encoder gives [[0.8125, 0.1875], [0.25, 0.75]]
    R_ts, R_tt = rolled(Maps(encoder, decoder, cross, []))
    torch.testing.assert_close(R_ts, torch.tensor([[0.328125, 0.421875], [0.3984375, 0.3515625]]))
    torch.testing.assert_close(R_tt, torch.tensor([[0.25, 0.0], [0.15625, 0.09375]]))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("overrides", STACKS, ids=" ".join)
def test_rollout_follows_every_path_and_loses_nothing(overrides: tuple[str, ...], small_spec: Spec, built: Build) -> None:
    model = built(small_spec(*overrides))
    found = rollout(model, pair())
    torch.testing.assert_close(found.source.sum(1) + found.prefix.sum(1), torch.ones(4), **EXACT)
    with torch.no_grad():
        maps = read(model, pair()).maps
    for t in range(4):
        source, prefix = walked(maps, t)
        torch.testing.assert_close(found.source[t], source, **EXACT)
        torch.testing.assert_close(found.prefix[t], prefix, **EXACT)


def walked(maps: Maps, t: int) -> tuple[Tensor, Tensor]:
    """Where a walker ends who starts at target t above the last layer and goes down, at every sublayer half the time aside."""
    T, S = maps.cross[0].shape[1:]
    source, prefix = torch.zeros(S), torch.zeros(T)

    def in_source(s: int, layer: int, share: float) -> None:
        if layer < 0:
            source[s] += share
            return
        in_source(s, layer - 1, share / 2)
        for j in range(S):
            in_source(j, layer - 1, share / 2 * float(maps.encoder[layer][:, s, j].mean()))

    def in_target(i: int, layer: int, share: float) -> None:
        if layer < 0:
            prefix[i] += share
            return
        for s in range(S):
            in_source(s, len(maps.encoder) - 1, share / 2 * float(maps.cross[layer][:, i, s].mean()))
        in_target(i, layer - 1, share / 4)
        for j in range(i + 1):
            in_target(j, layer - 1, share / 4 * float(maps.decoder[layer][:, i, j].mean()))

    def in_both(i: int, layer: int, share: float) -> None:
        if layer < 0:
            (source if i < S else prefix)[i if i < S else i - S] += share
            return
        in_both(i, layer - 1, share / 2)
        rows = maps.joint[layer][0][:, i] if i < S else maps.joint[layer][1][:, i - S]
        for j, weight in enumerate(rows.mean(0).tolist()):
            in_both(j, layer - 1, share / 2 * weight)

    if maps.joint:
        in_both(S + t, len(maps.joint) - 1, 1.0)
    else:
        in_target(t, len(maps.cross) - 1, 1.0)
    return source, prefix


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_norms_are_those_of_what_the_heads_make_of_every_source_state(norm: str, small_spec: Spec, built: Build) -> None:
    model = built(small_spec("model=transformer", f"model.norm={norm}"))
    given = pair()
    with torch.no_grad():
        states = model.encoder(model.src_embedding(given.src), given.src_mask)[0]
        with record_attention(model) as maps:
            model(given.src, given.tgt_in, given.src_mask)
    for n, found in enumerate(layer_norms(model, given)):
        module = model.decoder_layers[n].cross_attention
        weights, width = maps[f"decoder_layers.{n}.cross_attention"][0][0], module.head_dim
        first = module.widths[0] + module.widths[1]
        for t in range(4):
            for s in range(6):
                total = torch.zeros(12)
                for h in range(module.heads):
                    group = h * module.key_value_heads // module.heads
                    rows = slice(first + group * width, first + (group + 1) * width)
                    value = module.W_qkv.weight[rows] @ states[s] + module.W_qkv.bias[rows]
                    total = total + weights[h, t, s] * (module.W_o.weight[:, h * width : (h + 1) * width] @ value)
                torch.testing.assert_close(found[t, s], total.norm(), **EXACT)
    torch.testing.assert_close(norms(model, given).source.sum(1), torch.ones(4), **EXACT)


@pytest.mark.usefixtures("float64")
def test_norms_of_a_recurrent_decoder_are_weights_times_the_length_of_the_states(small_spec: Spec, built: Build) -> None:
    model, given = built(small_spec("model=luong")), pair()
    with torch.no_grad(), record_attention(model) as maps:
        states = model.encode(given.src, given.src_mask)["states"][0]
        model(given.src, given.tgt_in, given.src_mask)
    weights = torch.cat(maps["attention"], dim=1)[0]
    torch.testing.assert_close(layer_norms(model, given)[0], weights * states.norm(dim=1), **EXACT)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "overrides", [("model=bahdanau",), ("model=luong",), ("model=encdec",), ("model=transformer", "model.tied=none")]
)
def test_gradient_x_input_is_the_gradient_of_the_rows_of_the_embeddings(
    overrides: tuple[str, ...], small_spec: Spec, built: Build
) -> None:
    model, given = built(small_spec(*overrides)), pair([4, 5, 6], [7, 8])  # every row is read once
    found = gradient_x_input(model, given)
    for t in range(3):
        model.zero_grad()
        logits = model.project(model(given.src, given.tgt_in, given.src_mask))[0, t]
        logits.log_softmax(0)[given.tgt_out[t]].backward()
        for embedding, ids, row in (
            (model.src_embedding, given.src[0], found.source[t]),
            (model.tgt_embedding, given.tgt_in[0], found.prefix[t]),
        ):
            expected = (embedding.weight[ids] * embedding.weight.grad[ids]).sum(1)
            torch.testing.assert_close(row, expected.detach(), **EXACT)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ["bahdanau", "luong", "encdec", "transformer", "decoder_only"])
def test_integrated_gradients_are_complete(name: str, small_spec: Spec, built: Build) -> None:
    model, given = built(small_spec(f"model={name}")), pair()
    found = integrated_gradients(model, given, steps=300)
    numbers = torch.arange(4)
    f = LogProbability(model, given, numbers)
    embedded = [model.src_embedding(given.src), model.tgt_embedding(given.tgt_in)]
    with torch.no_grad():
        at_input, at_zero = (f(*(scale * x.expand(4, -1, -1) for x in embedded), numbers) for scale in (1, 0))
    torch.testing.assert_close(found.source.sum(1) + found.prefix.sum(1), at_input - at_zero, rtol=0, atol=0.02)
    assert (at_input - at_zero).abs().max() > 0.1


@pytest.mark.usefixtures("float64")
def test_integrated_gradients_are_the_mean_gradient_on_the_way(small_spec: Spec, built: Build) -> None:
    model, given = built(small_spec("model=bahdanau")), pair()
    found = integrated_gradients(model, given, steps=64)
    numbers = torch.tensor([2])
    f = LogProbability(model, given, numbers)
    embedded = [model.src_embedding(given.src).detach(), model.tgt_embedding(given.tgt_in).detach()]
    total = [torch.zeros_like(x) for x in embedded]
    for k in range(400):  # the middle of each of 400 equal parts
        inputs = [((k + 0.5) / 400 * x).requires_grad_() for x in embedded]
        gradients = torch.autograd.grad(f(*inputs, numbers).sum(), inputs)
        total = [one + gradient / 400 for one, gradient in zip(total, gradients, strict=True)]
    for row, x, mean in zip((found.source[2], found.prefix[2]), embedded, total, strict=True):
        torch.testing.assert_close(row, (x * mean).sum(-1)[0], rtol=0, atol=1e-4)


def test_shares_add_up_to_one_and_nothing_stays_nothing() -> None:
    found = Attribution(torch.tensor([[1.0, -2.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]])).shares()
    assert found.source.equal(torch.tensor([[0.25, -0.5], [0.0, 0.0]]))
    assert found.prefix is not None
    assert found.prefix.equal(torch.tensor([[0.25, 0.0], [0.0, 0.0]]))


def test_explaining_leaves_a_model_as_it_was(small_spec: Spec, built: Build) -> None:
    model, given = built(small_spec("model=transformer")), pair()
    with torch.no_grad():
        before = model(given.src, given.tgt_in, given.src_mask)
    for method in METHODS.values():
        method(model, given)
    with torch.no_grad():
        assert model(given.src, given.tgt_in, given.src_mask).equal(before)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.src_embedding._forward_hooks


@pytest.mark.parametrize("name", YAMLS)
def test_a_model_names_all_of_its_attention(name: str, small_spec: Spec, built: Build) -> None:
    model, given = built(small_spec(f"model={name}")), pair()
    named = [*model.encoder_attention(), *model.decoder_attention(), *model.cross_attention(), *model.joint_attention()]
    with torch.no_grad(), record_attention(model) as maps:
        model(given.src, given.tgt_in, given.src_mask)
    assert set(maps) == {key for key, module in model.named_modules() if module in named}
    with torch.no_grad():
        found = read(model, given).maps
    assert all(weights.shape[1:] == (6, 6) for weights in found.encoder)
    assert all(weights.shape[1:] == (4, 4) for weights in found.decoder)
    assert all(weights.shape[1:] == (4, 6) for weights in found.cross)
    assert len(found.cross) == len(model.cross_attention())
