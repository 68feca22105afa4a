"""BALD: query where the members of a dropout ensemble are each sure, and disagree."""

from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy


class Bald(ScoreStrategy):
    """The mutual information between an image's class and the weights, from MC dropout."""

    name = "bald"
    title = "BALD"
    explanation = "Images that variants of the model, with random parts switched off, disagree about."
    because = "variants of the model, with random parts switched off, disagree about it"
    paper = "Houlsby et al. 2011; Gal, Islam and Ghahramani, Deep Bayesian Active Learning with Image Data, ICML 2017"
    cost = "Time N S C D for S dropout passes over D features, memory N: what the passes say is summed up as they go."
    needs = frozenset({"mc_information"})
    query_end = "highest"

    def scores(self, pool: PoolView) -> Floats:
        """(N,) H(mean p) - mean H(p) in nats, 0 to log C."""
        return pool.extra["mc_information"]
