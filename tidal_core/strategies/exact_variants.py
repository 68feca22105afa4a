"""TiDAL's three other estimators of the exact training dynamics, for rounds that train on frozen features.

The two that the paper asks by have files of their own (``exact_entropy``, ``exact_margin``) and columns in the scores
table; of these three a round keeps the value of the images that it asks only.
"""

from tidal_core.method.estimators import td_confidence, td_confidence_naive, td_margin_naive
from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy, exact_of

APPENDIX = "Kye et al., TiDAL: Learning Training Dynamics for Active Learning, ICCV 2023, appendix"


class ExactMarginNaive(ScoreStrategy):
    """As TiDAL margin, naive, with the p-bar computed for each image in place of the predicted one."""

    name = "exact-margin-naive"
    title = "Exact dynamics margin, naive"
    explanation = "Images whose exact training dynamics favour two classes almost equally."
    because = "its probabilities during training favour two classes almost equally"
    paper = f"{APPENDIX} (26), with the exact p-bar"
    needs = frozenset({"exact_log_p"})
    least_classes = 2

    def scores(self, pool: PoolView) -> Floats:
        """(N,) the exact M-bar_0, 0 to 1."""
        return td_margin_naive(exact_of(pool))


class ExactConfidence(ScoreStrategy):
    """As TiDAL confidence, with the p-bar computed for each image in place of the predicted one."""

    name = "exact-confidence"
    title = "Exact dynamics confidence"
    explanation = "Images whose exact training dynamics give the suggested class a low probability."
    because = "the class that the model predicts had a low probability during training"
    paper = f"{APPENDIX} (27), with the exact p-bar"
    needs = frozenset({"log_p", "exact_log_p"})

    def scores(self, pool: PoolView) -> Floats:
        """(N,) the exact P-bar, 0 to 1."""
        return td_confidence(pool.log_p, exact_of(pool))


class ExactConfidenceNaive(ScoreStrategy):
    """As TiDAL confidence, naive, with the p-bar computed for each image in place of the predicted one."""

    name = "exact-confidence-naive"
    title = "Exact dynamics confidence, naive"
    explanation = "Images whose exact training dynamics give no class a high probability."
    because = "no class had a high probability during training"
    paper = f"{APPENDIX} (28), with the exact p-bar"
    needs = frozenset({"exact_log_p"})

    def scores(self, pool: PoolView) -> Floats:
        """(N,) the exact P-bar_0, 1/C to 1."""
        return td_confidence_naive(exact_of(pool))
