"""`nmt evaluate`: translate a text, score the translations, and say where the score comes from."""

import hashlib
import logging
import math
import os
from collections import Counter
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

from nmt.commands.opening import open_translator, runs_of
from nmt.components import build_corpus
from nmt.console import Output, put
from nmt.data.corpus import SPLITS, Corpus, no_split, read_split
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.breakdown import by_frequency, by_length, occurrences
from nmt.evaluation.comet import comet, fetch_comet
from nmt.evaluation.likelihood import Likelihood, likelihood
from nmt.evaluation.metrics import METRICS, Score, check_metrics, score
from nmt.evaluation.rates import rates
from nmt.evaluation.report import evaluation_in, names_of, write_evaluation
from nmt.evaluation.summary import Breakdown, loss_table, picture, tables
from nmt.evaluation.testsets import from_test_set
from nmt.evaluation.texts import Texts, from_files
from nmt.run import Config, Run, read_config, read_corpus
from nmt.sweep.slugs import shortened
from nmt.tokenisation import Tokenisation, tokenisation_of

log = logging.getLogger("nmt")

MOST_PAIRS = 1_000_000
"""Training pairs, from the start, whose words are counted."""


def main(config: Config) -> float:
    """Score a run on a split of its corpus, on files or on a known test set; returns the leading score, or else the first."""
    metrics = check_metrics(config["metrics"], (*METRICS, "comet"))
    run = Run.open(runs_of(config)[0])  # of an ensemble the first one's text, and its folder
    translator = open_translator(config)
    texts = _texts(run, config)
    tokenisation = _tokenisation(run, config, texts)
    metrics = tokenisation.ordered(metrics)
    if "bleu" in metrics or config["breakdown"]:
        tokenisation.bleu()  # a package that it lacks shows before anything is translated
        if warning := tokenisation.warning(texts.references[0]):
            log.warning(warning)
    directory = _folder(run, config, texts)
    judge = fetch_comet(config["comet_model"]) if "comet" in metrics else None
    hypotheses = _translated(translator, texts.sources)
    scores = score(hypotheses, texts.references, [name for name in metrics if name in METRICS], tokenisation)
    if judge is not None:
        model, device = config["comet_model"], translator.device
        first = texts.references[0]
        scores["comet"] = comet(texts.sources, hypotheses, first, model=model, checkpoint=judge, device=device)
    loss = _likelihood(translator, texts)
    parts = _breakdown(run, config, texts, hypotheses, tokenisation) if config["breakdown"] else None
    write_evaluation(
        directory,
        run=_owner(run, config),
        sources=texts.sources,
        references=texts.references,
        hypotheses=hypotheses,
        scores=scores,
        more=_more(texts, translator, loss, parts),
        picture=picture(parts) if parts else None,
    )
    _print(texts, scores, loss, parts)
    log.info(f"translations and scores are in {directory}")
    return scores.get(tokenisation.leading, next(iter(scores.values()))).score


def only_split(split: str, data: Config) -> Config:
    """The data without paths of other splits: they need not be there.

    Raises:
        UserError: if this one has no path, either.
    """
    if split not in SPLITS or data.get(split, "") is None:
        raise no_split(split, [name for name in SPLITS if data.get(name) is not None])
    return {key: None if key in ("train", "dev", "test") and key != split else value for key, value in data.items()}


def evaluate_split(run: Run, corpus: Corpus, split: str, translator: Translator, words: Tokenisation) -> dict[str, Score]:
    """Translate and score a split as validation does, leaving texts and scores in the run; the leading score comes first."""
    if not corpus.read(split).matches(corpus.fingerprint(split)):
        log.warning(f"the text of data.{split} was changed since the training began: the scores are of what is there now")
    sources, references = read_split(corpus, split)
    hypotheses = _translated(translator, sources)
    scores = score(hypotheses, references, words.ordered(), words)
    directory = run.directory / "evaluation" / split
    write_evaluation(directory, run=run.directory, sources=sources, references=references, hypotheses=hypotheses, scores=scores)
    return scores


