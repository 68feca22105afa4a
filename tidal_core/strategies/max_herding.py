"""MaxHerding: with few labels, query the images that stand for most others."""

import numpy as np

from tidal_core.records import Int64, PoolView
from tidal_core.strategies.base import Strategy
from tidal_core.strategies.distances import unit_length
from tidal_core.strategies.herding import herd


class MaxHerding(Strategy):
    """Greedy coverage of the pool by a Gaussian kernel of width 1 on features of unit length."""

    name = "maxherding"
    title = "MaxHerding"
    explanation = "Images that represent the most others without a label; meant for the first few dozen labels."
    because = "it represents many images that no label represents yet"
    paper = "Bae, Wang and Sutherland, Generalized Coverage for More Robust Low-Budget Active Learning, ECCV 2024"
    cost = "Time N T D, memory 4 N T bytes, for N = 8,000 and T = 4,000 images of the pool at most: 128 MB."
    needs = frozenset({"features", "labelled_features"})
    represents = True

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """The n that add most coverage, one after the other."""
        return herd(unit_length(pool.features), n, rng, unit_length(pool.labelled_features))
