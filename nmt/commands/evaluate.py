"""`nmt evaluate`: translate a split and score it."""

import logging
from pathlib import Path

from nmt.checks import check_decode_settings
from nmt.commands.opening import open_translator
from nmt.components import build_corpus
from nmt.data.corpus import Corpus, read_split
from nmt.data.files import read_lines
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.metrics import Score, score
from nmt.evaluation.report import write_evaluation
from nmt.machine import use_threads
from nmt.run import Config, Run

log = logging.getLogger("nmt")


def main(config: Config) -> float:
    """Score a run on a split of its corpus, or on two files; returns BLEU."""
    check_decode_settings(config["decode"])
    use_threads(config["threads"])
    run = Run.open(Path(config["run"]))
    if (config["input"] is None) != (config["reference"] is None):
        raise UserError("input=FILE and reference=FILE go together: set both, or split=dev or test for the run's own text")
    if config["input"] is not None:
        sources, references = (list(read_lines(Path(config[key]))) for key in ("input", "reference"))
        name = f"input-{Path(config['input']).name}"
    else:
        name = config["split"]
        if name not in ("dev", "test"):
            raise UserError(f"split must be dev or test, but is {name!r}; any other text: input=FILE reference=FILE")
        sources, references = read_split(build_corpus(only_split(name, run.config["data"] | config["data"])), name)
    if not sources:
        raise UserError(f"{config['input']} is empty")
    if len(sources) != len(references):
        raise UserError(f"{config['input']} has {len(sources)} lines but {config['reference']} has {len(references)}")
    translator = open_translator(config)
    scores = _evaluate(run, name, sources, references, translator)
    for value in scores.values():
        print(f"{value.text}\n{value.signature}")
    log.info(f"translations and scores are in {run.directory / 'evaluation' / name}")
    return scores["bleu"].score


def only_split(split: str, data: Config) -> Config:
    """The data without paths of other splits: they need not be there."""
    return {key: None if key in ("train", "dev", "test") and key != split else value for key, value in data.items()}


def evaluate_split(run: Run, corpus: Corpus, split: str, translator: Translator) -> dict[str, Score]:
    """Translate and score a split, leaving texts and scores in the run."""
    return _evaluate(run, split, *read_split(corpus, split), translator)


def _evaluate(run: Run, name: str, sources: list[str], references: list[str], translator: Translator) -> dict[str, Score]:
    translations = translator.search(sources)
    if cut := sum(translation.cut for translation in translations):
        log.warning(
            f"{cut:,} sources were longer than decode.max_source_length ({translator.settings.max_source_length}) and cut"
        )
    hypotheses = [translation.text for translation in translations]
    scores = score(hypotheses, references)
    directory = run.directory / "evaluation" / name
    write_evaluation(directory, sources=sources, references=references, hypotheses=hypotheses, scores=scores)
    return scores
