"""Images as points, and by how much they look like a chosen one: the cosine of the angle between standardised features.

Features are there where the body is frozen (``rounds.features``); nothing is computed here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tidal_core.engine.features.store import Features
from tidal_core.errors import InputError
from tidal_core.projects import Project
from tidal_core.records import Float32, Int64
from tidal_core.rounds import features
from tidal_core.strategies.distances import unit_length

BLOCK = 8_192  # rows of features in memory at a time
LOOKED_AT = 4_000  # images that one may stand for: a random part of a larger pool, as many as herding takes
_FIRST_RIVALS = 2  # compared at first, then twice as many each time: with each, fewer images are left
_ROUNDING = 1e-5  # cosines of equal images differ by less


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


class StoodFor(NamedTuple):
    """The images that one image stands for: to none of its rivals they are more alike."""

    image_ids: Int64  # (K,) of those that were looked at, most alike first
    n_images: int  # of all: K, or an estimate from the part that was looked at
    is_estimate: bool


def stood_for(project: Project, image_id: int, image_ids: Int64, rivals: Int64) -> StoodFor | None:
    """Which of ``image_ids`` (N,) are at least as much like one image as like any of its ``rivals`` (M,).

    None where that image has no features; others without features are left out. Of more than ``LOOKED_AT`` images a
    random part is looked at, always the same of the same images. Raises NotFound for an unknown image.
    """
    store = features.in_use(project)
    read = store.read() if store is not None else None
    ids = np.concatenate([[image_id], image_ids[image_ids != image_id], rivals[rivals != image_id]])
    rows = project.store.images.pixel_rows(ids)
    if read is None or not read.has(rows[:1]).all():
        return None
    known, is_rival = read.has(rows), np.arange(len(ids)) > np.count_nonzero(image_ids != image_id)
    pool = 1 + np.flatnonzero((known & ~is_rival)[1:])  # places in ids
    size = len(pool)
    if size > LOOKED_AT:
        pool = np.random.default_rng(image_id).choice(pool, LOOKED_AT, replace=False)
    pool = pool[np.argsort(rows[pool])]  # as they lie in the file
    nearest, cosines = _nearest_to(
        read.standardised(rows[pool]),
        unit_length(read.standardised(rows[:1]))[0],
        unit_length(read.standardised(rows[known & is_rival])),
    )
    covered = ids[pool[nearest[np.argsort(-cosines, kind="stable")]]]
    return StoodFor(covered, round(len(covered) * size / max(1, len(pool))), size > LOOKED_AT)


def _nearest_to(points: Float32, point: Float32, rivals: Float32) -> tuple[Int64, Float32]:
    """Rows of ``points`` (N, D) that no rival (M, D) is more like than ``point`` (D,), and their cosines with it.

    ``point`` and ``rivals`` have length 1. Whatever the length of an image's features, it does not change to whom they
    are most alike: only those of the images that are left are measured.
    """
    # einsum and not @: matrix products wait for threads of their own on all cores, which then go on spinning while
    # somebody labels and a round trains. With so few to compare they would gain nothing.
    products = np.einsum("nd,d->n", points, point)  # cosines times lengths
    left = np.arange(len(points))
    start, n_compared = 0, _FIRST_RIVALS
    while start < len(rivals) and len(left):
        compared = points if len(left) == len(points) else points[left]
        best = np.einsum("nd,md->nm", compared, rivals[start : start + n_compared]).max(axis=1)
        left = left[products[left] >= best - _ROUNDING * np.abs(best)]
        start, n_compared = start + n_compared, 2 * n_compared
    return left, np.einsum("nd,d->n", unit_length(points[left]), point)


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
    likeness[known] = _cosines(read, rows[known], unit_length(read.standardised(point_row))[0])
    return likeness


def _cosines(read: Features, rows: Int64, point: Float32) -> Float32:
    """(N,) of the images at ``rows`` (N,) with a point (D,) of length 1; the file is read in its order."""
    order = np.argsort(rows)
    cosines = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        block = order[start : start + BLOCK]
        cosines[block] = unit_length(read.standardised(rows[block])) @ point
    return cosines
