"""Queries where the largest predicted training dynamics are lowest (P-bar_0)."""

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.method.estimators import td_confidence_naive
from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy, td_of


class TidalConfidenceNaive(ScoreStrategy):
    """Queries where the largest predicted training dynamics are lowest (P-bar_0)."""

    name = "tidal-confidence-naive"
    title = "TiDAL confidence, naive"
    explanation = "Images whose predicted training dynamics give no class a high probability."
    because = "its predicted training dynamics give no class a high probability"
    paper = "Kye et al., TiDAL: Learning Training Dynamics for Active Learning, ICCV 2023, appendix (28)"
    needs = frozenset({"td_log_p"})
    estimator = ESTIMATORS["td_confidence_naive"]

    def scores(self, pool: PoolView) -> Floats:
        """(N,) P-bar_0, 1/C to 1."""
        return td_confidence_naive(td_of(pool))
