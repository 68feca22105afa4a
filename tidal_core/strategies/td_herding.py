"""TD-herding: herding in which an image counts the more, the less settled its predicted training dynamics are."""

import numpy as np

from tidal_core.method.estimators import td_margin_naive
from tidal_core.records import Int64, PoolView
from tidal_core.strategies.base import Strategy, td_of
from tidal_core.strategies.distances import unit_length
from tidal_core.strategies.herding import herd


class TDHerding(Strategy):
    """UHerding with u = 1 - margin of p-tilde in place of the margin of a softmax that a temperature has softened.

    p-tilde is a mean over the training and so softer than the final prediction: it needs no temperature, and no second
    model to fit one by.
    """

    name = "td-herding"
    title = "TiDAL herding"
    explanation = (
        "Images that represent the most others whose predicted training dynamics are unsettled; meant for few labels."
    )
    because = (
        "it represents many images that no label represents yet and whose predicted training dynamics favour no class "
        "clearly"
    )
    paper = (
        "This project's (TiDAL Studio), of Bae et al., Uncertainty Herding, ICLR 2025, and Kye et al., TiDAL, ICCV 2023"
    )
    cost = "Time N T D, memory 4 N T bytes, for N = 8,000 and T = 4,000 images of the pool at most: 128 MB."
    needs = frozenset({"td_log_p", "features", "labelled_features"})
    represents = True
    least_classes = 2

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """The n that add most weighted coverage, one after the other."""
        unsettled = (1 - td_margin_naive(td_of(pool))).astype(np.float32)  # (N,) 0 to 1
        return herd(unit_length(pool.features), n, rng, unit_length(pool.labelled_features), unsettled)
