"""TCM: TypiClust while there are few labels, margin from then on."""

import numpy as np

from tidal_core.records import Int64, PoolView
from tidal_core.strategies.base import Strategy
from tidal_core.strategies.margin import Margin
from tidal_core.strategies.typi_clust import TypiClust

TYPICAL_UNTIL = 4
"""Labels for each class, on average, from which on margin chooses: a start of one a class and three rounds like it.

The paper counts rounds; a pool does not know how many there were, and batches are of any size here.
"""


class TCM(Strategy):
    """TypiClust for fewer than four labels a class, then margin."""

    name = "tcm"
    title = "TCM"
    explanation = (
        "The most typical image of each group without a label while there are fewer than four labels for each class, "
        "then images where two classes are level."
    )
    because = (
        "it is the most typical image of a group with few labels or, from four labels for each class on, the model "
        "finds its two most likely classes almost equally likely"
    )
    paper = "Doucet, Estermann, Aczel and Wattenhofer, Bridging Diversity and Uncertainty in Active Learning, 2024"
    cost = "Time and memory of TypiClust (N k D, and N D) while there are few labels, then time N log N, memory N C."
    needs = frozenset({"log_p", "features", "labelled_features"})
    least_classes = 2
    represents = True

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """n rows of the one or the other."""
        few = len(pool.labelled_features) < TYPICAL_UNTIL * len(pool.class_counts)
        return (TypiClust() if few else Margin()).choose(pool, n, rng)
