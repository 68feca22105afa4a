"""ALFA-Mix: query images whose class changes if a little of another class is mixed into their features.

An anchor is the mean of what the last layer reads of the labelled images of a class; only classes that have labels have
one. Into z, what it reads of an image, a part of an anchor z* is mixed: z + a (z* - z), elementwise, with the a of
length at most e that raises the loss of the predicted class most. By the paper's closed form (Equation 5) that is
z + e |z* - z| g, where g is the loss's gradient by z, of length 1. The limit e grows in 32 steps of 1 / (32 sqrt(D))
until there are enough images whose class changes for some anchor; groups are looked for among these.

Nothing of size N D is written out: the gradient is a mix of the rows of the head, so that along it the logits of an
image change by the products of these rows. The farthest anchor decides, since it allows the longest step.
"""

from __future__ import annotations

import numpy as np

from tidal_core.records import Float32, Float64, Int64, LinearHead, PoolView
from tidal_core.strategies.base import Strategy, head_of
from tidal_core.strategies.clusters import nearest_to_centres
from tidal_core.strategies.distances import squared_distances, unit_length

STEPS = 32  # of the limit, from 1 / 32 to 1, times 1 / sqrt(D)
BLOCK = 8_192  # images at once


class AlfaMix(Strategy):
    """k-means over the images whose class changes by the smallest mix that changes enough of them."""

    name = "alfamix"
    title = "ALFA-Mix"
    explanation = (
        "Images whose predicted class changes if a little of another class is mixed into them, one of each group that "
        "looks alike."
    )
    because = (
        "it is in the middle of a group of images whose predicted class changes if a little of another class is mixed "
        "into them"
    )
    paper = "Parvaneh et al., Active Learning by Feature Mixing, CVPR 2022"
    cost = "Time N D C + N C^2 + N n D, memory N C and 2 N D: copies of the candidates' features at unit length."
    needs = frozenset({"features", "labelled_features", "head"})
    least_classes = 2

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """The image nearest to each of n centres of candidates; any others where there are fewer candidates."""
        rows = np.arange(len(pool.ids))
        if len(pool.labelled_features):
            least = least_mix(pool, head_of(pool))
            limits = np.arange(1, STEPS + 1) / STEPS
            enough = [limit for limit in limits if (least < limit).sum() >= n]
            rows = np.flatnonzero(least < (enough[0] if enough else 1.0))
        chosen = np.empty(0, np.int64)
        if len(rows):
            chosen = rows[nearest_to_centres(unit_length(pool.features[rows]), min(n, len(rows)), rng)]
        others = np.setdiff1d(np.arange(len(pool.ids)), chosen)
        return np.concatenate([chosen, rng.permutation(others)[: n - len(chosen)]])


def anchors(pool: PoolView, head: LinearHead) -> Float32:
    """(A, D) means of what the head reads of the labelled images of each class that has some."""
    x = head.read(pool.labelled_features)
    return np.stack([x[pool.labelled_classes == c].mean(axis=0) for c in np.unique(pool.labelled_classes)])


def least_mix(pool: PoolView, head: LinearHead) -> Float64:
    """(N,) sqrt(D) times the smallest e at which some anchor changes the class of an image; infinite if none does."""
    of_classes = anchors(pool, head)
    rows_products = head.weight.astype(np.float64) @ head.weight.T.astype(np.float64)  # (C, C)
    least = np.empty(len(pool.ids))
    for start in range(0, len(least), BLOCK):
        z = head.read(pool.features[start : start + BLOCK])
        logits = head.logits(z).astype(np.float64)
        farthest = np.sqrt(squared_distances(z, of_classes).max(axis=1)).astype(np.float64)
        least[start : start + BLOCK] = _step_that_changes(logits, rows_products) / np.maximum(farthest, 1e-12)
    return np.asarray(least * np.sqrt(head.weight.shape[1]))


def _step_that_changes(logits: Float64, rows_products: Float64) -> Float64:
    """(N,) how far along the unit gradient of the predicted class's loss another class takes over."""
    rows = np.arange(len(logits))
    predicted = logits.argmax(axis=1)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[rows, predicted] -= 1  # the gradient by z is this times W
    slopes = p @ rows_products  # (N, C) of each logit along the gradient, times its length
    length = np.sqrt(np.maximum((slopes * p).sum(axis=1), 0))[:, None]
    behind = logits[rows, predicted][:, None] - logits
    gains = slopes - slopes[rows, predicted][:, None]
    steps = np.full(logits.shape, np.inf)
    np.divide(behind * length, gains, out=steps, where=gains > 0)
    least: Float64 = steps.min(axis=1)
    return least
