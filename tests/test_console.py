"""Nothing that is shown is obeyed by a terminal."""

import ast
import io
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

import nmt
from nmt.cli import main
from nmt.commands.streams import output_to, write_lines
from nmt.console import LONGEST_MESSAGE, Output, logged_to, plain, say_on_console, visible

PACKAGE = Path(nmt.__file__).parent
HOSTILE = "a\x1b[2Jb\x07\x9b31m\x7f\r\u202ec\u2066\u2028d\udc80"
SHOWN = r"a\x1b[2Jb\x07\x9b31m\x7f\r\u202ec\u2066\u2028d\udc80"
OBEYED = [
    *map(chr, (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
]


def test_what_a_terminal_obeys_is_shown_and_everything_else_stays() -> None:
    assert visible(HOSTILE) == SHOWN
    text = "Größe\t中文 🙂 e\u0301 \u200d \u05d0\n"
    assert visible(text) == text
    for character in OBEYED:
        assert visible(f"x{character}y") == f"x{ascii(character)[1:-1]}y"


def test_a_console_shows_text_in_every_form_and_keeps_its_own_styles() -> None:
    file = io.StringIO()
    out = Output(file=file, force_terminal=True, color_system="standard", highlight=False, soft_wrap=True)
    out.print(HOSTILE, markup=False)
    out.print(Text(HOSTILE.replace("\r", "").replace("\x07", "")))  # which rich itself leaves out
    out.print("[bold]x[/bold]")
    shown = file.getvalue()
    assert shown.startswith(f"{SHOWN}\n")
    assert SHOWN.replace(r"\r", "").replace(r"\x07", "") in shown
    assert "\x1b[1mx\x1b[0m" in shown
    assert shown.replace("\x1b[1mx\x1b[0m", "").replace("\n", "").isprintable()


def test_a_table_of_strange_names_has_straight_columns() -> None:
    file = io.StringIO()
    table = Table()
    table.add_column("name", no_wrap=True)
    table.add_column("more")
    for name in (plain(HOSTILE), plain("short"), HOSTILE):
        table.add_row(name, "x")
    Output(file=file, highlight=False, width=200).print(table)
    lines = file.getvalue().splitlines()
    assert len({len(line) for line in lines}) == 1
    assert sum(SHOWN in line for line in lines) == 2


def test_messages_and_the_log_of_a_run_pass_the_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("nmt"), "handlers", [])  # pytest's own cannot send a lone surrogate to its report
    say_on_console()
    with logged_to(tmp_path / "train.log"):
        logging.getLogger("nmt").warning(HOSTILE)
    assert SHOWN in (tmp_path / "train.log").read_text(encoding="utf-8")
    assert warnings.formatwarning(HOSTILE, UserWarning, "file.py", 1) == f"file.py:1: UserWarning: {SHOWN}\n"  # type: ignore[arg-type]


def test_an_error_is_one_line_of_bounded_length(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "nowhere\x1b]0;owned\x07\n\u202e" + "x" * 200, "text=a"]) == 2
    error = capsys.readouterr().err
    assert r"nowhere\x1b]0;owned\x07" in error
    assert error.count("\n") == 1
    assert not any(character in error for character in OBEYED)
    assert main(["translate", "y" * 90_000, "text=a"]) == 2
    assert LONGEST_MESSAGE / 2 < len(capsys.readouterr().err) < LONGEST_MESSAGE + 100


def test_a_traceback_passes_the_filter() -> None:
    program = "from nmt.console import say_on_console; say_on_console(); raise ValueError('\\x1b[2J')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: \\x1b[2J\n")


@pytest.mark.parametrize("file", [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "console.py"], ids=str)
def test_nothing_is_shown_but_through_the_console(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "Console", "rich.print", "sys.stdout.write", "sys.stderr.write"), node.lineno


@pytest.mark.parametrize("terminal", [True, False])
def test_translations_are_raw_in_files_and_pipes_and_shown_on_a_terminal(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdout", stream)
    with output_to(None) as output:
        write_lines(output, ["Größe", "\x1b[2J\u202e"])
    expected = "Größe\n\\x1b[2J\\u202e\n" if terminal else "Größe\n\x1b[2J\u202e\n"
    assert stream.buffer.getvalue() == expected.encode()  # type: ignore[attr-defined]  # which a BytesIO has
