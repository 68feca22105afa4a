"""Features laid out on a plane, so that what looks alike lies close together: N points of D numbers become (N, 2).

``principal_plane`` is there at once and keeps the large distances (principal components). ``NeighbourPlane`` takes
minutes and keeps who lies next to whom (t-SNE, van der Maaten and Hinton 2008, as openTSNE computes it, Poličar et al.
2019); it is computed step by step, so that whoever computes it can do something else in between. Of more than ``MOST``
points, that many are laid out, chosen at random, and the others placed among those that are most like them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tidal_core.engine.features.store import Features
from tidal_core.records import Float32, Int64

MOST = 20_000  # points that are laid out with each other: the time grows with them
DIMENSIONS = 50  # principal components that neighbours are looked for in: the rest is mostly noise
BLOCK = 8_192  # rows of features in memory at a time
ITERATIONS_A_STEP = 25
PHASES = ((250, 12.0, 0.5), (500, 1.0, 0.8))  # iterations, exaggeration, momentum: openTSNE's own


def principal_components(features: Features, rows: Int64, n: int, seed: int = 0) -> Float32:
    """(N, n) the features at ``rows`` (N,), all there, along the n directions in which at most ``MOST`` vary most."""
    rng = np.random.default_rng(seed)
    sample = rows if len(rows) <= MOST else np.sort(rng.choice(rows, MOST, replace=False))
    values = features.last_stage(sample)  # (M, D)
    mean = values.mean(axis=0)
    centred = values - mean
    _, directions = np.linalg.eigh(centred.T @ centred)  # ascending
    chosen = directions[:, ::-1][:, :n].astype(np.float32)  # (D, n)
    # The sign of a direction means nothing: the same one each time, so that the picture is the same.
    chosen *= np.where(chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])] < 0, -1, 1)
    components = np.zeros((len(rows), n), dtype=np.float32)
    order = np.argsort(rows, kind="stable")  # the file is read in its order
    for start in range(0, len(rows), BLOCK):
        block = order[start : start + BLOCK]
        components[block, : chosen.shape[1]] = (features.last_stage(rows[block]) - mean) @ chosen
    return components


def principal_plane(features: Features, rows: Int64) -> Float32:
    """(N, 2) from -1 to 1."""
    return fitted(principal_components(features, rows, 2))


def fitted(points: Float32) -> Float32:
    """Points (N, 2) moved and scaled into -1 to 1, both axes alike; a few that lie far out are brought to the edge."""
    if not len(points):
        return points
    low, high = np.percentile(points, [0.1, 99.9], axis=0)
    half = max(float((high - low).max()) / 2, 1e-12)
    return np.asarray(np.clip((points - (low + high) / 2) / half, -1, 1), dtype=np.float32)


class NeighbourPlane:
    """A layout by neighbours in the making; ``step`` until it says that it is done."""

    def __init__(self, components: Float32, seed: int = 0) -> None:
        """``components`` (N, d): see ``principal_components``."""
        self._components = components
        rng = np.random.default_rng(seed)
        n = len(components)
        self._sample = np.arange(n) if n <= MOST else np.sort(rng.choice(n, MOST, replace=False))
        self._seed = seed
        self._embedding: Any = None
        self._left = [iterations for iterations, _, _ in PHASES]

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        return 1 - sum(self._left) / sum(iterations for iterations, _, _ in PHASES)

    def step(self) -> bool:
        """Go on a little, some seconds of one core at most; whether it is complete."""
        if self._embedding is None:
            self._embedding = self._begun()
            return False
        phase = next((place for place, left in enumerate(self._left) if left), None)
        if phase is None:
            return True
        _, exaggeration, momentum = PHASES[phase]
        self._embedding.optimize(ITERATIONS_A_STEP, exaggeration=exaggeration, momentum=momentum, inplace=True)
        self._left[phase] = max(0, self._left[phase] - ITERATIONS_A_STEP)
        return not any(self._left)

    def _begun(self) -> Any:
        from openTSNE import TSNEEmbedding
        from openTSNE.affinity import PerplexityBasedNN

        values = self._components[self._sample]
        # What an exact search costs is known; an approximate one of few points is no faster.
        method = "exact" if len(values) < 2_000 else "annoy"
        affinities = PerplexityBasedNN(
            values,
            perplexity=min(30.0, max(1.0, (len(values) - 1) / 3)),
            method=method,
            n_jobs=1,
            random_state=self._seed,
        )
        spread = values[:, :2] / max(float(values[:, 0].std()), 1e-12) * 1e-4
        return TSNEEmbedding(spread.astype(np.float64), affinities, n_jobs=1, random_state=self._seed)

    def points(self) -> Float32:
        """(N, 2) from -1 to 1, once it is complete."""
        placed = np.asarray(self._embedding, dtype=np.float32)
        if len(self._sample) == len(self._components):
            return fitted(placed)
        points = np.empty((len(self._components), 2), dtype=np.float32)
        points[self._sample] = placed
        rest = np.setdiff1d(np.arange(len(self._components)), self._sample)
        for start in range(0, len(rest), BLOCK):
            block = rest[start : start + BLOCK]
            points[block] = self._embedding.prepare_partial(self._components[block], initialization="median", k=10)
        return fitted(points)
