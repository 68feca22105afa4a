"""The squares of a ``pixels.npy`` that lies at an address (``s3://bucket/birds/pixels.npy``), read row by row.

For machines that do not see the project's folder: each fetches the rows that it needs, and no more, straight from where
the file lies. Only whole caches can lie there: images beyond the limit are read by their own addresses (``beyond``).
"""

from __future__ import annotations

import io
import threading
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy

from tidal_core.errors import InputError
from tidal_core.images.pixels.array_file import HEADER_BYTES
from tidal_core.images.sources.remote import file_system, why_not
from tidal_core.records import Int64, UInt8

GAP = 16  # rows that are fetched and thrown away rather than to ask for two parts


class AddressedPixels:
    """Squares by their rows, as a ``PixelStore`` gives them. Raises InputError where the file cannot be read."""

    is_partly_beyond = True  # to fetch ahead is worth it, as decoding is

    def __init__(self, address: str) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._fs: Any = None
        self._path = ""
        self._start = 0
        self.rows = self.side = 0

    def open(self) -> Self:
        """Read the header, if that was not done yet."""
        with self._lock:
            if self._fs is None:
                fs, self._path = file_system(self.address)
                head = io.BytesIO(self._fetch(fs, [(0, HEADER_BYTES)])[0])
                try:
                    npy.read_magic(head)
                    shape, fortran, dtype = npy.read_array_header_1_0(head)
                except ValueError as error:
                    raise InputError(
                        f"{self.address} is no pixel cache; give a copy of a project's pixels.npy."
                    ) from error
                if dtype != np.uint8 or fortran or len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
                    raise InputError(
                        f"{self.address} is {dtype} {shape} and should be uint8 (rows, H, H, 3); give a copy of a "
                        "project's pixels.npy."
                    )
                self.rows, self.side, self._start = int(shape[0]), int(shape[1]), head.tell()
                self._fs = fs
        return self

    def __len__(self) -> int:
        return self.open().rows

    def __getitem__(self, rows: Int64) -> UInt8:
        """The squares (n, S, S, 3) of ``rows`` (n,), in their order. Raises IndexError, and InputError."""
        self.open()
        if len(rows) and not (rows.min() >= 0 and rows.max() < self.rows):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {self.rows}")
        row_bytes = self.side * self.side * 3
        wanted = np.unique(rows)
        begins = np.flatnonzero(np.diff(wanted, prepend=-GAP - 2) > GAP)  # of runs that are fetched in one part
        runs = [(int(run[0]), int(run[-1]) + 1) for run in np.split(wanted, begins[1:])] if len(wanted) else []
        parts = self._fetch(
            self._fs, [(self._start + first * row_bytes, self._start + last * row_bytes) for first, last in runs]
        )
        squares = np.empty((len(rows), self.side, self.side, 3), dtype=np.uint8)
        for (first, last), part in zip(runs, parts, strict=True):
            if len(part) != (last - first) * row_bytes:
                raise InputError(f"{self.address} ends before row {last:,}; copy the project's pixels.npy there again.")
            inside = (rows >= first) & (rows < last)
            squares[inside] = np.frombuffer(part, np.uint8).reshape(-1, self.side, self.side, 3)[rows[inside] - first]
        return squares

    def _fetch(self, fs: Any, parts: list[tuple[int, int]]) -> list[bytes]:
        if not parts:
            return []
        begins, ends = zip(*parts, strict=True)
        try:
            fetched = fs.cat_ranges([self._path] * len(parts), list(begins), list(ends), on_error="raise")
        except Exception as error:  # each protocol raises errors of its own
            reason, remedy = why_not(error)
            raise InputError(f"{self.address} cannot be read: {reason}; {remedy}.") from error
        return [bytes(part) for part in fetched]
