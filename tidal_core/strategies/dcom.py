"""DCoM: from coverage to uncertainty, as more of the pool is covered by what is labelled.

Each labelled image covers a ball of a radius of its own: the largest in which 19 of 20 images are predicted to be of
its class. The share of the pool that is covered decides how much a small margin counts against the number of images
that would newly be covered.
"""

from __future__ import annotations

import numpy as np

from tidal_core.records import Float64, Floats, Int64, PoolView
from tidal_core.strategies.base import Strategy
from tidal_core.strategies.distances import blocks, unit_length
from tidal_core.strategies.diversity import one_of_the_largest
from tidal_core.strategies.herding import unsettled
from tidal_core.strategies.prob_cover import pure_radius

PART = 8_000  # images at most: a random part of a larger pool; which of them are near is 64 MB
LABELLED = 2_000  # labelled images at most, a random part: each is compared with all of the part
PURE = 0.95  # of a ball's images are predicted to be of its class, as in the paper
STEEPNESS, HALF_WAY = 30.0, 0.9  # of the competence, as in the paper


class DCoM(Strategy):
    """Largest c (1 - margin) + (1 - c) degree, one after the other; c rises with the coverage."""

    name = "dcom"
    title = "DCoM"
    explanation = (
        "Images that many others without a label look like; once most are covered by labels, those where two classes "
        "are level."
    )
    because = "many images that no label covers yet look like it, or hardly any are left and it lies between classes"
    paper = "Mishal and Weinshall, DCoM: Active Learning for All Learners, 2024"
    cost = (
        "Time P (P + L) D, memory P^2 bytes, for a random part of at most P = 8,000 images of the pool and L = 2,000 "
        "labelled ones: 64 MB."
    )
    needs = frozenset({"log_p", "features", "labelled_features"})
    least_classes = 2
    represents = True

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """n rows; of more than 8,000 images a random part is chosen among."""
        part = np.sort(rng.permutation(len(pool.ids))[: max(PART, n)])
        known = np.sort(rng.permutation(len(pool.labelled_features))[:LABELLED])
        points, labelled = unit_length(pool.features[part]), unit_length(pool.labelled_features[known])
        log_p = pool.log_p[part]
        covered = np.zeros(len(part), bool)
        if len(labelled):
            radii = np.empty(len(labelled))
            predicted = log_p.argmax(axis=1)
            for rows, squared in blocks(labelled, points):
                agrees = predicted[None] == pool.labelled_classes[known[rows]][:, None]
                radii[rows] = pure_radii(squared, agrees)
                covered |= (squared < radii[rows][:, None]).any(axis=0)
            radius = float(np.sqrt(radii).mean() ** 2)
        else:
            radius = pure_radius(points, max(2, log_p.shape[1]), rng)
        near = np.empty((len(part), len(part)), bool)
        for rows, squared in blocks(points, points):
            near[rows] = squared < radius
        np.fill_diagonal(near, val=True)
        return part[_greedy(near, covered, unsettled(log_p), n, rng)]


def pure_radii(squared: Floats, agrees: np.ndarray) -> Float64:
    """The largest squared radius of each of L balls in which ``PURE`` of the images (N) are predicted as its label.

    ``squared`` (L, N) are distances, ``agrees`` (L, N) says whether the prediction is the label. A ball holds what lies
    nearer than its radius, so that it reaches up to the first image that it must not hold; that may be the nearest. A
    ball that may hold all reaches just beyond the farthest.
    """
    order = np.argsort(squared, axis=1, kind="stable")
    sorted_squared = np.take_along_axis(squared, order, axis=1)
    right = np.take_along_axis(agrees, order, axis=1).cumsum(axis=1)
    pure = right >= PURE * np.arange(1, squared.shape[1] + 1)
    held = np.where(pure, np.arange(1, squared.shape[1] + 1), 0).max(axis=1)  # images that a ball may hold
    beyond = np.nextafter(sorted_squared[:, -1], np.float32(np.inf))
    edges = np.column_stack([sorted_squared, beyond])
    return np.asarray(edges[np.arange(len(held)), held], np.float64)


def competence(coverage: float) -> float:
    """c, nearly 0 (nothing is covered) to 1 (everything is)."""
    return float((1 + np.exp(-STEEPNESS * (1 - HALF_WAY))) / (1 + np.exp(-STEEPNESS * (coverage - HALF_WAY))))


def _greedy(near: np.ndarray, covered: np.ndarray, u: Floats, n: int, rng: np.random.Generator) -> Int64:
    """n rows: what one covers counts no more for the next."""
    c = competence(float(covered.mean()))
    degree = near[~covered].sum(axis=0, dtype=np.int64)  # near is symmetric
    largest = max(1, int(degree.max()))
    covered = covered.copy()
    chosen = np.empty(n, np.int64)
    for i in range(n):
        score = c * u + (1 - c) * degree / largest
        score[chosen[:i]] = -1
        row = chosen[i] = one_of_the_largest(score, rng)
        new = near[row] & ~covered
        degree -= near[new].sum(axis=0, dtype=np.int64)
        covered |= new
    return chosen
