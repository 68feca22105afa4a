"""One growing NumPy file of squares, ``pixels.npy``: ``np.load(path, mmap_mode="r")`` opens it anywhere.

An array of shape (rows, S, S, 3), uint8. It grows at its end. Which row belongs to which image only the project's file
knows, and it is told after the row was written: a process killed in between leaves rows that nobody refers to, and they
are written over by the next import. One process writes (the one that owns the project's file); any number may read.

The header is written as NumPy's format version 1.0 is documented (``numpy.lib.format``), with room for any number of
rows, so that it never moves what follows it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from tidal_core.errors import InputError
from tidal_core.records import UInt8

HEADER_BYTES = 128  # a multiple of 64, as the format asks; rows of 20 digits fit
MAKE_AGAIN = (
    "save another size of the pixel cache on the Project page (Settings): all images are then processed again, and "
    "labels are kept"
)
"""The remedy for a cache that is gone or damaged."""
_GROW_ROWS = 4_096  # the file is lengthened by at least this many rows at a time (sparse where the disk allows it)
_CHUNK = 1 << 20


class ArrayFile:
    """The file open for writing. Usable from several threads; close it.

    Opening makes the file when it is not there. Raises InputError when the file holds squares of another size.
    """

    def __init__(self, path: Path, size: int, limit: int | None = None) -> None:
        self.path = path
        self.size = size
        self._limit = limit  # rows that the file may grow to
        self._lock = threading.Lock()
        self._row_bytes = size * size * 3
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = open(path, "r+b" if path.exists() and path.stat().st_size else "w+b")  # noqa: SIM115
        try:
            self._rows, self._start = self._read_header()
        except BaseException:
            self._file.close()
            raise

    @property
    def rows(self) -> int:
        """Rows that the file has room for; not all of them need be in use."""
        return self._rows

    def write(self, first: int, squares: UInt8) -> None:
        """Write squares (n, S, S, 3) to rows first ... first + n - 1, lengthening the file when needed."""
        if squares.dtype != np.uint8 or squares.shape[1:] != (self.size, self.size, 3):
            raise InputError(
                f"the pixel cache holds uint8 squares of {self.size} pixels, not {squares.dtype} {squares.shape[1:]}."
            )
        with self._lock:
            last = first + len(squares)
            if last > self._rows:
                roomy = self._rows + _GROW_ROWS
                self._grow(max(last, roomy if self._limit is None else min(roomy, self._limit)))
            self._file.seek(self._start + first * self._row_bytes)
            self._file.write(np.ascontiguousarray(squares).tobytes())
            self._file.flush()

    def close(self) -> None:
        """Close the file; what was written is with the operating system."""
        with self._lock:
            self._file.close()

    def _read_header(self) -> tuple[int, int]:
        """Rows and the position of the first one, in bytes; writes the header of a new file."""
        self._file.seek(0, os.SEEK_END)
        if self._file.tell() == 0:
            self._write_header(0, HEADER_BYTES)
            return 0, HEADER_BYTES
        self._file.seek(0)
        npy.read_magic(self._file)
        shape, fortran, dtype = npy.read_array_header_1_0(self._file)
        start = self._file.tell()
        if dtype != np.uint8 or fortran or shape[1:] != (self.size, self.size, 3):
            raise InputError(
                f"{self.path} holds {dtype} squares of shape {shape[1:]}, this project needs {self.size} pixels; "
                f"delete that file and {MAKE_AGAIN}."
            )
        self._file.seek(0, os.SEEK_END)
        # A process killed while the file grew may have left more or less behind the header than it says.
        return min(int(shape[0]), (self._file.tell() - start) // self._row_bytes), start

    def _write_header(self, rows: int, length: int) -> None:
        self._file.seek(0)
        self._file.write(header(rows, self.size, length))
        self._file.flush()

    def _grow(self, rows: int) -> None:
        """Lengthen the file first and say so in its header second: a reader never sees rows that are not there."""
        self._file.truncate(self._start + rows * self._row_bytes)
        self._write_header(rows, self._start)
        self._rows = rows


def header(rows: int, size: int, length: int = HEADER_BYTES) -> bytes:
    """What stands before ``rows`` squares of ``size`` pixels in a NumPy file, in ``length`` bytes.

    Magic, version 1.0, the length of the rest as two little-endian bytes, and a Python dictionary as ASCII text, padded
    with spaces and ended by a line end. Raises InputError where it does not fit: in a file of another program.
    """
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({rows}, {size}, {size}, 3), }}".encode("ascii")
    room = length - 10
    if len(text) >= room:
        raise InputError(
            f"the pixel cache has a header of {length} bytes, too short for {rows:,} rows; delete the file and "
            f"{MAKE_AGAIN}."
        )
    return b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little") + text.ljust(room - 1) + b"\n"


def first_rows(squares: UInt8, rows: int) -> Iterator[bytes]:
    """The first rows of an array (N, S, S, 3) as an array file of their own, in parts."""
    yield header(rows, squares.shape[1])
    step = max(1, _CHUNK // int(np.prod(squares.shape[1:])))
    for start in range(0, rows, step):
        yield squares[start : min(start + step, rows)].tobytes()
