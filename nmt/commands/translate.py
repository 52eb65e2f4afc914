"""`nmt translate`: a line in, a line out, in order."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from nmt.commands.opening import open_translator
from nmt.commands.streams import chunks_in, json_line, output_to, write_lines
from nmt.decoding.records import records
from nmt.decoding.translator import Translation, Translator
from nmt.errors import UserError
from nmt.run import Config

log = logging.getLogger("nmt")


def main(config: Config) -> None:
    """Translate `text`, a file or standard input."""
    _check(config)
    translator = open_translator(config)
    if config["format"] == "text" and translator.settings.n_best > 1:
        raise UserError(f"decode.n_best={translator.settings.n_best} needs format=json: as text, a line in is a line out")
    chunks = iter([[" ".join(config["text"].split("\n"))]]) if config["text"] is not None else chunks_in(config["input"])
    cut = 0
    with output_to(config["output"]) as output:
        for chunk, prefixes in _with_prefixes(chunks, config):
            translations = translator.search(chunk, prefixes)
            cut += sum(translation.cut for translation in translations)
            write_lines(output, _lines(translator, chunk, translations, config["format"]))
    if cut:
        limit = translator.settings.max_source_length
        log.warning(f"{cut:,} lines were longer than decode.max_source_length ({limit} pieces) and were cut")


def _check(config: Config) -> None:
    if config["format"] not in ("text", "json"):
        raise UserError(f"format must be text or json, but is {config['format']!r}")
    if config["text"] is not None and config["input"] is not None:
        raise UserError("text=… and input=FILE are two sources: give one")
    if config["prefix"] is not None and config["prefixes"] is not None:
        raise UserError("prefix=… is for all lines, prefixes=FILE has one for each: give one")


def _lines(translator: Translator, sentences: Sequence[str], translations: Sequence[Translation], form: str) -> Iterable[str]:
    if form == "text":
        return [translation.text for translation in translations]
    return map(json_line, records(translator, sentences, translations))


def _with_prefixes(chunks: Iterable[list[str]], config: Config) -> Iterator[tuple[list[str], list[str] | None]]:
    """Each chunk with the beginnings of its translations."""
    if config["prefixes"] is None:
        for chunk in chunks:
            yield chunk, None if config["prefix"] is None else [config["prefix"]] * len(chunk)
        return
    prefixes = chain.from_iterable(chunks_in(config["prefixes"]))
    for chunk in chunks:
        begun = list(islice(prefixes, len(chunk)))
        if len(begun) < len(chunk):
            raise UserError(f"{config['prefixes']} has fewer lines than the input: each line needs one, which may be empty")
        yield chunk, begun
    if next(prefixes, None) is not None:
        raise UserError(f"{config['prefixes']} has more lines than the input")
