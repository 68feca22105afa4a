"""Euclidean distances between many points in little memory: blocks of rows, never an N x N matrix.

Squared distances come from |a|^2 - 2 a.b + |b|^2, one matrix product per block. In float32 that leaves equal points
up to about 1e-6 of their squared length apart; nothing here relies on a distance of exactly 0.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tidal_core.records import Float32, Float64, Int64

BLOCK = 16_000_000  # numbers per block: 64 MB in float32


def squared_norms(points: Float32) -> Float32:
    """(N, D) -> (N,)."""
    return np.asarray(np.einsum("nd,nd->n", points, points))


def unit_length(points: Float32) -> Float32:
    """Each row divided by its length; rows of zeros stay."""
    lengths = np.sqrt(squared_norms(points))[:, None]
    return np.asarray(points / np.where(lengths > 0, lengths, 1))


def squared_distances(
    points: Float32, others: Float32, norms: Float32 | None = None, other_norms: Float32 | None = None
) -> Float32:
    """Squared distances of N points to M others, never below 0: (N, M).

    ``norms`` (N,) and ``other_norms`` (M,) are their ``squared_norms``, for callers that need them more than once.
    """
    squared: Float32 = points @ others.T  # (N, M)
    squared *= -2
    squared += (squared_norms(points) if norms is None else norms)[:, None]
    squared += squared_norms(others) if other_norms is None else other_norms
    np.maximum(squared, 0, out=squared)
    return squared


def blocks(points: Float32, others: Float32) -> Iterator[tuple[slice, Float32]]:
    """Rows of ``points`` and their squared distances to all M ``others``: (rows, M), the last may be short."""
    norms, other_norms = squared_norms(points), squared_norms(others)
    rows = max(1, BLOCK // max(1, len(others)))
    for start in range(0, len(points), rows):
        block = slice(start, start + rows)
        yield block, squared_distances(points[block], others, norms[block], other_norms)


def nearest(points: Float32, others: Float32) -> Float32:
    """Squared distance of each point to the nearest of ``others``; infinite where there are none. (N,)."""
    least = np.full(len(points), np.inf, np.float32)
    if len(others):
        for rows, squared in blocks(points, others):
            least[rows] = squared.min(axis=1)
    return least


def neighbours(points: Float32, others: Float32, k: int) -> Int64:
    """Rows of the k nearest of ``others`` for each point, in no order: (N, k), 1 <= k <= M."""
    nearest_rows = np.empty((len(points), k), np.int64)
    for block, squared in blocks(points, others):
        nearest_rows[block] = np.argpartition(squared, k - 1, axis=1)[:, :k]
    return nearest_rows


def mean_distance_within(points: Float32, k: int) -> Float64:
    """Mean distance of each point to its k nearest among the other points, k < N: (N,)."""
    means = np.empty(len(points), np.float64)
    for block, squared in blocks(points, points):
        rows = np.arange(len(squared))
        squared[rows, block.start + rows] = np.inf  # itself is no neighbour
        means[block] = np.sqrt(np.partition(squared, k - 1, axis=1)[:, :k]).mean(axis=1)
    return means
