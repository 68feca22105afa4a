"""DropQuery: query images whose class changes when most of their features are dropped, one of each group of them."""

import numpy as np

from tidal_core.records import Float32, Int64, LinearHead, PoolView
from tidal_core.strategies.base import Strategy, head_of
from tidal_core.strategies.clusters import nearest_to_centres
from tidal_core.strategies.distances import unit_length

PASSES = 3
ENOUGH = 25  # candidates for each image queried: with fewer, one changed pass is enough to be one
BLOCK = 8_192  # images at once


class DropQuery(Strategy):
    """k-means over the images whose predicted class three passes with three quarters of the features dropped change.

    A candidate's class changed in more than one pass, or in any where there are fewer than 25 n of these. Where there
    are fewer candidates than images to query, or no labels yet, groups of all images are looked for.
    """

    name = "dropquery"
    title = "DropQuery"
    explanation = (
        "Images whose predicted class changes when parts of their features are left out, one of each group that looks "
        "alike."
    )
    because = (
        "it is in the middle of a group of images whose predicted class changes when parts of their features are left "
        "out"
    )
    paper = "Gupte et al., Revisiting Active Learning in the Era of Vision Foundation Models, TMLR 2024"
    cost = "Time N D C + N n D, memory 2 N D: copies of the candidates' features at unit length."
    needs = frozenset({"features", "labelled_features", "head"})
    least_classes = 2

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """The image nearest to each of n centres of candidates."""
        rows = np.arange(len(pool.ids))
        if len(pool.labelled_features):
            changed = changes(pool.features, head_of(pool), rng)
            candidates = np.flatnonzero(changed > 1)
            if len(candidates) < ENOUGH * n:
                candidates = np.flatnonzero(changed > 0)
            rows = candidates if len(candidates) >= n else rows
        return rows[nearest_to_centres(unit_length(pool.features[rows]), n, rng)]


def changes(features: Float32, head: LinearHead, rng: np.random.Generator) -> Int64:
    """(N,) in how many of three passes the class is another one; each pass keeps a quarter of the features, times 4."""
    changed = np.zeros(len(features), np.int64)
    for start in range(0, len(features), BLOCK):
        x = head.read(features[start : start + BLOCK])
        predicted = head.logits(x).argmax(axis=1)
        for _ in range(PASSES):
            changed[start : start + BLOCK] += head.logits(x * quarter_of(x.shape, rng)).argmax(axis=1) != predicted
    return changed


def quarter_of(shape: tuple[int, int], rng: np.random.Generator) -> Float32:
    """Which numbers are kept, each with a chance of one quarter, and times 4: of 0 and 4. Two random bits decide."""
    wide = -(-shape[1] // 8)
    drawn = rng.integers(0, 256, (2, shape[0], wide), np.uint8)
    return np.unpackbits(drawn[0] & drawn[1], axis=1)[:, : shape[1]] * np.float32(4)
