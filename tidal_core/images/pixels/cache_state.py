"""What the squares of a project's pixel cache are, and when a cache that was filled anew may take the old one's place.

The project's settings say what squares should be, the note ``pixels`` in its store what those on the disk are: they
differ from when a person changes the training size until the cache has been filled anew (``refilling``).

One import, or one filling, at a time into one project. The place is never taken while a round is under way. A round
trains and scores on the same squares, also when it was interrupted and goes on after a restart. So the new cache waits
for the end of the active round, and the next round waits for the new cache.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tidal_core.config import PixelSpec
from tidal_core.errors import InputError
from tidal_core.images.pixels.store import PixelStore
from tidal_core.images.pixels.writer import PixelWriter
from tidal_core.projects import Project

UNFINISHED = "pixels-next"  # key of the note on how far a new cache is
_NOTE = "pixels"
_POLL_SECONDS = 0.05

_locks: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
_waiting: set[Path] = set()
_written: set[Path] = set()
_written_lock = threading.Lock()


def cached_spec(project: Project) -> PixelSpec:
    """What the squares on the disk are; what the settings say where nothing is noted."""
    note = project.store.settings.get(_NOTE)
    return PixelSpec.from_json(note) if note else project.settings.pixels


def note_spec(project: Project, spec: PixelSpec) -> None:
    """Note what the squares on the disk are."""
    project.store.settings.set(_NOTE, spec.to_json())


def needs_refill(project: Project) -> bool:
    """Whether the squares on the disk are not what the settings ask for, or a filling was interrupted."""
    if not project.store.images.count():
        return False
    return cached_spec(project) != project.settings.pixels or project.store.settings.get(UNFINISHED) is not None


def project_writer(project: Project) -> PixelWriter:
    """The project's store as it is, to add images to. Raises InputError when it is not what the project has noted."""
    spec = cached_spec(project)
    note_spec(project, spec)
    limit = spec.rows_in(project.settings.pixel_cache_gb)
    return PixelStore(project.pixels).writer(spec, limit, project.store.images.next_pixel_row())


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Refuse a second import, or filling, while one goes on in this project folder: InputError."""
    with _written_lock:
        if folder in _written:
            raise InputError(
                "an import into this project, or the processing of its images, is running; wait until it ends, or "
                "cancel it on the Project page (Images)."
            )
        _written.add(folder)
    try:
        yield
    finally:
        with _written_lock:
            _written.discard(folder)


@contextmanager
def round_uses(folder: Path) -> Iterator[None]:
    """While a round of the project in this folder reads its pixels."""
    with _locks[folder]:
        yield


def is_waiting(folder: Path) -> bool:
    """Whether a new cache is whole and waits: no round begins until it is in place."""
    return folder in _waiting


def between_rounds(project: Project, swap: Callable[[], None], should_stop: Callable[[], bool]) -> bool:
    """Call ``swap`` as soon as no round is active; False when asked to stop before that."""
    folder = project.folder
    _waiting.add(folder)
    try:
        while True:
            if _locks[folder].acquire(timeout=_POLL_SECONDS):
                try:
                    if project.store.rounds.active() is None:
                        swap()
                        return True
                finally:
                    _locks[folder].release()
            if should_stop():
                return False
            threading.Event().wait(_POLL_SECONDS)
    finally:
        _waiting.discard(folder)
