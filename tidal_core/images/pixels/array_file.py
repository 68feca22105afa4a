"""The pixel cache: every image of a project as one square of uint8 RGB in one memory map, ``pixels.npy``.

The file is an ordinary NumPy array of shape (rows, S, S, 3): ``np.load(path, mmap_mode="r")`` opens it anywhere. It
grows at its end. Which row belongs to which image only the store knows, and it is told after the row was written: a
process killed in between leaves rows that nobody refers to, and they are written over by the next import.

One process writes (the one that owns the project's file); any number may read.
"""

from __future__ import annotations

import io
import math
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from PIL import Image

from tidal_core.config import Fit
from tidal_core.errors import InputError
from tidal_core.images.pixels.beyond import open_source
from tidal_core.images.reading import open_image
from tidal_core.records import Int64, UInt8

_GROW_ROWS = 4_096  # the file is lengthened by at least this many rows at a time (sparse where the disk allows it)

# Large images are first averaged over whole blocks, down to this many times the target: 1.7 times as fast as without,
# and off by 0.6 of 255 on average, a third of the difference between bilinear and bicubic (20 photos to 96 pixels).
REDUCING_GAP = 1.9


def decoded_side(size: int) -> int:
    """Pixels that both sides of an image need to become a square of ``size``: JPEGs need not be decoded larger."""
    return math.ceil(REDUCING_GAP * size)


def fit_square(image: Image.Image, size: int, fit: Fit = "crop", grayscale: bool = False) -> UInt8:
    """An RGB image as one square (size, size, 3), with three equal channels where ``grayscale`` is asked.

    ``crop``: the shortest side becomes ``size``, what stands over on the longer side is cut off evenly. ``letterbox``:
    the longest side becomes ``size``, the rest is black. Images smaller than that are enlarged.
    """
    square = fitted(image, size, fit)
    return np.asarray(Image.fromarray(square).convert("L").convert("RGB")) if grayscale else square


def fitted(image: Image.Image, size: int, fit: Fit) -> UInt8:
    """As ``fit_square``, in colour."""
    width, height = image.size
    resample = Image.Resampling.BILINEAR  # with pillow's antialiasing when it shrinks
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
        return np.asarray(image.resize((size, size), resample, box=box, reducing_gap=REDUCING_GAP))
    scale = size / max(width, height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    small = image.resize(inner, resample, reducing_gap=REDUCING_GAP)
    square = np.zeros((size, size, 3), dtype=np.uint8)
    left, top = (size - inner[0]) // 2, (size - inner[1]) // 2
    square[top : top + inner[1], left : left + inner[0]] = np.asarray(small)
    return square


def square_of(data: bytes, name: str, size: int, fit: Fit = "crop", grayscale: bool = False) -> UInt8:
    """One file's bytes as the square that the cache keeps (size, size, 3). Raises ImageUnreadable."""
    image, _ = open_image(data, name, at_least=decoded_side(size))
    return fit_square(image, size, fit, grayscale)


class PixelCache:
    """The open cache of one project. Usable from several threads; close it, or use it in a ``with`` block.

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

    def read(self, rows: Int64 | Sequence[int]) -> UInt8:
        """The squares of these rows (n, S, S, 3), in this order. Raises InputError for a row that the file lacks."""
        wanted = np.asarray(rows, dtype=np.int64)
        return np.asarray(open_pixels(self.path, at_least=int(wanted.max(initial=-1)) + 1)[wanted])

    def close(self) -> None:
        """Close the file; what was written is with the operating system."""
        with self._lock:
            self._file.close()

    def __enter__(self) -> PixelCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_header(self) -> tuple[int, int]:
        """Rows and the position of the first one, in bytes; writes the header of a new file."""
        self._file.seek(0, os.SEEK_END)
        if self._file.tell() == 0:
            return 0, self._write_header(0)
        self._file.seek(0)
        npy.read_magic(self._file)
        shape, fortran, dtype = npy.read_array_header_1_0(self._file)
        start = self._file.tell()
        if dtype != np.uint8 or fortran or shape[1:] != (self.size, self.size, 3):
            raise InputError(
                f"{self.path} holds {dtype} squares of shape {shape[1:]}, this project needs {self.size} pixels; "
                "fill the pixel cache again for the new training size."
            )
        self._file.seek(0, os.SEEK_END)
        # A process killed while the file grew may have left more or less behind the header than it says.
        return min(int(shape[0]), (self._file.tell() - start) // self._row_bytes), start

    def _write_header(self, rows: int) -> int:
        """NumPy pads the header for a growing first axis, so its length never changes."""
        self._file.seek(0)
        fields = {"descr": "|u1", "fortran_order": False, "shape": (rows, self.size, self.size, 3)}
        npy.write_array_header_1_0(self._file, fields)
        self._file.flush()
        return self._file.tell()

    def _grow(self, rows: int) -> None:
        """Lengthen the file first and say so in its header second: a reader never sees rows that are not there."""
        self._file.truncate(self._start + rows * self._row_bytes)
        self._write_header(rows)
        self._rows = rows


def open_pixels(path: Path, *, at_least: int = 0) -> UInt8:
    """The cache as a read-only array (rows, S, S, 3) that is read from disk as it is used.

    Where images lie beyond the cache's limit it is a ``PixelSource``, which decodes them when they are asked for.
    Raises InputError when the file is missing or has fewer rows than ``at_least``.
    """
    pixels = open_source(path)
    if len(pixels) < at_least:
        raise InputError(
            f"the pixel cache {path} has {len(pixels):,} rows and the project refers to row {at_least - 1:,}; "
            "fill it again from the project page."
        )
    return pixels


def png_bytes(image: Image.Image) -> bytes:
    """An image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def cached_png(path: Path, row: int, size: int | None = None) -> bytes:
    """The square of one image as PNG bytes: what can still be shown when the original is gone.

    Larger than ``size`` it is shrunk, never enlarged. Raises InputError when the cache does not have the row.
    """
    image = Image.fromarray(np.asarray(open_pixels(path, at_least=row + 1)[row]))
    if size is not None:
        image.thumbnail((size, size))
    return png_bytes(image)
