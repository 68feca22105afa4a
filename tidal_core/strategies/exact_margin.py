"""TiDAL's margin of the exact training dynamics, for rounds that train on frozen features."""

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.method.estimators import td_margin
from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy, exact_of


class ExactMargin(ScoreStrategy):
    """As TiDAL margin, with the p-bar computed for each image in place of the one that the TD module predicts."""

    name = "exact-margin"
    title = "Exact dynamics margin"
    explanation = "Images whose exact training dynamics hardly favour the suggested class."
    because = "its probabilities during training hardly favour the class that the model predicts"
    paper = (
        "Kye et al., TiDAL: Learning Training Dynamics for Active Learning, ICCV 2023, Equation 3, with the exact p-bar"
    )
    needs = frozenset({"log_p", "exact_log_p"})
    estimator = ESTIMATORS["exact_margin"]
    least_classes = 2

    def scores(self, pool: PoolView) -> Floats:
        """(N,) the exact M-bar, -1 to 1."""
        return td_margin(pool.log_p, exact_of(pool))
