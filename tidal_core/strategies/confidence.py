"""Queries where the classifier's largest probability is lowest."""

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.method.estimators import confidence
from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy


class Confidence(ScoreStrategy):
    """Queries where the classifier's largest probability is lowest."""

    name = "confidence"
    title = "Least confidence"
    explanation = "Images whose most likely class has a low probability."
    because = "the model gives its most likely class a low probability"
    paper = "Lewis and Gale, A Sequential Algorithm for Training Text Classifiers, SIGIR 1994"
    needs = frozenset({"log_p"})
    estimator = ESTIMATORS["confidence"]

    def scores(self, pool: PoolView) -> Floats:
        """(N,) the largest probability."""
        return confidence(pool.log_p)
