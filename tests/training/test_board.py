"""TensorBoard's event files: read back by TensorBoard itself."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nmt.errors import naming
from nmt.explain.plots import heat_map
from nmt.training.board import Board


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def steps(folder: Path, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(folder).Scalars(name)]


def test_what_is_written_has_left_the_process(tmp_path: Path) -> None:
    board = Board(tmp_path, updates=0)
    board.scalars({"train/loss": 3.5, "train/epoch": 2}, 1)
    assert steps(tmp_path, "train/loss") == [(1, 3.5)]  # it is neither closed nor flushed
    assert steps(tmp_path, "train/epoch") == [(1, 2.0)]
    board.close()


def test_a_continued_run_shows_every_step_once(tmp_path: Path) -> None:
    for updates, value in ((0, 1.0), (4, 2.0), (2, 3.0)):  # from the beginning, after update 4, and back after update 2
        board = Board(tmp_path, updates=updates)
        for step in range(updates + 1, updates + 7):
            board.scalars({"train/loss": value}, step)
        board.close()
    assert steps(tmp_path, "train/loss") == [(1, 1.0), (2, 1.0), *((step, 3.0) for step in range(3, 9))]


def test_a_second_file_forgets_nothing_unless_asked_to(tmp_path: Path) -> None:
    for board in (Board(tmp_path, updates=0), Board(tmp_path, suffix=".more")):
        board.scalars({"train/loss": 1.0}, 5)
        board.close()
    assert [step for step, _ in steps(tmp_path, "train/loss")] == [5, 5]


def test_a_picture_is_the_png_of_the_figure(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.picture("attention/dev_1", heat_map(torch.rand(4, 7), list("abcdefg"), list("xyzw")), 3)
    board.close()
    (image,) = read(tmp_path).Images("attention/dev_1")
    assert image.step == 3
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert (image.width, image.height) == tuple(
        int.from_bytes(image.encoded_image_string[start : start + 4], "big") for start in (16, 20)
    )


def test_a_text_is_one_piece_of_markdown_that_tensorboard_renders_as_it_is(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.text("valid/samples", "| a |\n|---|\n| b |", 3)
    board.close()
    (event,) = read(tmp_path).Tensors("valid/samples")
    assert event.tensor_proto.string_val == [b"| a |\n|---|\n| b |"]
    assert not event.tensor_proto.tensor_shape.dim  # one with dimensions becomes a table around it


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file grows beyond 20,000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_disk")
def test_what_cannot_be_written_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.scalars({"train/loss": 1.0}, 1)
    with pytest.raises(OSError) as caught:
        board.text("valid/samples", "x" * 30_000, 2)
    assert caught.value.filename == str(board.path)


def test_an_error_that_names_its_file_keeps_that_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, naming(tmp_path):
        (tmp_path / "nowhere").read_bytes()
    assert caught.value.filename == str(tmp_path / "nowhere") or caught.value.filename == tmp_path / "nowhere"
