"""Histograms: counted as NumPy counts, whatever a parameter holds."""

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from nmt.training.histograms import BINS, Histogram, gradients, parameters


def test_counts_and_moments_are_numpys() -> None:
    values = torch.randn(37, 11)
    histogram = Histogram.of(values)
    assert histogram is not None
    wide = values.double().numpy()
    counts, edges = np.histogram(wide, bins=BINS)
    assert histogram.counts == counts.tolist()
    assert histogram.limits == pytest.approx(edges[1:].tolist())
    summary = histogram.summary()
    wanted = {"values": 407, "not_finite": 0, "min": wide.min(), "max": wide.max(), "mean": wide.mean()}
    assert summary == pytest.approx({**wanted, "standard_deviation": wide.std()})


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, 1e30, 1e-30])
def test_equal_values_fall_into_one_bin(value: float) -> None:
    histogram = Histogram.of(torch.full((3, 5), value))
    assert histogram is not None
    assert sorted(histogram.counts)[-2:] == [0, 15]
    assert all(a < b for a, b in zip(histogram.limits, histogram.limits[1:], strict=False))


def test_values_that_are_not_finite_are_left_out_and_counted() -> None:
    histogram = Histogram.of(torch.tensor([1.0, float("nan"), 3.0, float("inf"), -float("inf")]))
    assert histogram is not None
    assert (histogram.values, histogram.not_finite, histogram.low, histogram.high) == (2, 3, 1.0, 3.0)
    assert sum(histogram.counts) == 2


def test_the_ends_of_float32_are_not_too_far_apart() -> None:
    histogram = Histogram.of(torch.tensor([3.4e38, -3.4e38, 0.0]))
    assert histogram is not None
    assert sum(histogram.counts) == 3


@pytest.mark.parametrize("values", [torch.tensor([]), torch.tensor([float("nan")]), torch.full((2, 3), float("inf"))])
def test_where_nothing_is_finite_there_is_none(values: torch.Tensor) -> None:
    assert Histogram.of(values) is None


def test_parameters_and_gradients_go_by_their_names() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    model[0](torch.randn(4, 3)).sum().backward()  # the second has no gradient
    assert [name for name, _ in parameters(model)] == [f"parameters/{name}" for name, _ in model.named_parameters()]
    found = dict(gradients(model))
    assert list(found) == ["gradients/0.weight", "gradients/0.bias"]
    assert found["gradients/0.bias"].low == found["gradients/0.bias"].high == 4.0


def test_of_a_sharded_parameter_it_is_this_processes_part() -> None:
    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    try:
        whole = torch.randn(6, 5)
        sharded = distribute_tensor(whole, init_device_mesh("cpu", (1,)), [Shard(0)])
        assert Histogram.of(sharded) == Histogram.of(whole)
    finally:
        dist.destroy_process_group()
