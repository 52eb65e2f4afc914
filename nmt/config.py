"""The settings: one shape each, their defaults, and which of them decide the result of a training run.

A field that decides must not change when a run continues; one marked `free` may. Imports nothing heavy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING

import nmt


def config_directory() -> Path:
    """Where the YAMLs are: beside the code in a wheel, beside the package in a checkout."""
    package = Path(nmt.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def free(default: Any) -> Any:
    """A setting that may change when a run continues."""
    return field(default=default, metadata={"free": True})


@dataclass
class TokenizerSettings:
    """How SentencePiece learns and cuts pieces."""

    type: str = "unigram"  # or bpe
    vocab_size: int = 8000  # pieces, special ones and 256 bytes included
    joint: bool = True  # one vocabulary for both sides
    sampling: float = 0.0  # subword sampling in training: unigram's alpha, or BPE's dropout
    byte_fallback: bool = True  # characters without a piece become bytes, not <unk>
    character_coverage: float | None = None  # share of characters that have pieces, 0.9 to 1; null: all but those that are rare
    normalization: str = "nmt_nfkc"  # SentencePiece's rule for the source: nmt_nfkc, nfkc, nmt_nfkc_cf, nfkc_cf or identity
    target_normalization: str = "identity"  # that for the target; with identity every character comes back
    train_sentences: int = 1_000_000  # pairs, from the start of training, that the pieces are learnt from


@dataclass
class TrainSettings:
    """The training loop."""

    tokens_per_batch: int | str = 4096  # most padded positions of a batch on either side; auto: what fits the GPU
    accumulate: int = 1  # batches of an update
    max_updates: int | None = free(None)
    max_epochs: int | None = free(None)
    patience: int | None = free(10)  # validations without a better dev score before training stops
    validate_every: int = 500  # updates
    checkpoint_every: int = free(500)  # updates
    log_every: int = free(50)  # updates
    keep: int = free(3)  # newest checkpoints kept, beside …
    keep_best: int = free(1)  # … so many of the best
    max_non_finite: int = free(5)  # updates in a row with a loss or gradient that is not finite before training stops
    histograms: bool = free(False)  # draw parameters and gradients at every validation
    profile: bool = free(False)  # leave a trace of a few updates, and a table of where their time went
    label_smoothing: float = 0.1
    clip_norm: float | None = 1.0  # largest gradient norm; null: none
    ema_decay: float | None = None  # of an exponential moving average of the parameters, such as 0.999; null: none
    precision: str = "fp32"  # of products: or bf16, or fp16 with a scaled loss
    compile: bool = False  # by torch.compile
    gradient_checkpointing: bool = False  # computes layers twice to keep less of them
    parallel: str = "ddp"  # under torchrun: every process has the whole model, or (fsdp) a part of it
    threads: int | None = None  # of the CPU; null: torch's choice
    deterministic: bool = False  # only kernels on the GPU that give the same bits again, some of them slower


@dataclass
class GuideSettings:
    """Guided alignment: attention learns from word links (Garg et al. 2019)."""

    links: str | None = free(None)  # of the training pairs: a Pharaoh file, or gold, of a corpus that has its own; or …
    run: str | None = free(None)  # … a run of this direction …
    reverse: str | None = free(None)  # … and one of the other: their links, grow-diag-final-and
    weight: float = 0.05  # λ of the loss of attention
    layer: int | None = None  # of the attention to the source, from 1; null: the last but one
    head: int | None = 1  # of it, from 1; null: the mean of all
    shift: bool | None = None  # guide the step that has read the target word; null: where the decoder has self-attention


@dataclass
class DecodeSettings:
    """The search, in validation and in every command that translates."""

    search: str = "beam"  # or sample, or mbr: of samples the one that is most like the others
    beam: int = 5  # 1 is greedy search
    length_rule: str = "average"  # of scores log p / lp: average (length^length_penalty), wu or none
    length_penalty: float = 1.0  # the exponent
    coverage_penalty: float = 0.0  # of source pieces not looked at (Wu et al. 2016)
    stop: str = (
        "ahead"  # end when no live hypothesis is ahead of the finished ones; count: by patience; exact: the whole search
    )
    patience: float = 1.0  # of stop=count: end when so many times beam hypotheses have finished
    samples: int = 32  # of mbr
    utility: str = "chrf"  # of mbr: what makes two translations alike; or bleu
    temperature: float = 1.0  # of samples: pieces are drawn from p^(1/temperature)
    top_k: int = 0  # of samples: only from so many of the likeliest pieces; 0: all
    top_p: float = 1.0  # of samples: only from the likeliest pieces with so much of the probability
    seed: int = 1  # of samples; each sentence has random numbers of its own
    n_best: int = 1  # translations of a sentence that are kept; of search=sample, drawn
    replace_unknown: bool = False  # <unk> becomes the source word that it attends to
    min_length: int = 0  # fewest target pieces
    max_length: int = 256  # most target pieces
    length_ratio: float = 2.0  # most target pieces per source piece (EOS counted), beyond …
    length_offset: int = 10  # … this many
    max_source_length: int = 256  # source pieces; what is longer is cut
    batch_size: int = free(64)  # sentences


@dataclass
class PathSettings:
    """Folders outside the run."""

    cache: str | None = free(None)  # null: NMT_CACHE, or else nmt/ in XDG_CACHE_HOME or in ~/.cache


@dataclass
class TrainConfig:
    """Everything that `nmt train` takes."""

    run_dir: str | None = free(None)  # null: runs/ and the name of the model
    sweep_dir: str | None = free(None)  # with -m; null: sweeps/ and the names of the experiment and of the keys typed
    seed: int = 1
    tokenize: str | None = None  # words in BLEU: 13a, zh, char, …; null: sacreBLEU's choice for the target language
    device: str = free("auto")  # auto, cpu, cuda or cuda:N
    resume: str = free("auto")  # auto continues the run in run_dir, never asks for a new folder
    init_from: str | None = None  # a run whose parameters this one begins with (fine-tuning); null: fresh ones
    init_checkpoint: str = "best"  # of init_from: best, last, averaged or a number of updates
    init_weights: str = "auto"  # of init_from: raw, or ema; auto: ema where there are some
    init_tokenizer: bool = True  # keep the tokenizer of init_from; false: learn one from this corpus
    data: Any = MISSING
    model: Any = MISSING
    optimizer: Any = MISSING
    schedule: Any = MISSING
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    guide: GuideSettings = field(default_factory=GuideSettings)
    decode: DecodeSettings = field(default_factory=DecodeSettings)
    paths: PathSettings = field(default_factory=PathSettings)


DecodeOverrides = make_dataclass(
    "DecodeOverrides",
    [(setting.name, setting.type | None, field(default=None)) for setting in fields(DecodeSettings)],  # type: ignore[operator]  # no string
)
"""Changes to the search of a run; null keeps what the run was trained with. (A type in here is no string.)"""


@dataclass
class RunConfig:
    """What every command takes that opens a run."""

    run: Any = MISSING  # a run directory; a list of them is an ensemble
    checkpoint: str = "best"  # best, last, averaged or a number of updates
    weights: str = "auto"  # raw, or ema for the averages of train.ema_decay; auto: ema where there are some
    device: str = "auto"
    threads: int | None = None
    decode: Any = field(default_factory=DecodeOverrides)


@dataclass
class EvaluateConfig(RunConfig):
    """Everything that `nmt evaluate` takes."""

    split: str = "test"  # of the run's corpus: dev or test
    input: str | None = None  # a file of source sentences instead …
    reference: Any = None  # … and its translations: a file, or a list of files
    testset: str | None = None  # instead of both: a test set that sacreBLEU knows, such as wmt14 or wmt14/full
    langpair: str | None = None  # of the test set; null: the run's languages
    archive: Any = None  # what sacreBLEU would download for it: a file or a list; null: its own folder, or the network
    metrics: Any = field(default_factory=lambda: ["bleu", "chrf", "chrf++", "ter"])  # a list of them and of comet
    tokenize: str | None = None  # words in BLEU: 13a, zh, char, …; null: as in training, or sacreBLEU's choice for a test set
    comet_model: str = "Unbabel/wmt22-comet-da"  # of the Hugging Face Hub, or a file.ckpt
    breakdown: bool = True  # scores by length and by frequency of words, rates of errors, and a picture
    output: str | None = None  # folder for texts and scores; null: one in the run's evaluation/
    data: dict[str, Any] = field(default_factory=dict)  # changes to the run's data, such as data.test=OTHER/test


@dataclass
class TranslateConfig(RunConfig):
    """Everything that `nmt translate` takes."""

    text: str | None = None  # a sentence; null reads `input`
    input: str | None = None  # a file; null is standard input
    output: str | None = None  # a file; null is standard output
    format: str = "text"  # a line in, a line out; or json: a record for each line, with all that the search knows
    prefix: str | None = None  # what every translation begins with
    prefixes: str | None = None  # a file: what each of them begins with


@dataclass
class ScoreConfig(RunConfig):
    """Everything that `nmt score` takes."""

    src: str | None = None  # a file of source sentences …
    tgt: str | None = None  # … and one of their translations; or …
    input: str | None = None  # … what `nmt translate format=json` has written
    output: str | None = None  # a file; null is standard output
    format: str = "text"  # log p, a tab, and the score that a search would rank by; or json


@dataclass
class AlignedFiles:
    """Sentence pairs with gold links."""

    src: str | None = None  # a file of source sentences …
    tgt: str | None = None  # … their translations, line by line …
    gold: str | None = None  # … and the links between their words


@dataclass
class AlignConfig(RunConfig):
    """Everything that `nmt align` takes."""

    src: str | None = None  # a file of source sentences …
    tgt: str | None = None  # … and one of their translations; words are what spaces separate; or …
    split: str | None = None  # … a split of the run's corpus: train, dev or test
    output: str | None = None  # a file of links; null is standard output
    gold: str | None = None  # a file of gold links to compare with
    gold_format: str = "auto"  # pharaoh, talp or naacl; auto: by its ending or its first line
    gold_base: int | None = None  # what it counts words from; null: pharaoh 0, talp and naacl 1
    gold_swapped: bool = False  # it has the target word first
    dev: AlignedFiles = field(default_factory=AlignedFiles)  # by which layer, shift, threshold and end are chosen that are null
    layer: Any = None  # of the attention to the source, from 1, or mean; null: mean, or what was guided
    head: int | None = None  # from 1; null: the mean of all
    shift: bool | None = None  # take the step that has read a target word, not the one that predicts it; null: no, or as guided
    threshold: float | None = None  # a smaller weight is no link; null: 0
    end: bool | None = None  # whether a word that looks most at the end of the source has no link; null: yes
    reverse: str | None = None  # a run of the other direction, …
    reverse_checkpoint: str = "best"
    symmetrize: str = "grow-diag-final-and"  # … and what becomes of both: or intersection, union, grow-diag, grow-diag-final
    data: dict[str, Any] = field(default_factory=dict)  # changes to the run's data, such as data.test=OTHER/test


@dataclass
class ExplainConfig(RunConfig):
    """Everything that `nmt explain` takes."""

    text: str | None = None  # a sentence
    reference: str | None = None  # its translation, which is explained instead of the run's own
    method: Any = "attention"  # one, a list, or all; integrated_gradients, the slow one, only where it is named
    layer: int | None = None  # of the pictures of attention, from 1; null: the mean of all
    head: int | None = None  # from 1; null: the mean of all
    units: str = "words"  # or pieces
    output: str | None = None  # folder; null: one in the run's explanations/


@dataclass
class FaithfulnessConfig(RunConfig):
    """Everything that `nmt faithfulness` takes."""

    split: str = "test"  # of the run's corpus: dev, test or train
    sentences: int = 100  # from its start
    method: Any = "all"  # of the methods that the model has, one or a list, or all
    steps: int = 10  # parts of the source that are taken away, or put back, one after the other
    seed: int = 1  # of the random order, and of the intervals
    output: str | None = None  # folder for faithfulness.json and .md; null: one in the run's explanations/
    data: dict[str, Any] = field(default_factory=dict)  # changes to the run's data, such as data.test=OTHER/test


@dataclass
class AverageConfig:
    """Everything that `nmt average` takes."""

    run: Any = MISSING  # a run directory
    last: int | None = None  # so many of the newest checkpoints; null: all that the run has kept
    checkpoints: Any = None  # these instead: a list of numbers of updates, best, last
    evaluate: bool = True  # score dev with the averaged parameters, and with those of best and last
    tokenize: str | None = None  # words in BLEU: 13a, zh, char, …; null: as in training
    data: dict[str, Any] = field(default_factory=dict)  # changes to the run's data, such as data.dev=OTHER/dev
    device: str = "auto"
    threads: int | None = None
    decode: Any = field(default_factory=DecodeOverrides)


@dataclass
class Samples:
    """How often each test draws; the defaults are sacreBLEU's."""

    bs: int = 1000  # resamples of the paired bootstrap
    ar: int = 10_000  # trials of the paired approximate randomisation


