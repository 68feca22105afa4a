"""Images as points, and by how much they look like a chosen one: the cosine of the angle between stored features.

Features are there where the body is frozen (``rounds.features``); nothing is computed here.
"""

from __future__ import annotations

import numpy as np

from tidal_core.engine.features.store import Features
from tidal_core.errors import InputError
from tidal_core.projects import Project
from tidal_core.records import Float32, Int64
from tidal_core.rounds import features
from tidal_core.strategies.distances import unit_length

BLOCK = 8_192  # rows of features in memory at a time


def has_features(project: Project) -> bool:
    """Whether images of this project can be compared, perhaps not all of them yet."""
    try:
        wanted = features.wanted(project)
    except InputError:  # the settings name a model that is not there
        return False
    return wanted is not None and wanted.path.exists()


def points_of(project: Project, image_ids: Int64) -> Float32 | None:
    """Features (N, D) of length 1 of these images; None where the body trains, or one of them has none yet."""
    store = features.in_use(project)
    if store is None or not len(image_ids):
        return None
    read = store.read()
    rows = project.store.images.pixel_rows(image_ids)
    return unit_length(read.last_stage(rows)) if read.has(rows).all() else None


def order_by_likeness(project: Project, image_id: int, image_ids: Int64) -> Int64:
    """(N,) places of the images (N,) by likeness to one image, most alike first; those without features come last.

    Raises InputError where that image has no features, NotFound for an unknown image.
    """
    likeness = _likeness(project, image_id, image_ids)
    if likeness is None:
        raise InputError(
            f"Image {image_id} cannot be compared: it has no features. A pretrained model computes them in the "
            "background (Project page, Settings)."
        )
    return np.argsort(-likeness, kind="stable")


def nearest(project: Project, image_id: int, image_ids: Int64, n: int) -> Int64:
    """Up to n others of ``image_ids`` (N,) that are most like one image, nearest first; none without features."""
    others = image_ids[image_ids != image_id]
    likeness = _likeness(project, image_id, others)
    if likeness is None:
        return np.empty(0, dtype=np.int64)
    first = np.argsort(-likeness, kind="stable")[:n]
    return np.asarray(others[first[np.isfinite(likeness[first])]], dtype=np.int64)


def _likeness(project: Project, image_id: int, image_ids: Int64) -> Float32 | None:
    """(N,) cosines with one image, -inf for those without features; None where that image has none."""
    store = features.in_use(project)
    read = store.read() if store is not None else None
    point_row = np.array([project.store.images.get(image_id).pixel_row])
    if read is None or not read.has(point_row).all():
        return None
    rows = project.store.images.pixel_rows(image_ids)
    known = read.has(rows)
    likeness = np.full(len(rows), -np.inf, dtype=np.float32)
    likeness[known] = _cosines(read, rows[known], unit_length(read.last_stage(point_row))[0])
    return likeness


def _cosines(read: Features, rows: Int64, point: Float32) -> Float32:
    """(N,) of the images at ``rows`` (N,) with a point (D,) of length 1; the file is read in its order."""
    order = np.argsort(rows)
    cosines = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        block = order[start : start + BLOCK]
        cosines[block] = unit_length(read.last_stage(rows[block])) @ point
    return cosines
