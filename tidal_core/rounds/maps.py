"""A map of the collection: where each image lies on a plane on which images that look alike lie close together.

By principal components at once, when somebody looks; by neighbours once the worker has computed that between two
rounds (``MapWork``), if somebody has looked. Both are of the features that a round uses, and kept beside them, so that
they go when the features do:

    features/<key>/plane-principal.npz     pixel rows (N,), points (N, 2)
    features/<key>/plane-neighbours.npz

Where images were added since, the map is computed anew. No torch here.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from tidal_core import files
from tidal_core.engine.features.planes import DIMENSIONS, NeighbourPlane, principal_components, principal_plane
from tidal_core.engine.features.store import FeatureStore
from tidal_core.errors import InputError
from tidal_core.projects import Project
from tidal_core.records import Float32, Int64
from tidal_core.rounds import features

logger = logging.getLogger(__name__)

Kind = Literal["principal", "neighbours"]
FEWEST = 3  # images that a plane can be laid through
STEPS = 4  # before the worker looks round
SHARE_NEW = 0.01  # images without a place, of all, that are left until there are more of them


class CollectionMap(NamedTuple):
    """Where images lie."""

    kind: Kind
    image_ids: Int64  # (N,) those that have features
    points: Float32  # (N, 2) from -1 to 1
    missing: int  # images that have no place yet


def map_of(project: Project) -> CollectionMap:
    """The best map that is there, or the one by principal components, which is computed now.

    Raises InputError where the images have no features, with what to do.
    """
    store = _store(project)
    ids, rows = project.store.images.ids_and_pixel_rows()
    for kind in ("neighbours", "principal"):
        kept = _read(_path(store, kind))
        if kept is not None and _is_new_enough(kept[0], store, rows):
            return _placed(kind, ids, rows, *kept)
    read = store.read()
    known = rows[read.has(rows)]
    if len(known) < FEWEST:
        raise InputError(
            "There is no map yet: the features of the images are still being computed. Look again in a few minutes."
        )
    points = principal_plane(read, known)
    _write(_path(store, "principal"), known, points)
    return _placed("principal", ids, rows, known, points)


def _placed(kind: Kind, ids: Int64, rows: Int64, kept_rows: Int64, points: Float32) -> CollectionMap:
    place = np.full(int(max(rows.max(initial=0), kept_rows.max(initial=0))) + 1, -1)
    place[kept_rows] = np.arange(len(kept_rows))
    there = place[rows] >= 0
    return CollectionMap(kind, ids[there], points[place[rows[there]]], int((~there).sum()))


def _store(project: Project) -> FeatureStore:
    try:
        store = features.in_use(project)
    except InputError:  # the settings name a model that is not there
        store = None
    if store is None:
        raise InputError(
            "A map needs a model that knows photos already: it compares images by what that model sees in them, and "
            "this project's network learns from nothing. Choose a pretrained model on the Project page, tab Settings; "
            "the map is there some minutes later."
        )
    return store


def _path(store: FeatureStore, kind: Kind) -> Path:
    return store.folder / f"plane-{kind}.npz"


def _read(path: Path) -> tuple[Int64, Float32] | None:
    try:
        with path.open("rb") as file, np.load(file) as kept:
            rows, points = kept["rows"], kept["points"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # it is not there, or damaged: it is computed again
    if rows.ndim != 1 or points.shape != (len(rows), 2) or not np.isfinite(points).all() or (rows < 0).any():
        return None
    return np.asarray(rows, np.int64), np.asarray(points, np.float32)


def _write(path: Path, rows: Int64, points: Float32) -> None:
    with files.atomic(path) as beside, beside.open("wb") as file:
        np.savez(file, rows=rows, points=points)


def _is_new_enough(kept_rows: Int64, store: FeatureStore, rows: Int64) -> bool:
    known = rows[store.read().has(rows)]
    return np.setdiff1d(known, kept_rows).size <= SHARE_NEW * len(known)


class MapWork:
    """Computes maps by neighbours of projects whose map somebody looks at, a step at a time."""

    def __init__(self) -> None:
        self._begun: dict[str, tuple[FeatureStore, Int64, NeighbourPlane]] = {}  # by slug

    def some(self, project: Project, *, should_stop: Callable[[], bool]) -> bool:
        """At most ``STEPS`` steps, fewer where it is to stop; False where nothing is left to do."""
        begun = self._begun.pop(project.slug, None) or self._begin(project)
        if begun is None:
            return False
        store, rows, plane = begun
        is_complete = False
        for _ in range(STEPS):
            if is_complete or should_stop():
                break
            is_complete = plane.step()
        if is_complete:
            _write(_path(store, "neighbours"), rows, plane.points())
        else:
            self._begun[project.slug] = begun
        return True

    def share(self, slug: str) -> float | None:
        """How much of a project's map is done; None while none is computed."""
        begun = self._begun.get(slug)
        return None if begun is None else begun[2].share

    def _begin(self, project: Project) -> tuple[FeatureStore, Int64, NeighbourPlane] | None:
        try:
            store = _store(project)
        except InputError:
            return None
        _, all_rows = project.store.images.ids_and_pixel_rows()
        kept = _read(_path(store, "neighbours"))
        if kept is not None and _is_new_enough(kept[0], store, all_rows):
            return None
        read = store.read()
        rows = all_rows[read.has(all_rows)]
        if len(rows) < max(FEWEST, int(0.99 * len(all_rows))):
            return None  # once, when nearly all have features
        return store, rows, NeighbourPlane(principal_components(read, rows, DIMENSIONS))
