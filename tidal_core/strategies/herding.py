"""Greedy coverage by a soft kernel: choose the images that stand for most of what nothing chosen stands for yet.

With K(x, x') = exp(-|x - x'|^2 / sigma^2) and m_i the largest K between image i and any chosen one, the next image is
the x with the largest mean over i of u_i max(0, K(x_i, x) - m_i); then every m_i becomes the larger of itself and
K(x_i, x). That is MaxHerding (Bae et al., Generalized Coverage for More Robust Low-Budget Active Learning, ECCV 2024)
for u = 1, and UHerding (Bae et al., ICLR 2025) for weights of uncertainty.

What an image would add only shrinks as others are chosen (the sum is submodular), so that most need not be looked at
again: the largest of the numbers computed earlier is brought up to date until it stays the largest (Minoux 1978). The
choice is the same as that of looking at all each time.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np

from tidal_core.method.estimators import margin
from tidal_core.records import Float32, Floats, Int64, PoolView
from tidal_core.strategies.base import Strategy
from tidal_core.strategies.distances import blocks, unit_length

CHOSEN_AMONG = 8_000  # images at most: a random part of a larger pool, which has others like any that is left out
COMPARED = 2_000  # labelled images at most, a random part, whose smallest distance decides on the kernel's width
NARROWER = 0.7  # of that distance: of 0.5, 0.7 and 1 the best on runs that compare nothing (EXPERIMENTS.md)
STAND_FOR = 4_000  # images that a choice is to stand for at most: the kernel then has 32 million numbers, 128 MB
_ROUNDING = 1e-5  # squared distances up to this are those of equal images


class Herding(Strategy):
    """Greedy coverage of the pool on features of unit length; subclasses say how much each image counts."""

    cost = "Time N T D, memory 4 N T bytes, for N = 8,000 and T = 4,000 images of the pool at most: 128 MB."
    represents = True
    chosen_among = CHOSEN_AMONG

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """The n that add most weighted coverage, one after the other."""
        before = unit_length(pool.labelled_features)
        return herd(unit_length(pool.features), n, rng, before, self.weights(pool), self.sigma(pool, rng))

    def weights(self, pool: PoolView) -> Float32 | None:
        """(N,) how much each image needs another to stand for it; None: all the same."""
        return None

    def sigma(self, pool: PoolView, rng: np.random.Generator) -> float:
        """The kernel's width."""
        return 1.0


class DynamicsHerding(Herding):
    """Herding whose kernel is a little narrower than labelled images are apart; subclasses weigh by dynamics."""

    cost = (
        f"Time N T D + L^2 D, memory 4 N T bytes, for N = 8,000 and T = 4,000 images of the pool and L = {COMPARED:,} "
        "labelled ones at most: 128 MB."
    )
    least_classes = 2

    def sigma(self, pool: PoolView, rng: np.random.Generator) -> float:
        """A little less than labelled images are apart."""
        return NARROWER * smallest_distance(pool, rng)


def smallest_distance(pool: PoolView, rng: np.random.Generator) -> float:
    """Above 0, between labelled images at unit length: the kernel's width shrinks as labels come to lie closer.

    1 while there are no two different ones.
    """
    known = rng.permutation(len(pool.labelled_features))[:COMPARED]
    labelled = unit_length(pool.labelled_features[known])
    least = np.inf
    for _, squared in blocks(labelled, labelled):
        least = min(least, float(squared[squared > _ROUNDING].min(initial=np.inf)))
    return float(np.sqrt(least)) if np.isfinite(least) else 1.0


def unsettled(log_p: Floats) -> Float32:
    """1 - margin of (N, C): 0 where one class is certain, 1 where two are level. Refuses C = 1."""
    return (1 - margin(log_p)).astype(np.float32)


def herd(
    points: Float32,
    n: int,
    rng: np.random.Generator,
    chosen_before: Float32,
    weights: Float32 | None = None,
    sigma: float = 1.0,
) -> Int64:
    """n rows of ``points`` (N, D), the one that adds most first; ties in an order drawn from ``rng``.

    ``chosen_before`` (M, D): images that stand for others already. ``weights`` (N,), not negative: how much each image
    needs someone to stand for it (default: all the same). Rows of unit length are expected of both. ``sigma`` is the
    kernel's width in the same distance. Time N T D for T images that are stood for, memory 4 N T bytes; of more than
    ``CHOSEN_AMONG`` images a random part, n at least, is chosen among.
    """
    if len(points) > max(CHOSEN_AMONG, n):
        part = np.sort(rng.choice(len(points), max(CHOSEN_AMONG, n), replace=False))
        some_weights = None if weights is None else weights[part]
        return part[herd(points[part], n, rng, chosen_before, some_weights, sigma)]
    size = len(points)
    target_rows = np.arange(size)
    if size > STAND_FOR:
        target_rows = np.sort(rng.choice(size, STAND_FOR, replace=False))
    targets = points[target_rows]
    kernel = np.empty((size, len(target_rows)), np.float32)  # (N, T)
    for rows, squared in blocks(points, targets):
        np.exp(squared / -(sigma**2), out=kernel[rows])
    need = np.ones(len(target_rows), np.float32) if weights is None else weights[target_rows].astype(np.float32)
    covered = np.zeros(len(target_rows), np.float32)  # (T,) the largest kernel with any chosen before
    if len(chosen_before):
        for rows, squared in blocks(targets, chosen_before):
            before = np.exp(squared / -(sigma**2))
            covered[rows] = before.max(axis=1)

    gains = np.empty(size, np.float64)
    for start in range(0, size, 2_048):
        rows = slice(start, start + 2_048)
        gains[rows] = np.maximum(kernel[rows] - covered, 0) @ need
    order = rng.permutation(size)
    # (what it would add, negative; its turn among equals; how many were chosen when that was computed; its row)
    heap = [(-float(gains[row]), turn, 0, int(row)) for turn, row in enumerate(order)]
    heapify(heap)
    chosen: list[int] = []
    while len(chosen) < n:
        _, turn, known_at, row = heappop(heap)
        if known_at < len(chosen):
            gain = float(np.maximum(kernel[row] - covered, 0) @ need)
            heappush(heap, (-gain, turn, len(chosen), row))
            continue
        chosen.append(row)
        np.maximum(covered, kernel[row], out=covered)
    return np.asarray(chosen, np.int64)
