"""BAIT in its binary form: query images whose labels would pin down the classifier best, in the sense of Fisher.

Whether the most likely class is right is a question of two answers. With p its probability and f the image's features
of unit length, the Fisher information of a label is p (1 - p) f f': the two gradients (1 - p) f and -p f, weighted by
how likely each is, have the same direction, so that one row stands for both.

With M = I plus the information of all labels and F the mean information of all images, a batch is chosen that makes
tr(M^-1 F) small: 2 n images one after the other, then n of them are given back.
"""

from __future__ import annotations

import numpy as np

from tidal_core.records import Float32, Float64, Int64, PoolView
from tidal_core.strategies.base import Strategy
from tidal_core.strategies.distances import unit_length

PART = 5_000  # images at most: a random part of a larger pool, 50 MB with 1,280 features
LABELLED = 10_000  # labelled images at most, a random part


class Bait(Strategy):
    """Forward greedy and backward, with rank-one updates of scores: no matrix is larger than D x D or P x D."""

    name = "bait"
    title = "BAIT (binary)"
    explanation = "Images whose labels would tell most about the rest of the pool, as far as features and model go."
    because = "its label, with those of the others chosen with it, would tell most about the images without a label"
    paper = (
        "Ash et al., Gone Fishing: Neural Active Learning with Fisher Embeddings, NeurIPS 2021; the binary form: "
        "Huseljic et al., Fast Fishing: Approximating BAIT for Efficient and Scalable Deep Active Image "
        "Classification, ECML PKDD 2024"
    )
    cost = (
        "Time P D^2 + D^3 + n P D, memory 8 P D + 24 D^2 bytes, for a random part of at most P = 5,000 images of the "
        "pool: 100 MB with 1,280 features."
    )
    needs = frozenset({"log_p", "features", "labelled_features", "labelled_log_p"})

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """n rows in the order in which they were taken; of more than 5,000 images a random part is chosen among."""
        part = rng.permutation(len(pool.ids))[: max(PART, n)]  # of equal images the first in this order is taken
        known = np.sort(rng.permutation(len(pool.labelled_features))[:LABELLED])
        points = unit_length(pool.features[part]).astype(np.float64)  # (P, D)
        labelled = unit_length(pool.labelled_features[known]).astype(np.float64)  # (L, D)
        weights, known_weights = information(pool.log_p[part]), information(pool.labelled_log_p[known])
        of_labelled = (labelled * known_weights[:, None]).T @ labelled  # (D, D)
        fisher = ((points * weights[:, None]).T @ points + of_labelled) / (len(points) + len(labelled))
        all_labelled = of_labelled * (len(pool.labelled_features) / max(1, len(known)))
        inverse = np.asarray(np.linalg.inv(np.eye(points.shape[1]) + all_labelled), np.float64)
        gain = _Gain(points, weights, fisher, inverse)

        chosen: list[int] = []
        free = np.ones(len(points), bool)
        for _ in range(min(2 * n, len(points))):
            row = int(np.where(free, gain.of_adding(), -np.inf).argmax())
            free[row] = False
            chosen.append(row)
            gain.move(row, 1)
        while len(chosen) > n:
            row = chosen[int(gain.of_removing(chosen).argmin())]
            chosen.remove(row)
            gain.move(row, -1)
        return part[chosen]


def information(log_p: Float32) -> Float64:
    """p (1 - p) of the most likely class, 0 to 1/4: (N, C) -> (N,)."""
    p = np.exp(log_p.astype(np.float64).max(axis=1))
    return np.asarray(p * (1 - p))


class _Gain:
    """By how much tr(M^-1 F) falls or rises if an image is added or removed, kept for all P images as M changes.

    With u = M^-1 f of the image that moves and M^-1 losing a u u', s_i = f_i' M^-1 f_i and q_i = f_i' M^-1 F M^-1 f_i
    change by products with u and M^-1 F u alone.
    """

    def __init__(self, points: Float64, weights: Float64, fisher: Float64, inverse: Float64) -> None:
        self._points, self._weights, self._fisher, self._inverse = points, weights, fisher, inverse
        solved = points @ inverse  # (P, D)
        self._s = np.einsum("pd,pd->p", solved, points)
        self._q = np.einsum("pd,pd->p", solved @ fisher, solved)
        self._moves: list[Float64] = []  # u of each move, and
        self._factors: list[float] = []  # its a: M^-1 = inverse - sum a u u'

    def of_adding(self) -> Float64:
        """(P,) fall of the trace."""
        fall: Float64 = self._weights * self._q / (1 + self._weights * self._s)
        return fall

    def of_removing(self, rows: list[int]) -> Float64:
        """(len(rows),) rise of the trace, of images that were added."""
        w = self._weights[rows]
        rise: Float64 = w * self._q[rows] / (1 - w * self._s[rows])
        return rise

    def move(self, row: int, sign: int) -> None:
        """Add (1) or remove (-1) an image."""
        u = self._solve(self._points[row])
        fisher_u = self._fisher @ u
        g = self._solve(fisher_u)
        w = sign * self._weights[row]
        a = float(w / (1 + w * (self._points[row] @ u)))
        along_u, along_g = (self._points @ np.column_stack([u, g])).T
        self._s -= a * along_u**2
        self._q += a * (a * float(u @ fisher_u) * along_u - 2 * along_g) * along_u
        self._moves.append(u)
        self._factors.append(a)

    def _solve(self, vector: Float64) -> Float64:
        """M^-1 times the vector, for M as it is now."""
        solved: Float64 = self._inverse @ vector
        if self._moves:
            moves = np.stack(self._moves)
            solved -= moves.T @ (np.asarray(self._factors) * (moves @ vector))
        return solved
