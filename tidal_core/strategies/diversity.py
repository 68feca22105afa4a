"""Ways to choose a batch whose images differ from each other.

``k_centre``: farthest first (Gonzalez 1985; as CoreSet, Sener and Savarese, ICLR 2018). ``k_means_pp``: the seeding of
k-means++ (Arthur and Vassilvitskii, SODA 2007), for embeddings that are outer products and are never written out.
Both take memory linear in the pool.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidal_core.records import Bools, Float32, Int64
from tidal_core.strategies.distances import nearest, squared_distances, squared_norms

# Squared distances below this part of the two squared lengths are rounding: the points are equal.
_ROUNDING = 1e-5


def k_centre(points: Float32, n: int, rng: np.random.Generator, centres: Float32) -> Int64:
    """n rows, each the farthest from ``centres`` (M, D) and from the rows before it; ties by ``rng``.

    Without centres the first row is drawn from ``rng``. Time N D (M + n), memory N beside the points.
    """
    norms = squared_norms(points)
    to_nearest = nearest(points, centres)
    chosen = np.empty(n, np.int64)
    for i in range(n):
        row = one_of_the_largest(to_nearest, rng)
        chosen[i] = row
        np.minimum(to_nearest, squared_distances(points, points[[row]], norms)[:, 0], out=to_nearest)
        to_nearest[chosen[: i + 1]] = -1  # its equals stay at 0, and are chosen only when nothing else is left
    return chosen


def k_means_pp(left: Float32, right: Float32, n: int, rng: np.random.Generator) -> Int64:
    """n rows of the embeddings g_i = left_i (C,) outer right_i (D,), spread by k-means++ seeding.

    The first is the longest embedding, each next one is drawn with probability proportional to its squared distance to
    the nearest before it: |g_i - g_j|^2 = |l_i|^2 |r_i|^2 + |l_j|^2 |r_j|^2 - 2 (l_i . l_j) (r_i . r_j). Where all that
    is left equals a chosen one, any is drawn. Time n N (C + D), memory N beside left and right.
    """
    norms = squared_norms(left) * squared_norms(right)  # (N,)
    to_nearest = np.full(len(norms), np.inf, norms.dtype)
    chosen = np.empty(n, np.int64)
    free = np.ones(len(norms), bool)
    row = one_of_the_largest(norms, rng)
    for i in range(n):
        chosen[i] = row
        free[row] = False
        if i == n - 1:
            break
        lengths = norms + norms[row]
        distance = lengths - 2 * (left @ left[row]) * (right @ right[row])
        distance[distance <= _ROUNDING * lengths] = 0
        np.minimum(to_nearest, distance, out=to_nearest)
        to_nearest[row] = 0
        row = _draw(to_nearest, free, rng)
    return chosen


def one_of_the_largest(values: NDArray[Any], rng: np.random.Generator) -> int:
    """The row of the largest value, any of them when there are several."""
    rows = np.flatnonzero(values == values.max())
    return int(rows[0] if len(rows) == 1 else rng.choice(rows))


def _draw(weights: Float32, free: Bools, rng: np.random.Generator) -> int:
    """A free row with probability proportional to its weight; any free row when all weights are 0."""
    rows = np.flatnonzero(free & (weights > 0))
    if not len(rows):
        return int(rng.choice(np.flatnonzero(free)))
    bounds = np.cumsum(weights[rows], dtype=np.float64)
    return int(rows[min(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"), len(rows) - 1)])
