"""The text that is evaluated: a split, two or more files, or a test set that sacreBLEU knows by name."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.data.files import read_lines
from nmt.errors import UserError


@dataclass(frozen=True)
class Texts:
    """Sources with one or several references each.

    Attributes:
        name: of the folder that the evaluation leaves in the run; no other text has it.
        what: in words, for tables.
        sources: a line each.
        references: one or several sequences, each with a line for every source.
        language: of the target, where sacreBLEU chooses BLEU's tokenizer by it; else empty.
    """

    name: str
    what: str
    sources: list[str]
    references: list[list[str]]
    language: str = ""


LONGEST = 60
"""Characters of a file's name in the name of a folder."""


def from_files(source: Path, references: Sequence[Path]) -> Texts:
    r"""The lines of a file and of its reference translations; a line ends at `\n` only.

    Files of one name in several folders are told apart by a hash of their paths.

    Raises:
        UserError: if a file cannot be read, is empty, or has another number of lines than the sources.
    """
    if not references:
        raise UserError("reference=FILE must name a file, or several: reference=[A,B]")
    texts = {path: list(read_lines(path)) for path in (source, *references)}
    for path, lines in texts.items():
        if not lines:
            raise UserError(f"{path} is empty")
        if len(lines) != len(texts[source]):
            raise UserError(
                f"{source} has {len(texts[source])} lines but {path} has {len(lines)}: line N of one must be the translation "
                "of line N of the other"
            )
    paths = "\n".join(str(path.resolve()) for path in (source, *references))
    name = f"input-{source.name[:LONGEST]}-{hashlib.sha256(paths.encode()).hexdigest()[:8]}"
    return Texts(name, f"input={source}", texts[source], [texts[path] for path in references])