@dataclass
class CompareConfig:
    """Everything that `nmt compare` takes."""

    run: Any = None  # two or more runs, or files of translations; the first is the baseline
    split: str = "test"  # of the runs' corpus, or another name in their evaluation/
    input: str | None = None  # a file of source sentences, for files of translations …
    reference: Any = None  # … and a file of references, or several: [A.en,B.en]
    metrics: Any = field(default_factory=lambda: ["bleu", "chrf"])  # and chrf++, ter
    tokenize: str | None = None  # words in BLEU: 13a, zh, char, …; null: as in the runs' training, 13a for files alone
    test: str = "both"  # bs (paired bootstrap), ar (paired approximate randomisation) or both
    samples: Samples = field(default_factory=Samples)
    examples: int = 10  # sentences with the largest differences, in either direction
    output: str | None = None  # folder for compare.html and compare.json; null: comparisons/ and the names of what is compared
    device: str = "auto"  # for a run that must be evaluated first
    threads: int | None = None


@dataclass
class ReportConfig:
    """Everything that `nmt report` takes."""

    run: Any = MISSING  # sweep folders and runs: one or a list
    output: str | None = None  # folder for table.md, table.csv and plot.png; null: the sweep folder, where one is given


SCHEMAS = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "translate": TranslateConfig,
    "score": ScoreConfig,
    "align": AlignConfig,
    "explain": ExplainConfig,
    "faithfulness": FaithfulnessConfig,
    "average": AverageConfig,
    "compare": CompareConfig,
    "report": ReportConfig,
}


