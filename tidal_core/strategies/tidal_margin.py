"""Queries where the predicted training dynamics favour the classifier's class by the least (M-bar)."""

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.method.estimators import td_margin
from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy, td_of


class TidalMargin(ScoreStrategy):
    """Queries where the predicted training dynamics favour the classifier's class by the least (M-bar)."""

    name = "tidal-margin"
    title = "TiDAL margin"
    explanation = "Images whose predicted training dynamics hardly favour the suggested class."
    because = "its predicted training dynamics hardly favour the class that the model predicts"
    paper = "Kye et al., TiDAL: Learning Training Dynamics for Active Learning, ICCV 2023, Equation 3"
    needs = frozenset({"log_p", "td_log_p"})
    estimator = ESTIMATORS["td_margin"]
    least_classes = 2

    def scores(self, pool: PoolView) -> Floats:
        """(N,) M-bar, -1 to 1."""
        return td_margin(pool.log_p, td_of(pool))
