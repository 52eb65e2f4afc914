"""A comparison on the terminal."""

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from nmt.console import Output
from nmt.evaluation.differences import KEPT, RIGHT, WRONG, Example, Marked
from nmt.evaluation.findings import CONTROLS, Findings

STYLES = {KEPT: "", RIGHT: "bold green underline", WRONG: "bold red"}
_OBEYED = (*range(0x80, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
TERMINAL_CONTROLS = CONTROLS | {code: ascii(chr(code))[1:-1] for code in _OBEYED}
"""What else a terminal may obey, as Python writes it."""


def table(findings: Findings) -> Table:
    """Scores and p-values of every system."""
    drawn = Table()
    for place, heading in enumerate(findings.headings()):
        drawn.add_column(heading.replace(", ", "\n"), justify="left" if place < 2 else "right", no_wrap=True)
    systems = len(findings.files)
    for place, row in enumerate(findings.rows(), start=1):
        drawn.add_row(*map(plain, row), end_section=place % systems == 0)
    return drawn


def examples(findings: Findings) -> Iterator[RenderableType]:
    """The sentences with the largest differences, of one system after the other."""
    for system, (won, lost) in findings.examples.items():
        for what, chosen in (("better", won), ("worse", lost)):
            if chosen:
                heading = (
                    f"Sentences that {system} translates {what} than {findings.baseline}, the largest differences in chrF first"
                )
                yield Text(heading.translate(TERMINAL_CONTROLS), "bold reverse")
                yield from (_example(example, findings.baseline, system) for example in chosen)


def plain(text: str) -> Text:
    """Text that is shown as it is: no markup, nothing that a terminal would obey."""
    return Text(text.translate(TERMINAL_CONTROLS))


def _example(example: Example, baseline: str, system: str) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", overflow="fold", max_width=30)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(f"line {example.line}", "bold"), Text(f"{example.difference:+.1f}", "bold"))
    if example.source is not None:
        grid.add_row(Text("source", "dim"), "", plain(example.source))
    for reference in example.references:
        grid.add_row(Text("reference", "dim"), "", plain(reference))
    for name, score, words in zip(
        (baseline, system), (example.baseline_score, example.other_score), example.marked(), strict=True
    ):
        grid.add_row(plain(name), f"{score:.1f}", _styled(words))
    return grid


def _styled(words: Marked) -> Text:
    return Text.assemble(*((part.translate(TERMINAL_CONTROLS), STYLES[mark]) for part, mark in words))


def show(findings: Findings, console: Console) -> None:
    """Print it: first the sentences, then the table, what it says, and the signatures, which so stay in sight."""
    for part in examples(findings):
        console.print(part)
        console.print()
    if console.is_terminal and any(won or lost for won, lost in findings.examples.values()):
        right, wrong = Text("so", STYLES[RIGHT]), Text("so", STYLES[WRONG])
        console.print(Text.assemble("Words that differ and are in the reference look ", right, ", others ", wrong, ".\n"))
    drawn = table(findings)
    Output(file=console.file, highlight=False, width=Output(width=1000).measure(drawn).maximum).print(drawn)
    for lines in (findings.verdicts(), findings.notes(), findings.signatures()):
        console.print()
        for line in lines:
            console.print(plain(line), soft_wrap=True)
