"""TiDAL's entropy of the exact training dynamics, for rounds that train on frozen features."""

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.method.estimators import td_entropy
from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy, exact_of


class ExactEntropy(ScoreStrategy):
    """As TiDAL entropy, with the p-bar computed for each image in place of the one that the TD module predicts."""

    name = "exact-entropy"
    title = "Exact dynamics entropy"
    explanation = "Images whose exact training dynamics are spread over many classes."
    because = "its probabilities were spread over many classes during training"
    paper = (
        "Kye et al., TiDAL: Learning Training Dynamics for Active Learning, ICCV 2023, Equation 2, with the exact p-bar"
    )
    needs = frozenset({"exact_log_p"})
    estimator = ESTIMATORS["exact_entropy"]

    def scores(self, pool: PoolView) -> Floats:
        """(N,) H of the exact p-bar in nats."""
        return td_entropy(exact_of(pool))
