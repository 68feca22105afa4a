"""The rows of a project's pixel cache on their way to the disk: into ``pixels.npy`` up to the project's limit, by name
into ``pixels.beyond`` from there on (see ``beyond``). One import, or one filling, at a time into one project.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np

from tidal_core.config import PixelSpec
from tidal_core.errors import InputError
from tidal_core.images.pixels.beyond import SUFFIX, BeyondFile
from tidal_core.images.pixels.cache import PixelCache
from tidal_core.images.pixels.cache_state import cached_spec, note_spec
from tidal_core.projects import Project
from tidal_core.records import UInt8

_running: set[Path] = set()
_running_lock = threading.Lock()


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Refuse a second import, or filling, while one goes on in this project folder: InputError."""
    with _running_lock:
        if folder in _running:
            raise InputError(
                "an import into this project, or a filling of its pixel cache, is under way; wait for its end, or "
                "cancel it."
            )
        _running.add(folder)
    try:
        yield
    finally:
        with _running_lock:
            _running.discard(folder)


class PixelRows:
    """The open cache of a project, to add rows to."""

    def __init__(self, path: Path, spec: PixelSpec, limit: int, next_row: int) -> None:
        self.spec = spec
        self._path, self._next_row = path, next_row
        self._beyond: BeyondFile | None = None
        self._cache = PixelCache(path, spec.size, limit)
        self.first_beyond = max(limit, next_row)
        try:
            if path.with_suffix(SUFFIX).exists():
                self._open_beyond()
        except BaseException:
            self._cache.close()
            raise

    def _open_beyond(self) -> BeyondFile:
        if self._beyond is None:
            self._beyond = BeyondFile(self._path.with_suffix(SUFFIX), self.first_beyond, self.spec, self._next_row)
            self.first_beyond = self._beyond.first
        return self._beyond

    def write(self, row: int, squares: Sequence[UInt8], images: Sequence[tuple[str, str]]) -> None:
        """Squares (S, S, 3) of the images at ``row``, ``row + 1`` ..., and each one's ``(uri, name)``.

        Of images beyond the limit only the latter is kept.
        """
        n = min(len(images), max(0, self.first_beyond - row))
        if n:
            self._cache.write(row, np.stack(squares[:n]))
        if n < len(images):
            self._open_beyond().write(row + n, images[n:])

    def close(self) -> None:
        """Close both files."""
        self._cache.close()
        if self._beyond is not None:
            self._beyond.close()

    def __enter__(self) -> PixelRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_rows(project: Project) -> PixelRows:
    """The project's cache as it is, to add images to. Raises InputError when it is not what the project has noted."""
    settings, spec = project.settings, cached_spec(project)
    note_spec(project, spec)
    limit = spec.rows_in(settings.pixel_cache_gb)
    return PixelRows(project.pixels, spec, limit, project.store.images.next_pixel_row())
