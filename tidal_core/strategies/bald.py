"""BALD: ask where the members of a dropout ensemble are each sure, and disagree."""

import numpy as np

from tidal_core.records import PoolView
from tidal_core.strategies.base import ScoreStrategy
from tidal_core.strategies.scores import Floats, entropy


class Bald(ScoreStrategy):
    """The mutual information between an image's class and the weights, from MC dropout."""

    name = "bald"
    title = "BALD"
    explanation = "Images on which networks with different units dropped disagree."
    paper = "Houlsby et al. 2011; Gal, Islam and Ghahramani, Deep Bayesian Active Learning with Image Data, ICML 2017"
    cost = "Time and memory N S C for S dropout passes, beside the passes themselves."
    needs = frozenset({"mc_log_p"})
    ask_for = "highest"

    def scores(self, pool: PoolView) -> Floats:
        """(N,) H(mean p) - mean H(p) in nats, 0 to log C."""
        return mutual_information(pool.extra["mc_log_p"])


def mutual_information(mc_log_p: Floats) -> Floats:
    """(N, S, C) log-probabilities of S passes -> (N,); safe at p = 0."""
    size, passes, classes = mc_log_p.shape
    each = entropy(mc_log_p.reshape(size * passes, classes)).reshape(size, passes).mean(axis=1)
    with np.errstate(divide="ignore"):
        mean_log_p = np.log(np.exp(mc_log_p).mean(axis=1))  # (N, C)
    # Passes that agree differ by rounding only, which may fall below 0.
    found: Floats = np.maximum(entropy(mean_log_p) - each, 0)
    return found
