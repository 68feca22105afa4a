"""Queries at random: what every other strategy is measured against."""

import numpy as np

from tidal_core.records import Int64, PoolView
from tidal_core.strategies.base import Strategy


class RandomChoice(Strategy):
    """Queries at random."""

    name = "random"
    title = "Random"
    explanation = "Any image, each with the same chance."
    because = "it was picked at random"
    paper = "None: the baseline."
    cost = "Time and memory N."
    ranks_all = True

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """n rows in random order."""
        return rng.permutation(len(pool.ids))[:n]
