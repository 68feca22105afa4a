"""Rows on their way into a pixel store: squares into ``pixels.npy`` up to a limit, by name into ``pixels.beyond`` from
there on (see ``beyond``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from tidal_core.config import PixelSpec
from tidal_core.images.pixels.array_file import ArrayFile
from tidal_core.images.pixels.beyond import SUFFIX, BeyondFile
from tidal_core.records import UInt8


class PixelWriter:
    """A pixel store open to add rows to; close it, or use it in a ``with`` block. One at a time.

    Opening makes the file when it is not there. ``limit``: rows of ``pixels.npy``, None for all; ``next_row``: the
    first row that no image has yet. Raises InputError when the file holds squares of another size.
    """

    def __init__(self, path: Path, spec: PixelSpec, limit: int | None = None, next_row: int = 0) -> None:
        self.spec = spec
        self._path, self._next_row = path, next_row
        self._beyond: BeyondFile | None = None
        self._cached = ArrayFile(path, spec.size, limit)
        self.first_beyond = sys.maxsize if limit is None else max(limit, next_row)
        try:
            if path.with_suffix(SUFFIX).exists():
                self._open_beyond()
        except BaseException:
            self._cached.close()
            raise

    def _open_beyond(self) -> BeyondFile:
        if self._beyond is None:
            self._beyond = BeyondFile(self._path.with_suffix(SUFFIX), self.first_beyond, self.spec, self._next_row)
            self.first_beyond = self._beyond.first
        return self._beyond

    def write(
        self, row: int, squares: Sequence[UInt8] | UInt8, images: Sequence[tuple[str, str]] | None = None
    ) -> None:
        """Squares (S, S, 3) of the images at ``row``, ``row + 1`` ..., and each one's ``(uri, name)``.

        Of images beyond the limit only the latter is kept; it may be left out where there is no limit.
        """
        count = len(squares) if images is None else len(images)
        n = min(count, max(0, self.first_beyond - row))
        if n:
            self._cached.write(row, np.asarray(squares[:n]))
        if images is not None and n < count:
            self._open_beyond().write(row + n, images[n:])

    def close(self) -> None:
        """Close both files."""
        self._cached.close()
        if self._beyond is not None:
            self._beyond.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
