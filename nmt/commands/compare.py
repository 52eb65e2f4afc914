"""`nmt compare`: whether runs differ by more than chance on a test set, and in which sentences."""

import hashlib
import json
import logging
from pathlib import Path

from nmt.commands.evaluate import evaluate_split, only_split
from nmt.components import build_corpus
from nmt.console import Output
from nmt.decoding.loading import load_translator
from nmt.errors import UserError
from nmt.evaluation.differences import largest_differences
from nmt.evaluation.findings import Examples, Findings
from nmt.evaluation.metrics import check_metrics, make_metric
from nmt.evaluation.page import as_page
from nmt.evaluation.side_by_side import show
from nmt.evaluation.significance import TESTS, check_seed, compare
from nmt.evaluation.systems import SharedTexts, System, Text, is_evaluated, left_signature, shared_texts
from nmt.files import write_text
from nmt.machine import choose_device, use_threads
from nmt.published import Published
from nmt.run import Config, Run, read_config
from nmt.sweep.slugs import shortened
from nmt.tokenisation import Tokenisation, tokenisation_of

log = logging.getLogger("nmt")

FILES = ("compare.json", "compare.html")


def main(config: Config) -> None:
    """Test every system of `run` against the first one; leave compare.html and compare.json in `output`."""
    use_threads(config["threads"])
    choose_device(config["device"])
    names = check_metrics(_listed(config["metrics"]))
    samples = _samples(config)
    paths = _paths(config)
    tokenisation = _tokenisation(paths, config, names)
    metrics = {name: make_metric(name, tokenisation) for name in tokenisation.ordered(names)}
    place = Published(_output(paths, config), "comparison")
    place.check(FILES)
    references = [Text.read(Path(file)) for file in _listed(config["reference"])]
    sources = None if config["input"] is None else Text.read(Path(config["input"]))
    systems, texts = _systems(paths, config, sources, references)
    if "bleu" in metrics:
        _say_words(tokenisation, paths, config["split"], texts)
    hypotheses = {system.name: system.hypotheses.lines for system in systems}
    drawn = ", ".join(f"{TESTS[test]} ({count:,} times)" for test, count in samples.items())
    log.info(f"{len(systems)} systems, {len(texts.references[0]):,} sentences: {drawn}")
    comparisons = compare(hypotheses, texts.references, metrics, samples)
    files = {system.name: str(system.hypotheses.file) for system in systems}
    findings = Findings(files, len(texts.references[0]), comparisons, samples, _examples(hypotheses, texts, config["examples"]))
    _write(place, findings)
    console = Output(highlight=False)
    show(findings, console if console.is_terminal else Output(highlight=False, width=1000))  # a file has lines of any length
    log.info(f"the same as a page: {place.folder / 'compare.html'}; as data: {place.folder / 'compare.json'}")


def _tokenisation(paths: list[Path], config: Config, metrics: list[str]) -> Tokenisation:
    """As asked; else as in the training of the runs; 13a of files alone.

    Raises:
        UserError: if the runs differ in it, and BLEU is among the metrics.
    """
    configs = {path: read_config(path) for path in paths if (path / "config.yaml").is_file()}
    found = {path: tokenisation_of(trained, config["tokenize"]) for path, trained in configs.items()}
    if not found:
        return Tokenisation(config["tokenize"])
    by_words = {one.words: path for path, one in reversed(found.items())}
    if len(by_words) > 1 and "bleu" in metrics:
        said = ", ".join(f"{path} with tok:{words}" for words, path in reversed(by_words.items()))
        raise UserError(f"BLEU compares runs only where it cuts their words alike, but it has scored {said}: set tokenize=")
    return next(iter(found.values()))


def _say_words(tokenisation: Tokenisation, paths: list[Path], split: str, texts: SharedTexts) -> None:
    """Warn where BLEU means little, and where it is not the BLEU that a run's evaluation has left."""
    if warning := tokenisation.warning(texts.references[0]):
        log.warning(warning)
    ours = f"tok:{tokenisation.bleu().tokenizer_signature}"
    for path in paths:
        signature = left_signature(path, split) if path.is_dir() else None
        if signature and ours not in signature.split("|"):
            log.warning(f"{path / 'evaluation' / split} was scored otherwise ({signature}); here every BLEU is of {ours}")


def _listed(value: object) -> list[str]:
    """The items of a key that takes one or a list."""
    if value is None:
        return []
    return [str(item) for item in (value if isinstance(value, list) else [value])]


