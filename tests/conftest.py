"""What several files of tests share: configs composed as users compose them, float64, and a small corpus in memory."""

import copy
import functools
import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import nmt.config
from nmt.components import build_model
from nmt.config import TokenizerSettings, config_directory, register
from nmt.data.corpus import Corpus
from nmt.data.tokenizer import Tokenizer, train
from nmt.models.seq2seq import Seq2Seq, Vocabulary
from nmt.run import Run
from nmt.training.checkpoint import MODEL, Contents
from nmt.training.state import whole_weights
from nmt.vocabulary import UNK

Pair = tuple[str, str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first: a long one that begins last would leave all processes but one idle."""
    items.sort(key=lambda item: item.get_closest_marker("integration") is None)


@pytest.fixture(scope="session")
def compose_model() -> Callable[..., dict[str, Any]]:
    """The plain dict under `model` that overrides such as `model=luong` give."""

    @functools.cache
    def composed(overrides: tuple[str, ...]) -> Any:
        register()
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            return OmegaConf.to_container(compose("train", list(overrides)).model, resolve=True)

    return lambda *overrides: copy.deepcopy(composed(overrides))


SMALL = {
    "dim": 12,
    "heads": 2,
    "feedforward_dim": 10,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "layers": 2,
    "embedding_dim": 6,
    "hidden_dim": 14,
    "maxout_dim": 4,
    "D": 2,
    "key_value_heads": 1,
}
SMALL_PARTS = {"length": 20, "max_distance": 2, "size": 3, "stride": 3, "block": 3, "columns": 1}


def _shrunk(spec: dict[str, Any]) -> dict[str, Any]:
    small: dict[str, Any] = {}
    sizes = SMALL | SMALL_PARTS
    for name, value in spec.items():
        small[name] = _shrunk(value) if isinstance(value, dict) else sizes.get(name, value) if value is not None else None
    return small


@pytest.fixture(scope="session")
def small_spec(compose_model: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """What `compose_model` gives, in sizes that differ from each other and from those of the tests' batches."""
    return lambda *overrides: _shrunk(compose_model(*overrides))


@pytest.fixture(scope="session")
def built() -> Callable[[dict[str, Any]], Seq2Seq]:
    """Makes a model whose every parameter, biases too, is random: what starts at zero would hide its mistakes."""

    def build(spec: dict[str, Any]) -> Seq2Seq:
        torch.manual_seed(1)
        joint = spec.get("tied") == "all"
        model = build_model(spec, Vocabulary(src=13 if joint else 11, tgt=13, joint=joint))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(std=0.4)
        return model.eval()

    return build


@pytest.fixture
def float64() -> Iterator[None]:
    """New tensors and parameters are float64, so that equal means equal to nine digits and more."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@dataclass
class Lines(Corpus):
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


@pytest.fixture(scope="session")
def few_pieces(pairs: list[Pair]) -> Tokenizer:
    """A vocabulary without bytes: characters that are not in `pairs` are unknown."""
    return train(pairs, TokenizerSettings(vocab_size=100, byte_fallback=False))


@pytest.fixture(scope="session")
def make_run(tokenizer: Tokenizer, few_pieces: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes the directory of a run whose model has random, but decided parameters: nothing needs to be trained."""

    @functools.cache
    def make(model: str, *, byte_fallback: bool = True, seed: int = 1) -> Path:
        config = nmt.config.compose("train", [f"model={model}"])
        config["decode"] |= {"beam": 3, "max_length": 12, "max_source_length": 40}
        pieces = tokenizer if byte_fallback else few_pieces
        directory = tmp_path_factory.mktemp("runs") / model
        run = Run.create(directory, config, pieces, corpus={"fingerprints": {}}, environment={})
        torch.manual_seed(seed)
        random = run.build_model()
        with torch.no_grad():
            random.output.weight.mul_(6)  # so that some pieces are much likelier than others, unknown ones among them
            random.output.weight[UNK] *= 2
        state: dict[str, Any] = {"updates": 1, "best": [{"update": 1}]}
        contents = Contents({MODEL: whole_weights(random)}, {"optimizer": {}}, state)
        run.checkpoints.finish(run.checkpoints.begin(1), contents, keep=1)
        return directory

    return make


@pytest.fixture(scope="session")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Makes a copy of a run that says that it translates the other way."""

    def turn(run: Path) -> Path:
        copy = tmp_path_factory.mktemp("turned") / run.name
        shutil.copytree(run, copy)
        text = (copy / "config.yaml").read_text(encoding="utf-8")
        for old, new in (("src: en", "src: xx"), ("tgt: de", "tgt: en"), ("src: xx", "src: de")):
            text = text.replace(old, new)
        (copy / "config.yaml").write_text(text, encoding="utf-8")
        return copy

    return turn
