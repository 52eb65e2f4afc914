"""A process without a share of an update computes a batch of nothing, and exchanges the gradient of every parameter."""

from collections.abc import Callable
from typing import Any

import pytest

from nmt.components import build_model
from nmt.config import config_directory
from nmt.data.batches import Batch
from nmt.models.seq2seq import Vocabulary
from nmt.training.loss import TrainedModel

TINY = sorted(path.stem for path in (config_directory() / "model").glob("*_tiny.yaml"))


@pytest.mark.parametrize("name", [*TINY, "transformer_shaw", "transformer_xl"])
def test_every_parameter_has_a_gradient_of_zero(compose_model: Callable[..., dict[str, Any]], name: str) -> None:
    trained = TrainedModel(build_model(compose_model(f"model={name}"), Vocabulary(31, 31, True)), smoothing=0.1)
    loss, nll = trained(Batch.nothing())
    loss.backward()
    assert (loss.item(), nll.item()) == (0, 0)
    for parameter_name, parameter in trained.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert not parameter.grad.any(), parameter_name
