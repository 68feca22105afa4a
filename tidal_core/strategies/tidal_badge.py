"""BADGE on what the classifier says now and what its training dynamics are predicted to be, in equal parts."""

import numpy as np

from tidal_core.records import Int64, PoolView
from tidal_core.strategies.badge import gradient_factor
from tidal_core.strategies.base import Strategy, td_of
from tidal_core.strategies.diversity import k_means_pp


class TidalBadge(Strategy):
    """BADGE with the mean of p and p-tilde in place of p."""

    name = "tidal-badge"
    title = "TiDAL BADGE"
    explanation = (
        "Images whose labels would move the model most, by their training dynamics too, each in a different way."
    )
    because = (
        "its label would move the model a lot, by its predicted training dynamics too, and in a different way than "
        "the others chosen with it"
    )
    paper = "This project's, of Ash et al., ICLR 2020, and Kye et al., ICCV 2023"
    cost = "Time n N (C + D), memory N C beside the features, as BADGE."
    needs = frozenset({"log_p", "td_log_p", "features"})

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """n rows by k-means++ on the gradients of (p + p-tilde) / 2."""
        mean_p = np.exp(pool.log_p)
        mean_p += np.exp(td_of(pool))
        mean_p /= 2
        return k_means_pp(gradient_factor(mean_p), pool.features, n, rng)
