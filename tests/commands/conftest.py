"""What tests of commands that read lines and write lines share."""

import io
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from nmt.cli import main


class Done(NamedTuple):
    """What a command has left: its status, the bytes on stdout and the text on stderr."""

    status: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        """Of the output, each of which must have its end."""
        *lines, rest = self.out.decode().split("\n")
        assert rest == ""
        return lines


@pytest.fixture
def nmt(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Done]:
    """Runs a command line in this process."""

    def run(*arguments: object, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = main([*map(str, arguments), "threads=1"])
        output = capfdbinary.readouterr()
        return Done(status, output.out, output.err.decode())

    return run
