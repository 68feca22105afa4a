"""Queries where the classifier's two likeliest classes are nearest."""

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.method.estimators import margin
from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy


class Margin(ScoreStrategy):
    """Queries where the classifier's two likeliest classes are nearest."""

    name = "margin"
    title = "Margin"
    explanation = "Images where two classes are almost equally likely."
    because = "the model finds its two most likely classes almost equally likely"
    paper = "Scheffer et al., Active Hidden Markov Models for Information Extraction, IDA 2001"
    needs = frozenset({"log_p"})
    estimator = ESTIMATORS["margin"]
    least_classes = 2

    def scores(self, pool: PoolView) -> Floats:
        """(N,) margin, 0 to 1."""
        return margin(pool.log_p)
