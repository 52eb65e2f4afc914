"""`nmt report`: a table of runs, a row per setting."""

import logging
from dataclasses import replace
from pathlib import Path

from nmt.console import Output
from nmt.errors import UserError
from nmt.evaluation.comparison import Figure, Row, Translations, significance
from nmt.evaluation.report import SCORES, Scores
from nmt.evaluation.tables import as_csv, as_markdown, as_picture, for_terminal
from nmt.run import Config
from nmt.saved import read_json, read_saved_lines
from nmt.sweep.groups import Finished, find_runs, grouped

log = logging.getLogger("nmt.sweep")


def main(config: Config) -> None:
    """Print the table of the runs in `run`; leave it as table.md, table.csv and plot.png in `output`."""
    folders = [Path(str(name)) for name in (config["run"] if isinstance(config["run"], list) else [config["run"]])]
    if not folders:
        raise UserError("nmt report needs folders: nmt report DIR…")
    found = find_runs(folders)
    groups = grouped(found.finished)
    rows, notes = _rows(groups)
    notes += [f"unfinished, left out: {directory}" for directory in found.unfinished]
    notes += [f"left out: {again} repeats the settings and the seed of {first}" for first, again in found.repeated]
    if rows:
        table = for_terminal(rows)
        Output(highlight=False, width=Output(width=1000).measure(table).maximum).print(table)
        output = config["output"] or (folders[0] if len(folders) == 1 and not (folders[0] / "config.yaml").exists() else None)
        if output is None:
            log.info("output=FOLDER leaves it there as table.md, table.csv and plot.png")
        else:
            _write(Path(output), rows, notes)
            log.info(f"{Path(output) / 'table.md'}, table.csv and plot.png hold it")
    for note in notes:
        log.warning(note)
    if not rows:
        raise UserError("none of these runs is finished: the command that began them continues them")


def _rows(groups: dict[str, list[Finished]]) -> tuple[list[Row], list[str]]:
    """The rows of the groups, and what kept any of them from being tested."""
    rows, notes = [], []
    first: dict[int, Translations] | None = None
    for label, runs in groups.items():
        row, translations = _row(label, runs), _translations(runs)
        if first is None:
            first = translations
        elif row.test_bleu is not None:
            gone = "" if first and translations else "evaluation/test no longer holds the translations that were scored"
            p = gone or significance(first, translations)
            if isinstance(p, float):
                row = replace(row, p=p)
            else:
                notes.append(f"no p of {label}: {p}")
        rows.append(row)
    return rows, notes


def _row(label: str, runs: list[Finished]) -> Row:
    results = [run.result for run in runs]
    tested = all(result["test"] for result in results)
    return Row(
        label,
        Figure([result["dev"]["bleu"] for result in results]),
        Figure([result["test"]["bleu"] for result in results]) if tested else None,
        Figure([result["test"]["chrf"] for result in results]) if tested else None,
        results[0]["parameters"],
        Figure([result["target_tokens_per_second"] for result in results]),
        Figure([result["seconds"] for result in results]),
    )


def _translations(runs: list[Finished]) -> dict[int, Translations]:
    """By seed, what the runs made of the test split, where that is still what their test score was computed from."""
    found = {}
    for run in runs:
        folder = run.directory / "evaluation" / "test"
        try:
            score = read_json(folder / SCORES, Scores)["bleu"]["score"]
            texts = [read_saved_lines(folder / f"{name}.txt") for name in ("hypotheses", "references")]
        except (OSError, UserError):
            continue
        if run.result["test"] and score == run.result["test"]["bleu"]:
            found[run.seed] = Translations(*texts)
    return found


def _write(output: Path, rows: list[Row], notes: list[str]) -> None:
    output.mkdir(parents=True, exist_ok=True)
    below = "".join(f"\n{note}\n" for note in notes)
    (output / "table.md").write_text(as_markdown(rows) + below, encoding="utf-8")
    (output / "table.csv").write_text(as_csv(rows), encoding="utf-8")
    as_picture(rows).savefig(output / "plot.png", dpi=120)
