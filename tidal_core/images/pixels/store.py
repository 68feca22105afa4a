"""The squares of a project, or of a data set, behind one class: rows in, squares out.

``pixels.npy`` holds as many as its limit allows (``array_file``), ``pixels.beyond`` names the images of the others
(``beyond``). Who asks for rows need not know which is which.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from PIL import Image

from tidal_core import files
from tidal_core.config import PixelSpec
from tidal_core.errors import InputError, reason_of
from tidal_core.images.pixels.array_file import MAKE_AGAIN, first_rows
from tidal_core.images.pixels.beyond import SUFFIX, BeyondRows, move
from tidal_core.images.pixels.writer import PixelWriter
from tidal_core.images.squares import png_bytes
from tidal_core.records import Int64, UInt8

FILE_NAMES = ("pixels.npy", f"pixels{SUFFIX}")
"""What the files of a project's store are called; the second is there only where images lie beyond the limit."""

_TRIES = 3  # the two files are replaced one after the other when a cache is filled anew


class _Opened(NamedTuple):
    """Both files as they were when they were opened."""

    cached: UInt8  # (rows, S, S, 3), a memory map
    beyond: BeyondRows | None

    @property
    def cached_rows(self) -> int:
        return len(self.cached) if self.beyond is None else self.beyond.first

    @property
    def rows(self) -> int:
        return len(self.cached) if self.beyond is None else self.beyond.first + len(self.beyond)


class PixelStore:
    """Squares by their rows. ``path``: the file ``pixels.npy``.

    It is opened when it is first looked at, and an object goes on showing what it opened, whatever takes the files'
    place: make another one to see what is there now. Usable from several threads. Everything that looks raises
    InputError when the file is missing or something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._beside = path.with_suffix(SUFFIX)
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a file to open."""
        return self.path.exists()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(rows, S, S, 3)."""
        return self.rows, self.side, self.side, 3

    @property
    def rows(self) -> int:
        """Rows that can be asked for; the last of them need not belong to an image yet."""
        return self._look().rows

    @property
    def side(self) -> int:
        """Pixels of a square's side."""
        return int(self._look().cached.shape[1])

    @property
    def cached_rows(self) -> int:
        """Rows, from the first one on, that are read and not decoded."""
        return self._look().cached_rows

    @property
    def is_partly_beyond(self) -> bool:
        """Whether there are images beyond the limit, which are decoded each time that they are asked for."""
        return self._look().beyond is not None

    def open(self, at_least: int = 0) -> Self:
        """Open it now. Raises InputError, too, when it has fewer rows than ``at_least``."""
        rows = self.rows
        if rows < at_least:
            raise InputError(
                f"the pixel cache {self.path} has {rows:,} rows and the project refers to row {at_least - 1:,}; "
                f"{MAKE_AGAIN}."
            )
        return self

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, rows: int | slice | Sequence[int] | Int64) -> UInt8:
        """The square of one row (S, S, 3), or those of several (n, S, S, 3) in their order. Raises IndexError."""
        opened = self._look()
        wanted = np.arange(opened.rows)[rows] if isinstance(rows, slice) else np.asarray(rows, dtype=np.int64)
        if wanted.ndim == 0:
            square: UInt8 = self[wanted[None]][0]
            return square
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < opened.rows):
            raise IndexError(f"rows {wanted.min()} to {wanted.max()} of {opened.rows}")
        if opened.beyond is None:
            return np.asarray(opened.cached[wanted])
        squares = np.empty((len(wanted), *opened.cached.shape[1:]), dtype=np.uint8)
        is_beyond = wanted >= opened.beyond.first
        squares[~is_beyond] = opened.cached[wanted[~is_beyond]]
        positions = np.flatnonzero(is_beyond)
        if len(positions):
            for position, decoded in zip(positions, opened.beyond.decode(wanted[positions].tolist()), strict=True):
                squares[position] = decoded
        return squares

    def png(self, row: int, size: int | None = None) -> bytes:
        """The square of one image as PNG: what can still be shown when the original is gone.

        Larger than ``size`` it is shrunk, never enlarged. Raises InputError when there is no such row.
        """
        image = Image.fromarray(self.open(at_least=row + 1)[row])
        if size is not None:
            image.thumbnail((size, size))
        return png_bytes(image)

    def writer(self, spec: PixelSpec, limit: int | None = None, next_row: int = 0) -> PixelWriter:
        """To add rows, see ``PixelWriter``."""
        return PixelWriter(self.path, spec, limit, next_row)

    def move(self, locations: Mapping[int, tuple[str, str]]) -> None:
        """Where images lie now: row to ``(uri, name)``. Of those whose squares are kept nothing needs be said."""
        if self._beside.exists():
            move(self._beside, locations)

    def files(self, rows: int) -> list[tuple[str, Iterator[bytes]]]:
        """Names and contents of the files that another place needs to have the first ``rows`` rows."""
        self.open(at_least=rows)
        opened = self._look()
        parts = [(self.path.name, first_rows(opened.cached, min(rows, opened.cached_rows)))]
        if opened.beyond is not None and rows > opened.beyond.first:
            # Else an import that was killed has begun to go beyond, with no image there yet.
            parts.insert(0, (self._beside.name, opened.beyond.until(rows)))
        return parts

    def swap_in(self, new: PixelStore, *, is_partly_beyond: bool) -> None:
        """Let the files of another store take the place of these; ``is_partly_beyond``: whether its rows are.

        What lies beyond first, the squares second: killed in between, the same call goes on.
        """
        self.close()
        new.close()
        if new._beside.exists():
            files.replace(new._beside, self._beside)
        elif not is_partly_beyond:
            self._beside.unlink(missing_ok=True)  # else it is the new one, in its place before a kill
        files.replace(new.path, self.path)

    def remove(self) -> None:
        """Delete the files, if they are there."""
        self.close()
        for path in (self.path, self._beside):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let the files go; the next look opens them again."""
        with self._lock:
            self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look(self) -> _Opened:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> _Opened:
        for attempt in range(_TRIES):
            try:
                cached: UInt8 = np.load(self.path, mmap_mode="r")
                beyond = BeyondRows(self._beside) if self._beside.exists() else None
                if beyond is not None and (cached.shape[1:2] != (beyond.spec.size,) or len(cached) < beyond.first):
                    raise ValueError(f"{self._beside.name} belongs to another cache than {cached.shape}")
                break
            except (OSError, ValueError, EOFError) as error:
                if attempt == _TRIES - 1 or not self._beside.exists():
                    raise InputError(
                        f"the pixel cache {self.path} cannot be read ({reason_of(error)}); {MAKE_AGAIN}."
                    ) from error
                time.sleep(0.05)
        if cached.dtype != np.uint8 or cached.ndim != 4 or cached.shape[3] != 3 or cached.shape[1] != cached.shape[2]:
            raise InputError(
                f"the pixel cache {self.path} is {cached.dtype} {cached.shape} and should be uint8 (rows, H, H, 3); "
                f"{MAKE_AGAIN}."
            )
        return _Opened(cached, beyond)
