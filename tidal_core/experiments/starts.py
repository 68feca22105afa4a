"""The first labels of a run, chosen before any model is there: the same for all its configurations.

``protocol.STARTS`` says in words how each is chosen. Features are those of the frozen body, standardised, of unit
length, of the run's whole pool; no label is looked at but by ``classes``.
"""

from __future__ import annotations

import numpy as np

from tidal_core.engine.features.store import FeatureStore
from tidal_core.errors import InputError
from tidal_core.experiments.protocol import Protocol, Start, seed_of
from tidal_core.records import Float32, Int64
from tidal_core.strategies.clusters import k_means
from tidal_core.strategies.distances import unit_length
from tidal_core.strategies.herding import herd


def check_start(start: Start, n_classes: int, protocol: Protocol) -> None:
    """Raises InputError where a run cannot begin so."""
    if protocol.start == "classes" and protocol.first < n_classes:
        raise InputError(
            f"{protocol.first} first labels are too few for one image of each of {n_classes} classes; choose at least "
            f"{n_classes} first labels, or another start."
        )


def first_of(
    start: Start, labels: Int64, n_classes: int, protocol: Protocol, seed: int, features: FeatureStore | None
) -> Int64:
    """Rows (``protocol.first``,) to label first.

    ``labels`` (rows,) are positions of classes; ``features`` those of the frozen body. Raises InputError where there
    are fewer first labels than classes and each class is to have one.
    """
    check_start(start, n_classes, protocol)
    if protocol.start == "random":
        return start.first
    rng = np.random.default_rng(seed_of("first", seed))
    if protocol.start == "classes":
        return one_of_each(labels[start.pool], protocol.first, start.pool, rng)
    if features is None:  # ``Protocol`` refuses it
        raise InputError(f"the start {protocol.start} chooses by frozen features; choose frozen as the preset.")
    points = unit_length(features.read().standardised(start.pool))
    if protocol.start == "herding":
        return start.pool[herd(points, protocol.first, rng, points[:0])]
    return start.pool[nearest_to_centres(points, protocol.first, rng)]


def one_of_each(classes: Int64, n: int, rows: Int64, rng: np.random.Generator) -> Int64:
    """n of ``rows`` (N,) with these ``classes`` (N,): a random one of each class that is there, then random ones."""
    order = rng.permutation(len(rows))
    _, earliest = np.unique(classes[order], return_index=True)
    rest = np.delete(order, earliest)
    chosen: Int64 = np.concatenate([order[np.sort(earliest)], rest])[:n]
    return rows[chosen]


def nearest_to_centres(points: Float32, n: int, rng: np.random.Generator) -> Int64:
    """n rows of ``points`` (N, D): in each of n clusters of k-means the one nearest to its centre, in random order.

    Where points are equal clusters can be empty; random rows take their places.
    """
    clusters = k_means(points, n, rng)
    by_distance = np.lexsort((clusters.squared, clusters.of_point))
    _, at = np.unique(clusters.of_point[by_distance], return_index=True)
    chosen = rng.permutation(by_distance[at])
    others = rng.permutation(np.setdiff1d(np.arange(len(points)), chosen))
    filled: Int64 = np.concatenate([chosen, others])[:n]
    return filled
