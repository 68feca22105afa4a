"""BADGE: query images whose gradients are large and point in different directions."""

import numpy as np

from tidal_core.records import Float32, Int64, PoolView
from tidal_core.strategies.base import Strategy
from tidal_core.strategies.diversity import k_means_pp


class Badge(Strategy):
    """k-means++ seeding on the gradients of the last layer, as if the predicted class were the label."""

    name = "badge"
    title = "BADGE"
    explanation = "Images whose labels would move the model most, each in a different way."
    because = "its label would move the model a lot, and in a different way than the others chosen with it"
    paper = "Ash et al., Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds, ICLR 2020"
    cost = "Time n N (C + D), memory N C beside the features: the N x C D gradients are never written out."
    needs = frozenset({"log_p", "features"})

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """n rows by k-means++ on (p - onehot(y-hat)) outer features."""
        return k_means_pp(gradient_factor(np.exp(pool.log_p)), pool.features, n, rng)


def gradient_factor(p: Float32) -> Float32:
    """p - onehot(argmax p), the gradient of the cross-entropy by the logits: (N, C)."""
    factor = p.copy()
    factor[np.arange(len(p)), p.argmax(axis=1)] -= 1
    return factor
