"""Two steps: the best 10 n by a score, then the n of them that differ most.

A batch of the n best is redundant: they are often the same image over and over. Small-budget measurements are in
EXPERIMENTS.md.
"""

import numpy as np

from tidal_core.records import Int64, PoolView
from tidal_core.strategies.base import ScoreStrategy, Strategy
from tidal_core.strategies.diversity import k_centre
from tidal_core.strategies.margin import Margin
from tidal_core.strategies.tidal_margin import TidalMargin

CANDIDATES = 10  # times n


class DiverseByScore(Strategy):
    """The best of ``score``, spread by k-centre on the features; labelled images are centres from the start."""

    score: ScoreStrategy
    cost = "Time N log N, then 10 n D (L + n); memory N C."

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """n rows of the 10 n best by score."""
        candidates = self.score.choose(pool, min(CANDIDATES * n, len(pool.ids)), rng)
        return candidates[k_centre(pool.features[candidates], n, rng, pool.labelled_features)]


class TidalMarginDiverse(DiverseByScore):
    """TiDAL margin's best 10 n, then k-centre."""

    name = "tidal-margin-diverse"
    title = "TiDAL margin, spread"
    explanation = "Among the images that TiDAL margin ranks first, those that look different from each other."
    because = (
        "its predicted training dynamics hardly favour the class that the model predicts, and it looks different from "
        "the others chosen with it"
    )
    paper = "This project's, of Kye et al., ICCV 2023, and Sener and Savarese, ICLR 2018"
    needs = frozenset({"log_p", "td_log_p", "features", "labelled_features"})
    least_classes = 2
    estimator = TidalMargin.estimator
    score = TidalMargin()


class MarginDiverse(DiverseByScore):
    """Margin's best 10 n, then k-centre: the control for TidalMarginDiverse."""

    name = "margin-diverse"
    title = "Margin, spread"
    explanation = "Among the images that margin ranks first, those that look different from each other."
    because = (
        "the model finds its two most likely classes almost equally likely, and it looks different from the others "
        "chosen with it"
    )
    paper = "This project's, of Scheffer et al., IDA 2001, and Sener and Savarese, ICLR 2018"
    needs = frozenset({"log_p", "features", "labelled_features"})
    least_classes = 2
    estimator = Margin.estimator
    score = Margin()