def register() -> None:
    """Make the schemas known to Hydra, as `COMMAND_schema`."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    for command, schema in SCHEMAS.items():
        store.store(name=f"{command}_schema", node=schema)


def compose(command: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The config of a command as plain values, as the command line would compose it."""
    import hydra

    from nmt.typed import plain

    register()
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        return plain(hydra.compose(command, list(overrides)), command)


def all_keys(command: str, choices: Sequence[str] = ()) -> list[str]:
    """The dotted keys of a command, with choices such as `model=luong` where they compose, else with its defaults."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        try:
            composed = hydra.compose(command, list(choices))
        except HydraException:
            composed = hydra.compose(command)
    keys = _dotted(OmegaConf.to_container(composed, resolve=False))
    return [key for key in keys if not key.rpartition(".")[2].startswith("_")]


def _dotted(value: Any, prefix: str = "") -> list[str]:
    if not isinstance(value, dict):
        return []
    return [key for name, item in value.items() for key in (f"{prefix}{name}", *_dotted(item, f"{prefix}{name}."))]


def free_keys(schema: Any = TrainConfig, prefix: str = "") -> set[str]:
    """The dotted keys that may change when a run continues."""
    keys = set()
    for item in fields(schema):
        name = f"{prefix}{item.name}"
        if item.metadata.get("free"):
            keys.add(name)
        elif isinstance(item.type, type) and is_dataclass(item.type):
            keys |= free_keys(item.type, f"{name}.")
    return keys