def _tokenisation(run: Run, config: Config, texts: Texts) -> Tokenisation:
    """As asked; else of a test set as sacreBLEU chooses, of any other text as in training, where all runs agree."""
    if texts.language:
        return Tokenisation(config["tokenize"], texts.language)
    trained_with = {str(read_config(path).get("tokenize")) for path in runs_of(config)}
    own = run.config if len(trained_with) == 1 else run.config | {"tokenize": None}
    return tokenisation_of(own | {"data": run.config["data"] | config["data"]}, config["tokenize"])


def _texts(run: Run, config: Config) -> Texts:
    """What the config asks to evaluate on."""
    source, reference, name = config["input"], config["reference"], config["testset"]
    data = run.config["data"] | config["data"]
    if (source is None) != (reference is None):
        raise UserError("input=FILE and reference=FILE go together: set both, or split=dev or test for the run's own text")
    if name is None and (typed := [key for key in ("langpair", "archive") if config[key] is not None]):
        raise UserError(f"{typed[0]}= is about a test set of sacreBLEU, but testset=NAME is not set")
    if source is not None:
        if name is not None:
            raise UserError(f"input={source} and testset={name} are two texts: give one")
        return from_files(Path(source), _paths(reference))
    if name is not None:
        own = f"{data.get('src')}-{data.get('tgt')}"
        pair = config["langpair"] or own
        texts = from_test_set(name, pair, _paths(config["archive"]))
        if pair != own:
            log.warning(f"langpair={pair}, but the run was trained to translate {own}")
        return texts
    if (split := config["split"]) not in ("dev", "test"):
        raise UserError(
            f"split must be dev or test, but is {split!r}; any other text: input=FILE reference=FILE, or testset=NAME"
        )
    corpus = build_corpus(only_split(split, data))
    fingerprint = corpus.fingerprint(split)
    sources, references = read_split(corpus, split, fingerprint)
    texts = Texts(split, f"split={split}", sources, [references])
    if not config["data"] or _fingerprint(run, split) == fingerprint:
        return texts
    changes = " ".join(f"data.{key}={value}" for key, value in config["data"].items())
    log.warning(f"this is not the text that the run calls {split}: {changes}")
    return replace(texts, name=f"{split}-{hashlib.sha256(changes.encode()).hexdigest()[:8]}", what=f"{texts.what} {changes}")


def _fingerprint(run: Run, split: str) -> str | None:
    """That of the run's own text, or None where the run does not say."""
    try:
        return dict(read_corpus(run.directory)["fingerprints"]).get(split)
    except UserError:
        return None


def _paths(value: Any) -> list[Path]:
    """The paths in a key that takes one or a list."""
    listed = value if isinstance(value, list) else [] if value is None else [value]
    return [Path(str(one)) for one in listed]


def _folder(run: Run, config: Config, texts: Texts) -> Path:
    """Where the evaluation goes: in the (first) run, or in a folder that is new, empty or an earlier evaluation."""
    chosen = config["output"] is not None
    others = [other.resolve().name for other in runs_of(config)[1:]]
    name = shortened("+".join([f"{texts.name}-with-{others[0]}", *others[1:]])) if others else texts.name
    folder = Path(config["output"]) if chosen else run.directory / "evaluation" / name
    if folder.exists() and not folder.is_dir():
        raise UserError(f"output={folder} is a file: choose a folder that is new or empty")
    place = evaluation_in(folder, run=_owner(run, config))
    if chosen and not place.is_free():
        raise UserError(f"output={folder} holds files but is not an evaluation: choose a folder that is new or empty")
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UserError(f"{folder} cannot be written, because of {there}: choose another folder with output=FOLDER")
    place.check(names_of(texts.references, picture=config["breakdown"]))
    return folder


