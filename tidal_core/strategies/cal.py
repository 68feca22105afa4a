"""CAL: query images whose predictions contradict those of labelled images that look alike."""

import numpy as np

from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy
from tidal_core.strategies.distances import neighbours

NEIGHBOURS = 10  # as in the paper
_LOG_ZERO = np.float32(-1e30)


class Cal(ScoreStrategy):
    """Contrastive active learning: mean KL(p(labelled neighbour) || p(image)) over the nearest labelled images."""

    name = "cal"
    title = "CAL"
    explanation = "Images that look like labelled images but are predicted differently."
    because = "labelled images that look like it are predicted differently"
    paper = "Margatina et al., Active Learning by Acquiring Contrastive Examples, EMNLP 2021"
    cost = "Time N L D, memory N C beside the features."
    needs = frozenset({"log_p", "features", "labelled_features", "labelled_log_p"})
    query_end = "highest"

    def scores(self, pool: PoolView) -> Floats:
        """(N,) mean divergence in nats over min(10, L) neighbours; 0 while nothing is labelled."""
        k = min(NEIGHBOURS, len(pool.labelled_features))
        if k == 0:
            return np.zeros(len(pool.ids), np.float32)
        rows = neighbours(pool.features, pool.labelled_features, k)  # (N, k)
        log_q = np.maximum(pool.labelled_log_p, _LOG_ZERO)
        q = np.exp(log_q)
        # KL(q || p) = sum q log q - sum q log p; both sums are linear in q's neighbours, so their means are enough.
        minus_entropy = (q * log_q).sum(axis=1)[rows].mean(axis=1)  # (N,)
        mean_q = np.zeros_like(pool.log_p)  # (N, C)
        for rank in range(k):
            mean_q += q[rows[:, rank]]
        mean_q /= k
        divergence: Floats = minus_entropy - (mean_q * np.maximum(pool.log_p, _LOG_ZERO)).sum(axis=1)
        return divergence
