"""Queries where the classifier's probabilities have the highest entropy."""

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.method.estimators import entropy
from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy


class Entropy(ScoreStrategy):
    """Queries where the classifier's probabilities have the highest entropy."""

    name = "entropy"
    title = "Entropy"
    explanation = "Images whose probabilities are spread over several classes."
    because = "the model spreads its probabilities over several classes"
    paper = "Shannon 1948; Settles, Active Learning Literature Survey, 2009"
    needs = frozenset({"log_p"})
    estimator = ESTIMATORS["entropy"]

    def scores(self, pool: PoolView) -> Floats:
        """(N,) entropy in nats."""
        return entropy(pool.log_p)
