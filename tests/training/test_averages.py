"""The exponential moving average, beside torch's own."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nmt.training.averages import Averages


def test_late_averages_equal_those_of_torch() -> None:
    model = nn.Linear(5, 3).double()
    ours, theirs = Averages(model, decay=0.6), AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.6))
    theirs.n_averaged += 1  # so that it, too, begins from the initial parameters
    for update in range(100, 120):  # by then the decay is the one asked for
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        ours.update(update)
        theirs.update_parameters(model)
    for name, value in theirs.module.named_parameters():
        torch.testing.assert_close(ours.values[name], value.detach(), rtol=1e-12, atol=1e-12)


def test_the_first_updates_count_more() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    averages = Averages(model, decay=0.999)
    nn.init.ones_(model.weight)
    averages.update(1)
    torch.testing.assert_close(averages.values["weight"], torch.tensor([[1 - 2 / 11]]))
    averages.update(2)
    torch.testing.assert_close(averages.values["weight"], torch.tensor([[1 - 2 / 11 * 3 / 12]]))


def test_averages_go_on_from_what_was_saved() -> None:
    model = nn.Linear(2, 2)
    averages = Averages(model, decay=0.9)
    averages.load({"weight": torch.full((2, 2), 7.0), "bias": torch.full((2,), 8.0)})
    assert averages.values["weight"].eq(7).all()
    assert averages.values["bias"].eq(8).all()
    assert not model.weight.eq(7).any()
