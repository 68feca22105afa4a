"""Queries where the predicted training dynamics have the highest entropy (H-bar)."""

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.method.estimators import td_entropy
from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy, td_of


class TidalEntropy(ScoreStrategy):
    """Queries where the predicted training dynamics have the highest entropy (H-bar)."""

    name = "tidal-entropy"
    title = "TiDAL entropy"
    explanation = "Images whose predicted training dynamics are spread over several classes."
    because = "its predicted training dynamics are spread over several classes"
    paper = "Kye et al., TiDAL: Learning Training Dynamics for Active Learning, ICCV 2023, Equation 2"
    needs = frozenset({"td_log_p"})
    estimator = ESTIMATORS["td_entropy"]

    def scores(self, pool: PoolView) -> Floats:
        """(N,) H-bar in nats."""
        return td_entropy(td_of(pool))
