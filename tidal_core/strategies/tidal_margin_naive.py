"""Queries where the two largest predicted training dynamics are nearest (M-bar_0)."""

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.method.estimators import td_margin_naive
from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy, td_of


class TidalMarginNaive(ScoreStrategy):
    """Queries where the two largest predicted training dynamics are nearest (M-bar_0)."""

    name = "tidal-margin-naive"
    title = "TiDAL margin, naive"
    explanation = "Images whose predicted training dynamics favour two classes almost equally."
    because = "its predicted training dynamics favour two classes almost equally"
    paper = "Kye et al., TiDAL: Learning Training Dynamics for Active Learning, ICCV 2023, appendix (26)"
    needs = frozenset({"td_log_p"})
    estimator = ESTIMATORS["td_margin_naive"]
    least_classes = 2

    def scores(self, pool: PoolView) -> Floats:
        """(N,) M-bar_0, 0 to 1."""
        return td_margin_naive(td_of(pool))