def _samples(config: Config) -> dict[str, int]:
    """How many resamples or trials, of each test that was asked for."""
    if config["test"] not in ("both", *TESTS):
        choices = ", ".join(f"{key} ({name})" for key, name in TESTS.items())
        raise UserError(f"test must be one of {choices} or both, but is {config['test']!r}")
    for test, count in config["samples"].items():
        if count < 1:
            raise UserError(f"samples.{test} must be at least 1, but is {count}")
    return {test: config["samples"][test] for test in TESTS if config["test"] in ("both", test)}


def _paths(config: Config) -> list[Path]:
    """What shall be compared; raises `UserError` for what no comparison could use."""
    paths = [Path(name) for name in _listed(config["run"])]
    if len(paths) < 2:
        given = f"only {paths[0]} was given" if paths else "none was given"
        raise UserError(f"a comparison needs two or more runs, or files of translations, but {given}: nmt compare A B")
    for place, path in enumerate(paths):
        if path in paths[:place]:
            raise UserError(f"{path} is given twice: a system is compared with others")
        if not path.exists():
            raise UserError(f"{path} does not exist; give directories that `nmt train` has written, or files of translations")
    check_seed()
    if config["examples"] < 0:
        raise UserError(f"examples must be at least 0, but is {config['examples']}")
    return paths


def _output(paths: list[Path], config: Config) -> Path:
    """Where the page and the data go."""
    names = "+".join(path.resolve().name for path in paths)
    if len({path.resolve().name for path in paths}) < len(paths):  # of sweeps, such as x/seed=1 and y/seed=1
        names += "-" + hashlib.sha256("\n".join(str(path.resolve()) for path in paths).encode()).hexdigest()[:8]
    names = shortened(names)
    split = config["split"] if any(path.is_dir() for path in paths) else ""
    output = Path(config["output"] or Path("comparisons") / names / split)
    if output.exists() and not output.is_dir():
        raise UserError(f"output={output} is a file: choose a folder")
    return output


def _systems(
    paths: list[Path], config: Config, sources: Text | None, references: list[Text]
) -> tuple[list[System], SharedTexts]:
    """The systems, and what they translated. A run without an evaluation makes it when all else has been read."""
    split = config["split"]
    missing = {path: _openable(path, split) for path in paths if path.is_dir() and not is_evaluated(path, split)}
    there = {path: _read(path, split) for path in paths if path not in missing}
    if references or any(system.references for system in there.values()):
        shared_texts(list(there.values()), sources, references)
    for path, run in missing.items():
        _evaluate(run, split, config)
        there[path] = _read(path, split)
    systems = [there[path] for path in paths]
    return systems, shared_texts(systems, sources, references)


def _read(path: Path, split: str) -> System:
    return System.of_run(path, split) if path.is_dir() else System.of_file(path)


def _openable(path: Path, split: str) -> Run:
    """A run that can still be evaluated on a split."""
    run = Run.open(path)
    if split not in ("dev", "test"):
        have = sorted(folder.name for folder in (path / "evaluation").glob("*/") if is_evaluated(path, folder.name))
        raise UserError(
            f"{path} has no evaluation/{split}; split must be dev, test or what it has: {', '.join(have) or 'nothing'}"
        )
    return run


def _evaluate(run: Run, split: str, config: Config) -> None:
    """Translate and score it, as training does at its end."""
    log.info(f"{run.directory} has no translations of {split} yet: it is translated first, as at the end of training")
    try:
        corpus = build_corpus(only_split(split, run.config["data"]))
        translator = load_translator([run.directory], device=config["device"])
        evaluate_split(run, corpus, split, translator, tokenisation_of(run.config, config["tokenize"]))
    except UserError as error:
        raise UserError(f"{run.directory} has no evaluation/{split}, and none can be made: {error}") from error


def _examples(hypotheses: dict[str, list[str]], texts: SharedTexts, count: int) -> Examples:
    (_, baseline), *others = hypotheses.items()
    if count == 0:
        return {}
    return {system: largest_differences(baseline, lines, texts.references, texts.sources, count) for system, lines in others}


def _write(place: Published, findings: Findings) -> None:
    content = json.dumps(findings.as_json(), indent=2, ensure_ascii=False)
    with place.writing() as folder:
        for name, text in zip(FILES, (content + "\n", as_page(findings)), strict=True):
            write_text(folder / name, text)
