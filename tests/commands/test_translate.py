"""What `nmt translate` does with files."""

from pathlib import Path

import pytest

from nmt.commands.streams import output_to


def test_an_output_appears_whole_and_may_be_the_input(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("source\n")
    with output_to(str(path)) as output:
        output.write(b"translation\n")
        assert path.read_text() == "source\n"
    assert path.read_text() == "translation\n"
    assert list(tmp_path.iterdir()) == [path]


def test_what_goes_wrong_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("old\n")
    with pytest.raises(KeyError), output_to(str(path)) as output:
        output.write(b"new\n")
        raise KeyError
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]
