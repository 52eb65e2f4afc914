"""Optimizers: every YAML trains, only matrices decay, and what cannot train is refused before work starts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.components import build_model, build_optimizer, check_optimizer
from nmt.config import compose, config_directory
from nmt.errors import UserError
from nmt.models.seq2seq import Seq2Seq, Vocabulary

Compose = Callable[..., dict[str, Any]]
CPU = torch.device("cpu")
NAMES = sorted(path.stem for path in (config_directory() / "optimizer").glob("*.yaml"))
MODELS = sorted(path.stem for path in (config_directory() / "model").glob("*.yaml"))
VARIANTS = [(f"model={name}",) for name in MODELS]
VARIANTS += [
    ("model=luong", "model/attention=multihead_additive"),
    ("model=luong", "model/attention=local_p"),
    ("model=transformer", "model/positions=transformer_xl"),
    ("model=transformer", "model/positions=learned"),
]


def spec_of(name: str, *overrides: str) -> dict[str, Any]:
    spec: dict[str, Any] = compose("train", [f"optimizer={name}", *overrides])["optimizer"]
    return spec


def on_meta(compose_model: Compose, *overrides: str) -> Seq2Seq:
    with torch.device("meta"):
        return build_model(compose_model(*overrides), Vocabulary(13, 13, joint=True))


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_steps_down_a_slope(name: str) -> None:
    check_optimizer(spec_of(name), CPU)
    torch.manual_seed(1)
    model = nn.Linear(12, 7)
    optimizer = build_optimizer(spec_of(name), model)
    for group in optimizer.param_groups:
        group["lr"] /= 40  # this slope is steeper than those of translation
    x, y = torch.randn(50, 12), torch.randn(50, 7)
    losses = []
    for _ in range(60):
        loss = (model(x) - y).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    assert losses[-1] <= losses[len(losses) // 2]


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_the_usual_optimizers_are_fused_and_may_be_unfused(name: str) -> None:
    assert build_optimizer(spec_of(name), nn.Linear(3, 2)).defaults["fused"] is True
    assert build_optimizer(spec_of(name, "optimizer.fused=false"), nn.Linear(3, 2)).defaults["fused"] is False


@pytest.mark.parametrize("overrides", VARIANTS, ids=" ".join)
def test_norms_and_biases_of_every_model_do_not_decay_but_its_maps_and_embeddings_do(
    compose_model: Compose, overrides: tuple[str, ...]
) -> None:
    model = on_meta(compose_model, *overrides)
    decaying, others = build_optimizer(spec_of("adamw", "optimizer.weight_decay=0.3"), model).param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    decays = {id(parameter) for parameter in decaying["params"]}
    assert len(decays) + len(others["params"]) == len(list(model.parameters()))
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(module, nn.LayerNorm | nn.RMSNorm) or "bias" in name:
                assert id(parameter) not in decays
            elif isinstance(module, nn.Linear | nn.Embedding):
                assert id(parameter) in decays
    biases = [parameter for name, parameter in model.named_parameters() if name.endswith((".u", ".v"))]  # Transformer-XL's
    assert not {id(parameter) for parameter in biases} & decays


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_shrinks_matrices_and_leaves_the_rest(name: str) -> None:
    if name == "rprop":  # has none
        return
    moved: list[list[Tensor]] = []
    for decay in (0.0, 0.1):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4))
        optimizer = build_optimizer(spec_of(name, f"optimizer.weight_decay={decay}"), model)
        for gradient in (0.1, -0.3):  # the first step of some goes by the sign alone
            for parameter in model.parameters():
                parameter.grad = torch.full_like(parameter, gradient)
            optimizer.step()
        moved.append([parameter.detach() for parameter in model.parameters()])
    without, with_decay = moved
    assert not torch.equal(without[0], with_decay[0])
    torch.testing.assert_close(without[1:], with_decay[1:], rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_three_steps_then_three_from_a_saved_state_are_six_steps_bit_for_bit(name: str, tmp_path: Path) -> None:
    def begun() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4))
        decay = [] if name == "rprop" else ["optimizer.weight_decay=0.1"]
        return model, build_optimizer(spec_of(name, *decay), model)

    def steps(model: nn.Module, optimizer: torch.optim.Optimizer, numbers: range) -> None:
        for number in numbers:
            for group in optimizer.param_groups:
                group["lr"] = 1e-2 / number  # as a schedule does
            for parameter in model.parameters():
                parameter.grad = torch.sin(number * (1 + torch.arange(parameter.numel())).float()).view_as(parameter)
            optimizer.step()

    whole, stopped, continued = begun(), begun(), begun()
    steps(*whole, range(1, 7))
    steps(*stopped, range(1, 4))
    torch.save([part.state_dict() for part in stopped], tmp_path / "saved.pt")
    for part, state in zip(continued, torch.load(tmp_path / "saved.pt", weights_only=True), strict=True):
        part.load_state_dict(state)
    steps(*continued, range(4, 7))
    torch.testing.assert_close(continued[0].state_dict(), whole[0].state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(continued[1].state_dict(), whole[1].state_dict(), rtol=0, atol=0)


def test_weight_decay_that_only_the_class_sets_spares_norms_and_biases_too() -> None:
    optimizer = build_optimizer({"_target_": "torch.optim.AdamW"}, nn.Linear(3, 2))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.0]


def test_without_weight_decay_parameters_keep_the_order_of_the_model(compose_model: Compose) -> None:
    model = on_meta(compose_model, "model=transformer_tiny")
    (group,) = build_optimizer(spec_of("adam"), model).param_groups
    assert [id(parameter) for parameter in group["params"]] == [id(parameter) for parameter in model.parameters()]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"_target_": "torch.optim.LBFGS"},
            r"optimizer \(LBFGS\) evaluates the loss several times in one step, through a closure",
        ),
        (
            {"_target_": "torch.optim.SparseAdam"},
            r"optimizer \(SparseAdam\) cannot take a step: .*does not support dense gradients",
        ),
        ({"_target_": "torch.optim.Muon"}, r"optimizer: Muon only supports 2D parameters"),
        (
            {"_target_": "torch.optim.Adam", "betas": [0.9, 0.98, 0.99]},
            r"optimizer\.betas must be a list of 2 values, but is \[",
        ),
        ({"_target_": "torch.optim.Adam", "betas": 0.9}, r"optimizer\.betas must be a list of 2 values, but is 0\.9"),
        ({"_target_": "torch.optim.Adam", "betas": ["high", 0.9]}, r"optimizer\.betas\[0\] must be float, but is 'high'"),
        ({"_target_": "torch.optim.Adam", "betas": [2, 0.9]}, r"optimizer: Invalid beta parameter"),
        ({"_target_": "torch.optim.Adafactor", "eps": [1.0]}, r"optimizer\.eps must be a list of 2 values"),
        (
            {"_target_": "torch.optim.Adam", "lr": float("inf")},
            r"one step with these settings makes parameters that are no numbers",
        ),
        ({"_target_": "torch.optim.Adam", "lr": -1.0}, r"optimizer: Invalid learning rate: -1"),
        ({"_target_": "torch.optim.Adam", "differentiable": True}, r"optimizer \(Adam\) cannot take a step"),
        ({"_target_": "torch.optim.Adam", "capturable": True}, r"optimizer \(Adam\) cannot take a step: .*capturable"),
        ({"_target_": "torch.optim.Adam", "foreach": True, "fused": True}, r"optimizer: `fused` and `foreach`"),
        ({"_target_": "torch.optim.Adam", "params": 3}, r"optimizer \(Adam\): multiple values for argument 'params'"),
        ({"_target_": "torch.optim.Adam", "weight_decay": None}, r"optimizer\.weight_decay must be float, but is None"),
        ({"_target_": "torch.optim.SGD", "nesterov": True}, r"optimizer: Nesterov momentum requires a momentum"),
    ],
)
def test_an_optimizer_that_cannot_train_is_refused_with_the_reason(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_optimizer(spec, CPU)


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_work_on_sharded_parameters_is_refused_for_them_only(name: str) -> None:
    check_optimizer(spec_of(name), CPU)
    refusals = {"adafactor": "train\\.parallel=ddp", "rprop": "train\\.parallel=ddp", "sgd": "set optimizer\\.fused=false"}
    if name in refusals:
        with pytest.raises(UserError, match=rf"on sharded parameters: .*{refusals[name]}"):
            check_optimizer(spec_of(name), CPU, sharded=True)
    else:
        check_optimizer(spec_of(name), CPU, sharded=True)


def test_plain_sgd_may_be_sharded() -> None:
    check_optimizer(spec_of("sgd", "optimizer.fused=false"), CPU, sharded=True)
