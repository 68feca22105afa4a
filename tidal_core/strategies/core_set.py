"""CoreSet: query so that no image is far from a labelled one."""

import numpy as np

from tidal_core.records import Int64, PoolView
from tidal_core.strategies.base import Strategy
from tidal_core.strategies.diversity import k_centre


class CoreSet(Strategy):
    """k-centre greedy on the features; the labelled images are centres from the start."""

    name = "coreset"
    title = "CoreSet"
    explanation = "Images that look different from all labelled images and from each other."
    because = "it looks different from all labelled images and from the others chosen with it"
    paper = "Sener and Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018"
    cost = "Time N D (L + n), memory N beside the features."
    needs = frozenset({"features", "labelled_features"})

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """The n farthest, one after the other."""
        return k_centre(pool.features, n, rng, pool.labelled_features)
