"""Patterns of self-attention against the sets that their papers define, and what the stacks make of them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.explain.record import record_attention
from nmt.models.feedforward import ReLU
from nmt.models.patterns import Fixed, Full, Pattern, Strided, Window
from nmt.models.positions import Sinusoidal
from nmt.models.seq2seq import Vocabulary
from nmt.models.transformer import Transformer

N = 11
PATTERNS: dict[str, Callable[[], Pattern]] = {
    "full": Full,
    "window": partial(Window, size=3),
    "strided": partial(Strided, stride=4),
    "fixed": partial(Fixed, block=4, columns=2),
}
pytestmark = pytest.mark.usefixtures("float64")


def past_of(name: str, i: int) -> set[int]:
    """What position i attends to in a decoder, in the notation of Child et al. 2019, section 4.3, for the sparse ones."""
    match name:
        case "full":
            return set(range(i + 1))
        case "window":
            return set(range(max(0, i - 2), i + 1))
        case "strided":
            l, t = 4, max(0, i - 4)  # noqa: E741 - the paper's letters
            return set(range(t, i + 1)) | {j for j in range(i + 1) if (i - j) % l == 0}
        case _:
            l, c = 4, 2  # noqa: E741
            return {j for j in range(i + 1) if j // l == i // l} | {j for j in range(i + 1) if j % l in range(l - c, l)}


def sets(mask: Tensor) -> list[set[int]]:
    return [set(row.nonzero().flatten().tolist()) for row in mask]


@pytest.mark.parametrize("name", PATTERNS)
def test_the_past_is_the_papers_set(name: str) -> None:
    view = PATTERNS[name]().past(torch.arange(N))
    assert sets(view.allowed()) == [past_of(name, i) for i in range(N)]


@pytest.mark.parametrize("name", PATTERNS)
def test_a_step_sees_the_row_of_its_position(name: str) -> None:
    pattern = PATTERNS[name]()
    for t in range(N):
        j = torch.arange(t + 1)
        assert sets(pattern.view(j[-1:], j, None).allowed()) == [past_of(name, t)]


@pytest.mark.parametrize("name", ["window", "strided"])
def test_an_encoder_sees_on_both_sides_what_a_decoder_sees_behind_it(name: str) -> None:
    view = PATTERNS[name]().around(torch.arange(N), torch.ones(1, N, dtype=torch.bool))
    ahead = [{j for j in range(N) if i in past_of(name, j)} for i in range(N)]
    assert sets(view.allowed()[0, 0]) == [past_of(name, i) | ahead[i] for i in range(N)]


def test_in_the_encoder_the_fixed_pattern_sees_its_whole_block_and_the_columns_of_all() -> None:
    view = PATTERNS["fixed"]().around(torch.arange(N), torch.ones(1, N, dtype=torch.bool))
    columns = {2, 3, 6, 7, 10}
    blocks = [{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10}]
    assert sets(view.allowed()[0, 0]) == [blocks[i // 4] | columns for i in range(N)]


@pytest.mark.parametrize("name", PATTERNS)
def test_no_real_piece_of_the_encoder_sees_padding_and_every_piece_sees_something(name: str) -> None:
    real = torch.arange(N) < torch.tensor([[N], [4]])
    seen = PATTERNS[name]().around(torch.arange(N), real).allowed().expand(2, 1, N, N)[:, 0]
    assert not (seen & ~real.unsqueeze(1))[real].any()
    assert seen.any(-1).all()


def test_the_full_pattern_makes_no_mask_of_pairs() -> None:
    i = torch.arange(N)
    real = torch.ones(2, N, dtype=torch.bool)
    assert Full().past(i).mask is None
    assert Full().view(i[-1:], i, None).mask is None
    assert Full().around(i, real).mask.shape == (2, 1, 1, N)


def transformer(pattern: Callable[[], Pattern]) -> Transformer:
    torch.manual_seed(1)
    kinds: dict[str, Any] = {"positions": Sinusoidal, "feedforward": ReLU, "normalization": "layer", "key_value_heads": None}
    sizes = {"dim": 12, "heads": 3, "feedforward_dim": 10, "encoder_layers": 2, "decoder_layers": 2, "dropout": 0.0}
    return Transformer(Vocabulary(13, 13, joint=True), norm="pre", tied="all", pattern=pattern, **sizes, **kinds)


def batch() -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(2)
    real = torch.arange(N) < torch.tensor([[N], [4]])
    return torch.randint(4, 13, (2, N), generator=random), torch.randint(4, 13, (2, 9), generator=random), real


@pytest.mark.parametrize("name", PATTERNS)
def test_self_attention_goes_where_the_pattern_allows_and_cross_attention_anywhere(name: str) -> None:
    model = transformer(PATTERNS[name])
    src, tgt_in, real = batch()
    with record_attention(model) as maps:
        model(src, tgt_in, real)
    for layer in range(2):
        (encoder,), (decoder,) = maps[f"encoder.layers.{layer}.self_attention"], maps[f"decoder_layers.{layer}.self_attention"]
        for head in range(3):
            assert sets(decoder[0, head]) == [past_of(name, i) for i in range(9)]
        around = PATTERNS[name]().around(torch.arange(N), real[:1]).allowed().expand(1, 1, N, N)
        assert torch.equal(encoder[:1] > 0, around.expand(1, 3, N, N))
        assert (maps[f"decoder_layers.{layer}.cross_attention"][0][0] > 0).all()


@pytest.mark.parametrize("name", ["window", "strided", "fixed"])
def test_a_pattern_that_reaches_everything_equals_the_full_one(name: str) -> None:
    wide = {
        "window": partial(Window, size=N),
        "strided": partial(Strided, stride=1),
        "fixed": partial(Fixed, block=4, columns=4),
    }
    src, tgt_in, real = batch()
    expected = transformer(Full)(src, tgt_in, real)
    torch.testing.assert_close(transformer(wide[name])(src, tgt_in, real), expected, rtol=0.0, atol=1e-10)
    assert (transformer(PATTERNS[name])(src, tgt_in, real) - expected).abs().max() > 1e-6


@pytest.mark.parametrize("name", PATTERNS)
def test_padding_that_a_pattern_leaves_alone_gives_no_gradient_that_is_not_finite(name: str) -> None:
    model = transformer(PATTERNS[name])
    src, tgt_in, real = batch()
    model(src, tgt_in, real).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Window(size=0), r"model\.pattern\.size must be at least 1, but is 0"),
        (lambda: Strided(stride=0), r"model\.pattern\.stride must be at least 1, but is 0"),
        (lambda: Fixed(block=0, columns=1), r"model\.pattern\.block must be at least 1, but is 0"),
        (lambda: Fixed(block=4, columns=0), r"model\.pattern\.columns must be at least 1, but is 0"),
        (lambda: Fixed(block=4, columns=5), r"model\.pattern\.columns \(5\) must be at most model\.pattern\.block \(4\)"),
    ],
)
def test_impossible_patterns_are_named_with_their_values(make: Callable[[], Pattern], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
