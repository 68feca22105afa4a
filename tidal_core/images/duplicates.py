"""Near-duplicates: the same picture saved again, smaller, or with another compression.

Perceptual hashes propose pairs, the cached pixels decide: plain pictures share a hash without being alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidal_core.records import Int64, UInt8

MAX_BITS = 3  # of 64 that may differ; four 16-bit bands then share at least one unchanged
MAX_MEAN_DIFFERENCE = 4.0  # of 255, over the cached squares
MAX_SHARE_OF_CONTRAST = 0.05  # thin strokes on black differ little in the mean: two sevens are not one picture
MAX_BUCKET = 2_000  # images that share a band; beyond it (flat pictures) only the first are compared
MAX_EARLIER = (
    32  # pairs of one image within a band: the earliest and the nearest, or flat pictures pair with all others
)


class NearPair(NamedTuple):
    """Two images that look the same, as positions in the arrays that were given."""

    first: int
    second: int


def candidate_pairs(
    hashes: Sequence[int] | NDArray[np.uint64], first_new: int = 0, max_bits: int = MAX_BITS
) -> list[NearPair]:
    """Pairs (i < j, j >= first_new) whose 64-bit hashes differ in at most ``max_bits`` (0 to 3) bits.

    Complete up to MAX_BUCKET images that agree in one 16-bit band and MAX_EARLIER that are that close to one image: by
    the pigeonhole principle two hashes that differ in three bits agree in at least one of four bands.
    """
    values = np.array(hashes, dtype=np.uint64)
    n = len(values)
    pairs: set[tuple[int, int]] = set()
    for band in range(4):
        keys = (values >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(np.diff(keys[order])) + 1
        for bucket in np.split(order, edges):
            if len(bucket) < 2 or bucket[-1] < first_new:
                continue
            pairs.update(_close(values, bucket, first_new, max_bits))
    return [NearPair(i, j) for i, j in sorted(pairs)] if n else []


def same_picture(first: UInt8, second: UInt8) -> NDArray[np.bool_]:
    """Whether squares (n, S, S, 3) and (n, S, S, 3) show the same, pair by pair (n,)."""
    difference = np.abs(first.astype(np.int16) - second.astype(np.int16))
    mean = difference.reshape(len(first), -1).mean(axis=1)
    pixels = first.reshape(len(first), -1).astype(np.float32)
    contrast = np.abs(pixels - pixels.mean(axis=1, keepdims=True)).mean(axis=1)  # mean distance from the mean
    return np.asarray((mean <= MAX_MEAN_DIFFERENCE) & (mean <= MAX_SHARE_OF_CONTRAST * contrast))


def _close(values: NDArray[np.uint64], bucket: Int64, first_new: int, max_bits: int) -> list[tuple[int, int]]:
    """Pairs within one bucket; positions ascend in it."""
    against = bucket[:MAX_BUCKET]
    pairs = []
    for position in range(int(np.searchsorted(bucket, first_new)), len(bucket)):
        earlier = against[: min(position, MAX_BUCKET)]
        bits = np.bitwise_count(values[earlier] ^ values[bucket[position]])
        close = earlier[bits <= max_bits]
        if len(close) > MAX_EARLIER:
            close = np.concatenate([close[: MAX_EARLIER // 2], close[-MAX_EARLIER // 2 :]])
        pairs += [(int(i), int(bucket[position])) for i in close]
    return pairs
