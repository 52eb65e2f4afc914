"""What several files of tests share: configs composed as users compose them, float64, and a small corpus in memory."""

import copy
import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from nmt.config import TokenizerSettings, config_directory, register
from nmt.data.tokenizer import Tokenizer, train

Pair = tuple[str, str]


@pytest.fixture(scope="session")
def compose_model() -> Callable[..., dict[str, Any]]:
    """The plain dict under `model` that overrides such as `model=luong` give."""

    @functools.cache
    def composed(overrides: tuple[str, ...]) -> Any:
        register()
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            return OmegaConf.to_container(compose("train", list(overrides)).model, resolve=True)

    return lambda *overrides: copy.deepcopy(composed(overrides))


@pytest.fixture
def float64() -> Iterator[None]:
    """New tensors and parameters are float64, so that equal means equal to nine digits and more."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@dataclass
class Lines:
    """A corpus in memory."""

    train: list[Pair]
    dev: list[Pair] = field(default_factory=list)
    src: str = "de"
    tgt: str = "en"
    max_length: int = 50

    def splits(self) -> tuple[str, ...]:
        return ("train", "dev") if self.dev else ("train",)

    def pairs(self, split: str) -> Iterator[Pair]:
        yield from getattr(self, split)

    def fingerprint(self, split: str) -> str:
        return repr(getattr(self, split))


@pytest.fixture(scope="session")
def lines() -> type[Lines]:
    """Makes a corpus of pairs."""
    return Lines


@pytest.fixture(scope="session")
def pairs() -> list[Pair]:
    """Two hundred short sentence pairs."""
    phrases = [
        "der Hund=the dog, die Katze=the cat, das Kind=the child, ein Vogel=a bird, meine Schwester=my sister, "
        "unser Nachbar=our neighbour, jeder Lehrer=every teacher, die junge Ärztin=the young doctor",
        "sieht=sees, hört=hears, findet=finds, sucht=looks for, kennt=knows, zeichnet=draws, verkauft=sells",
        "den Ball=the ball, das große Haus=the big house, die Straße=the street, einen Apfelkuchen=an apple pie, "
        "das Fahrrad=the bicycle, die Bücher=the books, den grünen Wagen=the green car",
        "heute=today, im Garten=in the garden, am Abend=in the evening, vor der Schule=before school, jeden Tag=every day",
    ]
    lists = [[phrase.split("=") for phrase in row.split(", ")] for row in phrases]
    chosen = list(itertools.product(*lists))[::9][:200]
    return [(" ".join([*(p[0] for p in parts), "."]), " ".join([*(p[1] for p in parts), "."])) for parts in chosen]


@pytest.fixture(scope="session")
def tokenizer(pairs: list[Pair]) -> Tokenizer:
    """A joint vocabulary of unigram pieces for `pairs`."""
    return train(pairs, TokenizerSettings(vocab_size=340))
