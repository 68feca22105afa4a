"""Queries where the predicted training dynamics of the classifier's class are lowest (P-bar)."""

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.method.estimators import td_confidence
from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy, td_of


class TidalConfidence(ScoreStrategy):
    """Queries where the predicted training dynamics of the classifier's class are lowest (P-bar)."""

    name = "tidal-confidence"
    title = "TiDAL confidence"
    explanation = "Images whose predicted training dynamics give the suggested class a low probability."
    because = "its predicted training dynamics give the class that the model predicts a low probability"
    paper = "Kye et al., TiDAL: Learning Training Dynamics for Active Learning, ICCV 2023, appendix (27)"
    needs = frozenset({"log_p", "td_log_p"})
    estimator = ESTIMATORS["td_confidence"]

    def scores(self, pool: PoolView) -> Floats:
        """(N,) P-bar, 0 to 1."""
        return td_confidence(pool.log_p, td_of(pool))
