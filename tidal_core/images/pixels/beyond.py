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
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tidal_core.config import PixelSpec
from tidal_core.errors import ImageUnreadable, reason_of
from tidal_core.files import atomic_file
from tidal_core.images.sources import read_original
from tidal_core.images.squares import square_of
from tidal_core.records import UInt8

logger = logging.getLogger(__name__)

SUFFIX = ".beyond"
DECODERS = max(2, min(8, (os.cpu_count() or 2) - 1))
_GREY = 128
_CHUNK = 1 << 20


class BeyondRows:
    """``pixels.beyond`` open for reading; ``first``: the row of its first image. ValueError for a damaged one."""

    def __init__(self, path: Path) -> None:
        self.lines = _Lines(path)
        try:
            head = json.loads(self.lines.head)
            self.first = int(head.pop("first"))
            self.spec = PixelSpec.from_dict(head)
        except (KeyError, IndexError, AttributeError, TypeError) as error:
            raise ValueError(f"{path.name} is damaged ({reason_of(error)})") from error
        self._threads: ThreadPoolExecutor | None = None
        self._folder = path.parent  # the project's
        self._missing: set[str] = set()

    def __len__(self) -> int:
        return len(self.lines)

    def decode(self, rows: Sequence[int]) -> Iterator[UInt8]:
        """The squares of these rows (S, S, 3), in this order, decoded by a few threads."""
        if self._threads is None:  # they end with this object
            self._threads = ThreadPoolExecutor(DECODERS, thread_name_prefix="decode")
        return self._threads.map(self._decode, (self.lines[row - self.first] for row in rows))

    def _decode(self, line: bytes) -> UInt8:
        spec = self.spec
        uri, name = json.loads(line) or ("", "")
        try:
            return square_of(read_original(self._folder, uri, name), name, spec.size, spec.fit, spec.grayscale)
        except ImageUnreadable as error:
            if uri not in self._missing:
                self._missing.add(uri)
                logger.warning("A grey square stands for %s: %s", name, error.reason)
            return np.full((spec.size, spec.size, 3), _GREY, dtype=np.uint8)

    def until(self, row: int) -> Iterator[bytes]:
        """The part of the file that names the rows before ``row``, as a file of its own, in parts."""
        return self.lines.first(row - self.first)

    def close(self) -> None:
        """Let the file go."""
        self.lines.close()


class _Lines(Sequence[bytes]):
    """The lines of a file after its first, found without reading them one by one."""

    def __init__(self, path: Path) -> None:
        self._data: mmap.mmap | bytes
        if sys.platform == "win32":
            self._data = path.read_bytes()  # what is mapped could not be replaced there
        else:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        ends = np.flatnonzero(np.frombuffer(self._data, dtype=np.uint8) == ord("\n"))
        self._ends: NDArray[np.int64] = ends.astype(np.int64)  # an unfinished last line has none and does not count

    @property
    def head(self) -> bytes:
        return self._data[: int(self._ends[0])]

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> bytes:  # type: ignore[override]  # no slices
        return self._data[int(self._ends[index]) + 1 : int(self._ends[index + 1])]

    def end_of(self, n: int) -> int:
        """Where the n-th line ends, in bytes."""
        return int(self._ends[n]) + 1

    def first(self, n: int) -> Iterator[bytes]:
        """The first line and the n lines after it, as they lie in the file."""
        end = self.end_of(n)
        return (self._data[start : min(start + _CHUNK, end)] for start in range(0, end, _CHUNK))

    def close(self) -> None:
        if isinstance(self._data, mmap.mmap):
            self._data.close()


def move(path: Path, locations: Mapping[int, tuple[str, str]]) -> None:
    """Say in ``pixels.beyond`` where images lie now: row to ``(uri, name)``; other rows are passed over.

    Whoever has the file open goes on with what it said.
    """
    rows = BeyondRows(path)
    with atomic_file(path) as file:
        file.write(rows.lines.head + b"\n")
        for row, line in enumerate(rows.lines, start=rows.first):
            file.write((json.dumps(locations[row]).encode() if row in locations else line) + b"\n")
    rows.close()


class BeyondFile:
    """``pixels.beyond`` open for writing. ``first``: the row of its first image; ``next_row``: the next to come.

    What a killed process wrote behind ``next_row`` is cut off. A file that is there keeps its own ``first``.
    """

    def __init__(self, path: Path, first: int, spec: PixelSpec, next_row: int) -> None:
        self.first = first
        self._count = 0
        self._file: BinaryIO
        if path.exists() and path.stat().st_size:
            rows = BeyondRows(path)
            self.first = rows.first
            self._count = min(len(rows), max(0, next_row - self.first))
            end = rows.lines.end_of(self._count)
            rows.close()
            self._file = path.open("r+b")
            self._file.truncate(end)
            self._file.seek(end)
        else:
            head = {"first": first, "size": spec.size, "fit": spec.fit, "grayscale": spec.grayscale}
            with atomic_file(path) as file:  # on a full disk it is not there, rather than empty
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
