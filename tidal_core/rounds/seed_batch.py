"""The first images asked: a batch that covers the collection, chosen before any model is there.

k-means over images averaged down to 8x8 pixels, the image nearest to each centre. An image that is nearly the same as
one asked already is passed over for the next nearest of its cluster. No network, no store: arrays in, rows out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tidal_core.images.pixels import PixelStore
from tidal_core.records import Float32, Int64

GRID = 8  # pixels: the side that images are averaged down to
CLUSTERED_AT_MOST = 20_000  # images: beyond it a random part stands for the whole
ITERATIONS = 12  # Lloyd's algorithm has settled to within a few images by then
NEAR_DUPLICATE = 4.0  # grey levels (of 255), root mean square over the 8x8 average: copies, re-encodings, bursts
CHUNK = 4_096  # images averaged at a time


def thumbnails(pixels: Path, rows: Int64) -> Float32:
    """Images averaged down to 8x8, flat: (N, 192), in grey levels from 0 to 255.

    ``pixels`` is the project's pixels.npy.
    """
    images = PixelStore(pixels)
    height, width = images.shape[1:3]
    side_y, side_x = min(GRID, height), min(GRID, width)
    # Blocks of nearly equal size: edge i lies at i * size / side, as an integer.
    edges_y = np.arange(side_y) * height // side_y
    edges_x = np.arange(side_x) * width // side_x
    areas = np.outer(np.diff([*edges_y, height]), np.diff([*edges_x, width]))[:, :, None]  # (8, 8, 1)
    small = np.empty((len(rows), side_y * side_x * images.shape[3]), dtype=np.float32)
    for start in range(0, len(rows), CHUNK):
        block = images[rows[start : start + CHUNK]].astype(np.float32)  # (n, H, W, 3)
        sums = np.add.reduceat(np.add.reduceat(block, edges_y, axis=1), edges_x, axis=2)  # (n, 8, 8, 3)
        small[start : start + CHUNK] = (sums / areas).reshape(len(block), -1)
    return small


def squared_distances(a: Float32, b: Float32) -> Float32:
    """Squared Euclidean distances, (N, M), never below 0."""
    d2 = (a * a).sum(1)[:, None] - 2 * a @ b.T + (b * b).sum(1)[None, :]
    nonnegative: Float32 = np.maximum(d2, 0).astype(np.float32)
    return nonnegative


def k_means(points: Float32, k: int, rng: np.random.Generator) -> Float32:
    """Centres (k, D): k-means++ (Arthur and Vassilvitskii, 2007), then Lloyd's algorithm.

    A cluster that runs empty takes the point that lies farthest from its centre. k must not exceed the points.
    """
    centres = points[[int(rng.integers(len(points)))]]
    nearest = squared_distances(points, centres)[:, 0]
    while len(centres) < k:
        total = float(nearest.sum(dtype=np.float64))
        chances = nearest.astype(np.float64) / total if total > 0 else None  # None: all points are the same
        chosen = points[[int(rng.choice(len(points), p=chances))]]
        centres = np.concatenate([centres, chosen])
        nearest = np.minimum(nearest, squared_distances(points, chosen)[:, 0])
    for _ in range(ITERATIONS):
        d2 = squared_distances(points, centres)
        owner = d2.argmin(1)
        sums = np.zeros((k, points.shape[1]), dtype=np.float64)
        np.add.at(sums, owner, points)
        sizes = np.bincount(owner, minlength=k)
        moved = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
        empty = np.flatnonzero(sizes == 0)
        if len(empty):
            moved[empty] = points[np.argsort(-d2.min(1), kind="stable")[: len(empty)]]
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def covering(pool: Float32, asked: Float32, n: int, rng: np.random.Generator) -> Int64:
    """Rows of ``pool`` (N, D) that cover it, n or fewer, in random order.

    ``asked`` (M, D) are images asked before. No row chosen is a near-duplicate of one of these, or of another chosen;
    where a collection is made of near-duplicates, fewer than n come back.
    """
    n = min(n, len(pool))
    if n == 0:
        return np.empty(0, dtype=np.int64)
    part = np.arange(len(pool))
    if len(pool) > CLUSTERED_AT_MOST:
        part = np.sort(rng.choice(len(pool), CLUSTERED_AT_MOST, replace=False))
    points = pool[part]
    d2 = squared_distances(points, k_means(points, n, rng))
    owner = d2.argmin(1)
    limit = NEAR_DUPLICATE**2 * pool.shape[1]
    taken = asked
    chosen: list[int] = []
    for cluster in rng.permutation(n):
        members = np.flatnonzero(owner == cluster)
        for member in members[np.argsort(d2[members, cluster], kind="stable")]:
            point = points[[member]]
            if len(taken) and squared_distances(point, taken).min() < limit:
                continue
            chosen.append(int(part[member]))
            taken = np.concatenate([taken, point])
            break
    return np.array(chosen, dtype=np.int64)
