"""ProbCover: with few labels, query the images whose surroundings hold the most images that no label covers yet."""

import numpy as np

from tidal_core.records import Float32, Int64, PoolView
from tidal_core.strategies.base import Strategy
from tidal_core.strategies.clusters import k_means
from tidal_core.strategies.distances import blocks, nearest, unit_length
from tidal_core.strategies.diversity import one_of_the_largest

MIXED = 20  # one ball in so many may hold points of several pseudo-classes: a purity of 0.95, as in the paper
PROBED = 2_000  # images whose balls decide on the radius


class ProbCover(Strategy):
    """Greedy maximum coverage by open balls of one radius, which is chosen by how pure the balls are."""

    name = "probcover"
    title = "ProbCover"
    explanation = "Images that many others look like, where none is labelled yet; meant for the first few dozen labels."
    because = "many images look like it, and none that look alike is labelled yet"
    paper = "Yehuda et al., Active Learning Through a Covering Lens, NeurIPS 2022"
    cost = "Time N^2 D (minutes for 100,000 images), memory N D for copies: the graph is never written out."
    needs = frozenset({"features", "labelled_features"})
    represents = True

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """n rows by greedy coverage; when everything is covered, any that are left. Features have unit length."""
        points = unit_length(pool.features)
        radius = pure_radius(points, max(2, len(pool.class_counts)), rng)
        return cover(points, n, radius, rng, unit_length(pool.labelled_features))


def pure_radius(points: Float32, classes: int, rng: np.random.Generator) -> float:
    """The largest squared radius at which at most one ball in MIXED holds points of two clusters of k-means.

    A ball holds what lies nearer than the radius, so it is pure up to the distance to the nearest point of another
    cluster: with N probed images and these distances in ascending order, as many as may be mixed lie before the one
    that is the radius. Probed are at most PROBED images drawn from ``rng``.
    """
    cluster = k_means(points, min(classes, len(points)), rng).of_point
    probed = rng.permutation(len(points))[:PROBED]
    to_other = np.full(len(probed), np.inf)
    for c in np.unique(cluster):
        of_class = cluster[probed] == c
        to_other[of_class] = nearest(points[probed[of_class]], points[cluster != c])
    if np.isinf(to_other).all():
        return 0.0
    return float(np.sort(to_other)[len(probed) // MIXED])


def cover(points: Float32, n: int, radius: float, rng: np.random.Generator, centres: Float32) -> Int64:
    """n rows, each with the most points nearer than the squared ``radius`` that are not yet covered.

    Covered at first is what lies nearer than the radius to one of ``centres``.
    """
    covered = nearest(points, centres) < radius
    gain = np.zeros(len(points), np.int64)  # points that choosing this one would newly cover
    _count(points, points[~covered], radius, gain, 1)
    chosen = np.empty(n, np.int64)
    for i in range(n):
        row = one_of_the_largest(gain, rng)
        chosen[i] = row
        new = ~covered & (nearest(points, points[row : row + 1]) < radius)
        new[row] = not covered[row]
        covered |= new
        _count(points, points[new], radius, gain, -1)
        gain[chosen[: i + 1]] = np.iinfo(np.int64).min
    return chosen


def _count(points: Float32, others: Float32, radius: float, gain: Int64, sign: int) -> None:
    """Add ``sign`` times the number of ``others`` nearer than the radius to each point to ``gain``."""
    if len(others):
        for rows, squared in blocks(points, others):
            gain[rows] += sign * (squared < radius).sum(axis=1)