def _owner(run: Run, config: Config) -> Path | None:
    """The run in which the evaluation lies, if it does."""
    return None if config["output"] is not None else run.directory


def _translated(translator: Translator, sources: list[str]) -> list[str]:
    translations = translator.search(sources)
    if cut := sum(translation.cut for translation in translations):
        log.warning(
            f"{cut:,} sources were longer than decode.max_source_length ({translator.settings.max_source_length}) and cut"
        )
    return [translation.text for translation in translations]


def _likelihood(translator: Translator, texts: Texts) -> Likelihood | None:
    """Of all references together."""
    references = [line for several in texts.references for line in several]
    found = likelihood(translator.score(texts.sources * len(texts.references), references), references)
    if found is None or found.left_out:
        left_out = len(references) if found is None else found.left_out
        why = "have a source longer than decode.max_source_length, or too long a reference"
        log.warning(f"{left_out:,} pairs {why}: they are not in the loss")
    return found


def _breakdown(run: Run, config: Config, texts: Texts, hypotheses: list[str], tokenisation: Tokenisation) -> Breakdown:
    """Where the score comes from; what needs one reference takes the first."""
    first = texts.references[0]
    training = _training_words(run, config, [*hypotheses, *first], tokenisation)
    if isinstance(training, str):
        log.warning(f"no scores by the frequency of words: {training}")
    return Breakdown(
        lengths=by_length(texts.sources, hypotheses, texts.references, tokenisation),
        frequencies=training if isinstance(training, str) else by_frequency(hypotheses, first, training, tokenisation.cut),
        rates={
            "hypotheses": rates(texts.sources, hypotheses, first),
            "references": rates(texts.sources, first, first),
        },
        leading=tokenisation.leading,
    )


def _training_words(run: Run, config: Config, texts: list[str], tokenisation: Tokenisation) -> "Counter[str] | str":
    """How often the run's training text has each word of some texts, or why that cannot be told."""
    if tokenisation.leading == "chrf":
        return f"sacreBLEU has no tokenizer for {tokenisation.language}, so its words are not known"
    try:
        saved = read_corpus(run.directory)
    except UserError:
        return "the run does not say what text it was trained on"
    try:
        corpus = build_corpus(only_split("train", run.config["data"] | config["data"]))
        reading = corpus.read("train")
        found = occurrences((tgt for _, tgt in islice(reading, MOST_PAIRS)), texts, tokenisation.cut)
        if not reading.matches(saved["fingerprints"].get("train")):
            return "the training text is not the one that the run was trained on any more"
        return found
    except UserError as error:
        return f"the training text cannot be read ({error})"


def _more(texts: Texts, translator: Translator, loss: Likelihood | None, parts: Breakdown | None) -> dict[str, Any]:
    """What `scores.json` holds beside the scores."""
    settings = {key: str(value) if value == math.inf else value for key, value in asdict(translator.settings).items()}
    evaluated = {
        "text": texts.what,
        "sentences": len(texts.sources),
        "references": len(texts.references),
        "models": translator.origin,
        "decode": settings,
    }
    return {"loss": loss and loss.as_json(), **(parts.as_json() if parts else {}), "evaluated": evaluated}


def _print(texts: Texts, scores: dict[str, Score], loss: Likelihood | None, parts: Breakdown | None) -> None:
    """The scores with their signatures, each on a line, then tables."""
    put("\n".join(f"{value.text}\n{value.signature}" for value in scores.values()))
    shown = [*([loss_table(loss)] if loss else []), *(tables(parts) if parts else [])]
    wide = Output(width=1000)
    console = Output(highlight=False, width=max([80, *(wide.measure(table).maximum for table in shown)]))
    several = f", {len(texts.references)} references" if len(texts.references) > 1 else ""
    put(f"{texts.what}: {len(texts.sources):,} sentences{several}")
    for table in shown:
        console.print(table)
