"""Images by how much they look like a chosen one: the cosine of the angle between their stored features.

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


def order_by_likeness(project: Project, image_id: int, image_ids: Int64) -> Int64:
    """(N,) places of the images (N,) by likeness to one image, most alike first; those without features come last.

    Raises InputError where that image has no features, NotFound for an unknown image.
    """
    store = features.in_use(project)
    read = store.read() if store is not None else None
    point_row = np.array([project.store.images.get(image_id).pixel_row])
    if read is None or not read.has(point_row).all():
        raise InputError(
            f"Image {image_id} cannot be compared: it has no features. A pretrained model computes them in the "
            "background (Project page, Settings)."
        )
    rows = project.store.images.pixel_rows(image_ids)
    known = read.has(rows)
    likeness = np.full(len(rows), -np.inf, dtype=np.float32)
    likeness[known] = _cosines(read, rows[known], unit_length(read.last_stage(point_row))[0])
    return np.argsort(-likeness, kind="stable")


def _cosines(read: Features, rows: Int64, point: Float32) -> Float32:
    """(N,) of the images at ``rows`` (N,) with a point (D,) of length 1; the file is read in its order."""
    order = np.argsort(rows)
    cosines = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        block = order[start : start + BLOCK]
        cosines[block] = unit_length(read.last_stage(rows[block])) @ point
    return cosines
