"""`nmt report`: a table of runs, a row per setting."""

import logging
from dataclasses import replace
from pathlib import Path

from rich.text import Text
from sacrebleu.metrics.chrf import CHRF

from nmt.console import Output
from nmt.errors import UserError, naming
from nmt.evaluation.comparison import Figure, Row, Translations, significance
from nmt.evaluation.report import SCORES, Scores
from nmt.evaluation.tables import as_csv, as_markdown, as_picture, for_terminal
from nmt.files import write_text
from nmt.published import Published
from nmt.result import dev_score
from nmt.run import Config
from nmt.saved import read_json, read_saved_lines
from nmt.sweep.groups import Finished, find_runs, grouped
from nmt.tokenisation import SHOWN, Tokenisation, words_in

log = logging.getLogger("nmt.sweep")

FILES = ("table.md", "table.csv", "plot.png")


def main(config: Config) -> None:
    """Print the table of the runs in `run`; leave it as table.md, table.csv and plot.png in `output`."""
    folders = [Path(str(name)) for name in (config["run"] if isinstance(config["run"], list) else [config["run"]])]
    if not folders:
        raise UserError("nmt report needs folders: nmt report DIR…")
    output = _output(folders, config)
    place = None if output is None else Published(output, "report")
    if place is not None:
        place.check(FILES)
    found = find_runs(folders)
    groups = grouped(found.finished)
    rows, notes = _rows(groups)
    signatures = _signatures(groups)
    notes += _incomparable(groups)
    notes += [f"unfinished, left out: {directory}" for directory in found.unfinished]
    notes += [f"left out: {again} repeats the settings and the seed of {first}" for first, again in found.repeated]
    if rows:
        table = for_terminal(rows)
        Output(highlight=False, width=Output(width=1000).measure(table).maximum).print(table)
        for line in signatures:
            Output(highlight=False).print(Text(line), soft_wrap=True)
        if place is None:
            log.info("output=FOLDER leaves it there as table.md, table.csv and plot.png")
        else:
            _write(place, rows, signatures + notes)
            log.info(f"{place.folder / 'table.md'}, table.csv and plot.png hold it")
    for note in notes:
        log.warning(note)
    if not rows:
        raise UserError("none of these runs is finished: the command that began them continues them")


def _output(folders: list[Path], config: Config) -> Path | None:
    """Where the table goes: a folder that was named, or a single sweep."""
    if config["output"]:
        return Path(config["output"])
    return folders[0] if len(folders) == 1 and folders[0].is_dir() and not (folders[0] / "config.yaml").exists() else None


def _rows(groups: dict[str, list[Finished]]) -> tuple[list[Row], list[str]]:
    """The rows of the groups, and what kept any of them from being tested."""
    rows: list[Row] = []
    notes: list[str] = []
    first: dict[int, Translations] | None = None
    for label, runs in groups.items():
        row, translations = _row(label, runs), _translations(runs)
        if first is None:
            first = translations
        elif row.test_bleu is not None:
            p = _p(rows[0].leading, first, translations)
            if isinstance(p, float):
                row = replace(row, p=p)
            else:
                notes.append(f"no p of {label}: {p}")
        rows.append(row)
    return rows, notes


def _p(leading: str, first: dict[int, Translations], other: dict[int, Translations]) -> float | str:
    """The p-value of the leading metric, BLEU with the words of the stored scores, or why there is none."""
    if not first or not other:
        return "evaluation/test no longer holds the translations that were scored"
    if leading == "chrf":
        return significance(first, other, CHRF())
    words = {_words(one.signature) for one in (*first.values(), *other.values())}
    if len(words) > 1:
        return f"BLEU of tok:{' and tok:'.join(sorted(words))} cannot be compared"
    try:
        return significance(first, other, Tokenisation(words.pop()).bleu())
    except UserError as error:
        return str(error)


def _words(signature: str) -> str:
    """The tokenizer of a signature of BLEU; an older nmt, which stored none in a result, knew but one."""
    return words_in(signature) or signature or "13a"


def _signatures(groups: dict[str, list[Finished]]) -> list[str]:
    """The signatures of all scores, one per line."""
    signed = [run.result.get("signatures", {}).items() for runs in groups.values() for run in runs]
    return list(dict.fromkeys(f"{SHOWN.get(name, name)}: {signature}" for one in signed for name, signature in one))


def _incomparable(groups: dict[str, list[Finished]]) -> list[str]:
    """A note if the BLEU of runs is of words that were cut in several ways."""
    labels: dict[str, list[str]] = {}
    for label, runs in groups.items():
        for words in dict.fromkeys(_words(run.result.get("signatures", {}).get("bleu", "")) for run in runs):
            labels.setdefault(words, []).append(label)
    if len(labels) < 2:
        return []
    said = "; ".join(f"tok:{words} in {', '.join(several)}" for words, several in labels.items())
    return [f"BLEU cannot be compared where its words are cut otherwise: {said}"]


def _row(label: str, runs: list[Finished]) -> Row:
    results = [run.result for run in runs]
    leading = dev_score(results[0])[0]
    tested = all(result["test"] for result in results)
    return Row(
        label,
        Figure([dev_score(result)[1] for result in results]),
        Figure([result["test"]["bleu"] for result in results]) if tested else None,
        Figure([result["test"]["chrf"] for result in results]) if tested else None,
        results[0]["parameters"],
        Figure([result["target_tokens_per_second"] for result in results]),
        Figure([result["seconds"] for result in results]),
        leading=leading,
    )


def _translations(runs: list[Finished]) -> dict[int, Translations]:
    """By seed, what the runs made of the test split, where that is still what their test score was computed from."""
    found = {}
    for run in runs:
        folder = run.directory / "evaluation" / "test"
        try:
            scores = read_json(folder / SCORES, Scores)
            leading, signature = dev_score(run.result)[0], scores["bleu"]["signature"]
            hypotheses, references = (read_saved_lines(folder / f"{name}.txt") for name in ("hypotheses", "references"))
        except (OSError, UserError):
            continue
        if (
            run.result["test"]
            and (scores["chrf"] if leading == "chrf" else scores["bleu"])["score"] == run.result["test"][leading]
        ):
            found[run.seed] = Translations(hypotheses, references, signature)
    return found


def _write(place: Published, rows: list[Row], notes: list[str]) -> None:
    with place.writing() as folder:
        table, data, plot = (folder / name for name in FILES)
        write_text(table, as_markdown(rows) + "".join(f"\n{note}\n" for note in notes))
        write_text(data, as_csv(rows))
        with naming(plot):
            as_picture(rows).savefig(plot, dpi=120)
