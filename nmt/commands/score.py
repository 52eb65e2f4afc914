"""`nmt score`: the log-probability of given translations."""

import json
import logging
from collections.abc import Iterator
from typing import NamedTuple

from nmt.commands.opening import open_translator
from nmt.commands.streams import chunks_in, json_line, output_to, write_lines
from nmt.decoding.records import figures_of, given
from nmt.decoding.translator import Scored, Translator
from nmt.errors import UserError
from nmt.run import Config

log = logging.getLogger("nmt")


class Pairs(NamedTuple):
    """Some sources, and a translation of each as pieces."""

    sources: list[str]
    targets: list[list[int]]


def main(config: Config) -> None:
    """Score the translations in `tgt` of the sources in `src`, line by line, or those of `nmt translate format=json`."""
    _check(config)
    translator = open_translator(config)
    pieces, total, cut = 0, 0.0, 0
    chunks = _of_files(config, translator) if config["input"] is None else _of_json(config["input"], translator)
    with output_to(config["output"]) as output:
        for pairs in chunks:
            scored = translator.score_pieces(*pairs)
            pieces += sum(len(one.log_probs) for one in scored)
            total += sum(one.log_prob for one in scored)
            cut += sum(one.cut for one in scored)
            write_lines(output, (_line(*one, translator, config["format"]) for one in zip(pairs.sources, scored, strict=True)))
    if pieces:
        log.info(f"{total / pieces:.4f} log p per piece, ends of sentence counted ({pieces:,})")
    if cut:
        limit = translator.settings.max_source_length
        log.warning(
            f"{cut:,} pairs were cut: a source longer than decode.max_source_length ({limit} pieces), or too long a target"
        )


def _check(config: Config) -> None:
    if config["format"] not in ("text", "json"):
        raise UserError(f"format must be text or json, but is {config['format']!r}")
    files = [config[key] is not None for key in ("src", "tgt")]
    if not (all(files) or not any(files)) or (config["input"] is None) != all(files):
        raise UserError("give src=FILE and tgt=FILE, line by line, or input=FILE as `nmt translate format=json` writes it")


def _line(source: str, scored: Scored, translator: Translator, form: str) -> str:
    """log p and score with a tab between them, or a record."""
    hypothesis = scored.hypothesis
    if form == "text":
        return f"{hypothesis.log_prob:.6f}\t{hypothesis.score:.6f}"
    text = translator.tokenizer.decode(hypothesis.ids)
    listed = [{"text": text, **figures_of(hypothesis, translator.tokenizer)}]
    return json_line({"source": source, "cut": scored.cut, "translations": listed})


def _of_files(config: Config, translator: Translator) -> Iterator[Pairs]:
    sources, targets = chunks_in(config["src"]), chunks_in(config["tgt"])
    while True:
        src, tgt = next(sources, []), next(targets, [])  # as many of each, but at an end
        if len(src) != len(tgt):
            raise UserError(f"{config['src']} and {config['tgt']} must have the same number of lines")
        if not src:
            return
        yield Pairs(src, translator.tokenizer.encode(tgt, "tgt"))


def _of_json(path: str, translator: Translator) -> Iterator[Pairs]:
    number = 0
    for chunk in chunks_in(path):
        pairs = Pairs([], [])
        for line in chunk:
            number += 1
            try:
                record = json.loads(line)
            except ValueError as error:
                raise UserError(f"{path}: line {number} is no JSON: {error}") from error
            source, targets = given(record, translator.tokenizer, f"{path}: line {number}")
            pairs.sources.extend([source] * len(targets))
            pairs.targets.extend(targets)
        yield pairs
