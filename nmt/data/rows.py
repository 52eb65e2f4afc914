"""Rows of numbers of unequal length in one file, memory-mapped."""

from array import array
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class Rows:
    """Rows that a `RowsWriter` wrote: `rows[n]` is an array, `rows.lengths` (rows,) says how long each is.

    Raises:
        ValueError: if the file has not the length that its offsets say, or these are none.
    """

    def __init__(self, path: Path, dtype: type[np.generic]) -> None:
        self._offsets = np.load(f"{path}.offsets.npy", mmap_mode="r")
        if self._offsets.ndim != 1 or self._offsets.dtype != np.int64 or len(self._offsets) == 0 or self._offsets[0] != 0:
            raise ValueError(f"{path}.offsets.npy holds no offsets")
        if path.stat().st_size != int(self._offsets[-1]) * np.dtype(dtype).itemsize:
            raise ValueError(f"{path} was cut short or altered")
        empty = self._offsets[-1] == 0  # nothing can be mapped
        self._values: npt.NDArray[Any] = np.empty(0, dtype) if empty else np.memmap(path, dtype, mode="r")
        self.lengths: npt.NDArray[np.int64] = np.diff(self._offsets)
        if len(self.lengths) and self.lengths.min() < 0:
            raise ValueError(f"{path}.offsets.npy holds an offset below the one before")

    def check_range(self, size: int) -> None:
        """Raise `ValueError` if a number is below 0, or not below `size`."""
        if len(self._values) and not (self._values.min() >= 0 and self._values.max() < size):
            raise ValueError(f"the numbers must be from 0 to {size - 1}, but are not")

    def span(self, begin: int, end: int) -> npt.NDArray[Any]:
        """The concatenated values of consecutive rows."""
        return self._values[self._offsets[begin] : self._offsets[end]]

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> npt.NDArray[Any]:
        return self._values[self._offsets[row] : self._offsets[row + 1]]


class RowsWriter:
    """Writes rows one after the other into `path`, and where each ends into `path.offsets.npy` when it is closed."""

    def __init__(self, path: Path, dtype: type[np.generic]) -> None:
        self._path = path
        self._dtype = dtype
        self._file = path.open("wb")
        self._lengths = array("q", [0])

    def append(self, row: npt.ArrayLike) -> None:
        """Add a row."""
        values = np.asarray(row, self._dtype)
        self._file.write(values.tobytes())
        self._lengths.append(len(values))

    def close(self) -> None:
        """Finish both files."""
        self._file.close()
        np.save(f"{self._path}.offsets.npy", np.cumsum(self._lengths, dtype=np.int64))
