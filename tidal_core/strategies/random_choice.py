"""Ask at random: what every other strategy is measured against."""

import numpy as np

from tidal_core.records import Int64, PoolView
from tidal_core.strategies.base import Strategy


class RandomChoice(Strategy):
    """Ask at random."""

    name = "random"
    title = "Random"
    explanation = "Any image, each as likely as the next."
    because = "it was drawn at random"
    paper = "None: the baseline."
    cost = "Time and memory N."
    ranks_all = True

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """n rows in random order."""
        return rng.permutation(len(pool.ids))[:n]
