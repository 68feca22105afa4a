"""Pools that are too large for the pixel cache: the images beyond its limit are decoded when they are asked for.

Rows count on where ``pixels.npy`` ends. The file ``pixels.beyond`` beside it says for each of these rows which image
it is: a line of JSON that names the first row and what squares are like, then a line ``[uri, name]`` for each. So a
path still is all that training and scoring need, here or in another process, and they get the same pixels bit for bit
as from a larger cache.

An original that cannot be read any more becomes a grey square, and the log says so: one photo that vanished does not
end a round of a million.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from tidal_core.config import PixelSpec
from tidal_core.errors import ImageUnreadable, InputError
from tidal_core.records import Int64, UInt8

logger = logging.getLogger(__name__)

SUFFIX = ".beyond"
DECODERS = max(2, min(8, (os.cpu_count() or 2) - 1))
_GREY = 128
_TRIES = 3  # the two files are replaced one after the other when a cache is filled anew


def open_source(path: Path) -> UInt8:
    """``pixels.npy`` as a memory map uint8 (rows, S, S, 3), or a ``PixelSource`` where images lie beyond it.

    Raises InputError when the file is missing or is something else.
    """
    beside = path.with_suffix(SUFFIX)
    for attempt in range(_TRIES):
        try:
            pixels: UInt8 = np.load(path, mmap_mode="r")
            # Typed as what it stands in for: everything that takes pixels indexes them by rows and asks for no more.
            return cast(UInt8, PixelSource(pixels, beside)) if beside.exists() else pixels
        except (OSError, ValueError, EOFError) as error:
            if attempt == _TRIES - 1 or not beside.exists():
                raise InputError(
                    f"the pixel cache {path} cannot be read ({error}); fill it again from the project page."
                ) from error
            time.sleep(0.05)
    raise AssertionError("unreachable")


class PixelSource:
    """Squares by their rows: from the memory map as far as it goes, the others decoded by a few threads."""

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, cached: UInt8, beside: Path) -> None:
        self.first, self._spec, self._lines = _read(beside)
        if cached.shape[1] != self._spec.size or len(cached) < self.first:
            raise ValueError(f"{beside.name} belongs to another cache than {cached.shape}")
        self._cached = cached
        self.cached = cached[: self.first]
        self.shape: tuple[int, ...] = (self.first + len(self._lines), *cached.shape[1:])
        self._threads: ThreadPoolExecutor | None = None
        self._missing: set[str] = set()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | Sequence[int] | Int64) -> UInt8:
        wanted = np.asarray(rows, dtype=np.int64)
        if wanted.ndim == 0:
            return cast(UInt8, self[wanted[None]][0])
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"row {wanted.max()} of {len(self)}")
        squares = np.empty((len(wanted), *self.shape[1:]), dtype=np.uint8)
        beyond = wanted >= self.first
        squares[~beyond] = self._cached[wanted[~beyond]]
        places = np.flatnonzero(beyond)
        if len(places):
            if self._threads is None:  # they end with this object
                self._threads = ThreadPoolExecutor(DECODERS, thread_name_prefix="decode")
            lines = (self._lines[int(row) - self.first] for row in wanted[places])
            for place, square in zip(places, self._threads.map(self._decode, lines), strict=True):
                squares[place] = square
        return squares

    def _decode(self, line: bytes) -> UInt8:
        from tidal_core.images.pixels.cache import square_of
        from tidal_core.images.sources import read_uri

        spec = self._spec
        uri, name = json.loads(line) or ("", "")
        try:
            return square_of(read_uri(uri, name), name, spec.size, spec.fit, spec.grayscale)
        except ImageUnreadable as error:
            if uri not in self._missing:
                self._missing.add(uri)
                logger.warning("A grey square stands for %s: %s", name, error.reason)
            return np.full((spec.size, spec.size, 3), _GREY, dtype=np.uint8)


class _Lines(Sequence[bytes]):
    """The lines of a file after its first, found without reading them one by one."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        ends = np.flatnonzero(np.frombuffer(self._data, dtype=np.uint8) == ord("\n"))
        self._ends: NDArray[np.int64] = ends.astype(np.int64)  # an unfinished last line has none and does not count

    @property
    def head(self) -> bytes:
        return self._data[: int(self._ends[0])]

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place: int) -> bytes:  # type: ignore[override]  # no slices
        return self._data[int(self._ends[place]) + 1 : int(self._ends[place + 1])]

    def end_of(self, n: int) -> int:
        """Where the n-th line ends, in bytes."""
        return int(self._ends[n]) + 1

    def close(self) -> None:
        self._data.close()


def _read(path: Path) -> tuple[int, PixelSpec, _Lines]:
    lines = _Lines(path)
    try:
        head = json.loads(lines.head)
        return int(head.pop("first")), PixelSpec.from_dict(head), lines
    except (KeyError, IndexError, AttributeError, TypeError) as error:
        raise ValueError(f"{path.name} is damaged ({error})") from error


@contextmanager
def _instead_of(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of ``path`` when the block ends well; nothing is left of it when not."""
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            yield file
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def rename(path: Path, places: Mapping[int, tuple[str, str]]) -> None:
    """Say in ``pixels.beyond`` where images lie now: row to ``(uri, name)``; other rows are passed over.

    Whoever has the file open goes on with what it said.
    """
    first, _, lines = _read(path)
    with _instead_of(path) as file:
        file.write(lines.head + b"\n")
        for row, line in enumerate(lines, start=first):
            file.write((json.dumps(places[row]).encode() if row in places else line) + b"\n")
    lines.close()


class BeyondFile:
    """``pixels.beyond`` open for writing. ``first``: the row of its first image; ``next_row``: the next to come.

    What a killed process wrote behind ``next_row`` is cut off. A file that is there keeps its own ``first``.
    """

    def __init__(self, path: Path, first: int, spec: PixelSpec, next_row: int) -> None:
        self.first = first
        self._count = 0
        self._file: BinaryIO
        if path.exists() and path.stat().st_size:
            self.first, _, lines = _read(path)
            self._count = min(len(lines), max(0, next_row - self.first))
            end = lines.end_of(self._count)
            lines.close()
            self._file = path.open("r+b")
            self._file.truncate(end)
            self._file.seek(end)
        else:
            head = {"first": first, "size": spec.size, "fit": spec.fit, "grayscale": spec.grayscale}
            with _instead_of(path) as file:  # on a full disk it is not there, rather than empty
                file.write(json.dumps(head).encode() + b"\n")
            self._file = path.open("ab")

    def write(self, row: int, images: Sequence[tuple[str, str]]) -> None:
        """``(uri, name)`` of the images at ``row``, ``row + 1`` ...; rows left out belong to no image."""
        gap = row - self.first - self._count
        lines = [b"null\n"] * gap + [json.dumps(image).encode() + b"\n" for image in images]
        self._file.write(b"".join(lines))
        self._file.flush()
        self._count += len(lines)

    def close(self) -> None:
        """Close the file; what was written is with the operating system."""
        self._file.close()
