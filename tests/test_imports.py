"""Imports go one way: commands, then training, then decoding, evaluation and explain, then models and data."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nmt

PACKAGE = Path(nmt.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
CONCRETE_MODELS = {f"nmt.models.{path.stem}" for path in (PACKAGE / "models").glob("*.py")} - {
    "nmt.models.__init__",
    "nmt.models.seq2seq",
    "nmt.models.attention",
}

FORBIDDEN = {
    "data": {"nmt.models", "nmt.decoding", "nmt.evaluation", "nmt.explain", "nmt.training", "nmt.export", "nmt.serve"},
    "decoding": {"nmt.training", "nmt.export", "nmt.serve", *CONCRETE_MODELS},
    "evaluation": {"nmt.training", "nmt.export", "nmt.serve"},
    "explain": {"nmt.training", "nmt.export", "nmt.serve"},
    "training": {"nmt.export", "nmt.serve"},
}


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, at the top or inside a function, by its full name."""
    package = ["nmt", *file.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def name_of(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def test_imports_are_found_wherever_they_hide() -> None:
    assert "nmt.decoding.loading" in set(imports(PACKAGE / "decoding/translator.py"))  # inside a method
    assert "torch" in set(imports(PACKAGE / "decoding/search.py"))
    assert "nmt.models.seq2seq.Seq2Seq" in set(imports(PACKAGE / "decoding/search.py"))
    assert len(CONCRETE_MODELS) >= 3


@pytest.mark.parametrize("file", sorted((PACKAGE / "models").rglob("*.py")), ids=name_of)
def test_models_import_only_torch_the_standard_library_and_each_other(file: Path) -> None:
    foreign = [
        name
        for name in imports(file)
        if not within(name, "torch")
        and not within(name, "nmt.models")
        and name.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert foreign == []


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_package_imports_nothing_from_above_it(folder: str) -> None:
    files = sorted((PACKAGE / folder).rglob("*.py"))
    assert files
    upward = {
        (name_of(file), name)
        for file in files
        for name in imports(file)
        if any(within(name, package) for package in FORBIDDEN[folder])
    }
    assert upward == set()


def test_commands_are_imported_by_commands_only_and_by_the_command_line_through_their_name() -> None:
    outside = [file for file in FILES if file.relative_to(PACKAGE).parts[0] != "commands"]
    assert len(outside) < len(FILES)
    importers = {name_of(file) for file in outside for name in imports(file) if within(name, "nmt.commands")}
    assert importers == set()
    naming = {name_of(file) for file in outside if '"nmt.commands.' in file.read_text(encoding="utf-8")}
    assert naming == {"cli.py"}


@pytest.mark.parametrize("argument", ["--help", "--version", "no-such-command"])
def test_asking_for_help_imports_nothing_heavy(argument: str) -> None:
    program = (
        "import sys; from nmt.cli import main; status = main(sys.argv[1:]); "
        "heavy = {'torch', 'hydra', 'numpy', 'sentencepiece'} & set(sys.modules); sys.exit(f'{heavy}' if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", program, argument], capture_output=True, text=True, check=False)
    assert done.returncode == (2 if argument == "no-such-command" else 0), done.stderr
    assert "nmt" in (done.stdout or done.stderr)
