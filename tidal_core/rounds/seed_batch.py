"""The first query batch: images that cover the collection, chosen before any model is there.

k-means over images averaged down to 8x8 pixels, the image nearest to each centre. An image that is nearly the same as
one answered already is skipped for the next nearest of its cluster. No network, no store: arrays in, rows out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tidal_core.images.pixels import PixelStore
from tidal_core.records import Float32, Int64
from tidal_core.strategies.clusters import k_means
from tidal_core.strategies.distances import squared_distances

GRID = 8  # pixels: the side that images are averaged down to
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


def covering(pool: Float32, answered: Float32, n: int, rng: np.random.Generator) -> Int64:
    """Rows of ``pool`` (N, D) that cover it, n or fewer, in random order.

    ``answered`` (M, D) are images answered before. No row chosen is a near-duplicate of one of these, or of another
    chosen; where a collection is made of near-duplicates, fewer than n come back.
    """
    n = min(n, len(pool))
    if n == 0:
        return np.empty(0, dtype=np.int64)
    clusters = k_means(pool, n, rng)
    limit = NEAR_DUPLICATE**2 * pool.shape[1]
    taken = answered
    chosen: list[int] = []
    for cluster in rng.permutation(n):
        members = np.flatnonzero(clusters.of_point == cluster)
        for row in members[np.argsort(clusters.squared[members], kind="stable")]:
            point = pool[[row]]
            if len(taken) and squared_distances(point, taken).min() < limit:
                continue
            chosen.append(int(row))
            taken = np.concatenate([taken, point])
            break
    return np.array(chosen, dtype=np.int64)
