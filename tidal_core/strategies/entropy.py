"""Ask where the classifier's probabilities have the highest entropy."""

from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy
from tidal_core.strategies.scores import entropy


class Entropy(ScoreStrategy):
    """Ask where the classifier's probabilities have the highest entropy."""

    name = "entropy"
    title = "Entropy"
    explanation = "Images whose probabilities are spread over several classes."
    paper = "Shannon 1948; Settles, Active Learning Literature Survey, 2009"
    needs = frozenset({"log_p"})
    column = "entropy"
    ask_for = "highest"

    def scores(self, pool: PoolView) -> Floats:
        """(N,) entropy in nats."""
        return entropy(pool.log_p)
