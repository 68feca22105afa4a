"""UHerding: herding in which an image counts the more, the less sure the model is of it.

The model of a few labels is far too sure of itself; its probabilities are softened by a temperature T. In the paper T
is the one of 1.0, 1.1, ... 20 at which a second model, trained on 70 % of the labels, has the least calibration error
on the other 30 %. A strategy never trains: T is fitted to ``PoolView.held_out_log_p``, what heads that did not train on
them say of the labelled images. A round on frozen features with 10 to 300 labels has it; T is 1 in all other pools.
"""

import numpy as np

from tidal_core.method.calibration import coolest_calibrated, scaled
from tidal_core.records import Float32, PoolView
from tidal_core.strategies.herding import COMPARED, Herding, smallest_distance, unsettled


class UHerding(Herding):
    """Weights 1 - (p1 - p2) of softmax(z / T); sigma is the smallest distance between two labelled images."""

    name = "uherding"
    title = "UHerding"
    explanation = "Images that represent the most others that the model is unsure of; for few labels and for many."
    because = "it represents many images that no label represents yet and that the model is unsure of"
    paper = "Bae et al., Uncertainty Herding: One Active Learning Method for All Label Budgets, ICLR 2025"
    cost = (
        f"Time N T D + L^2 D, memory 4 N T bytes, for N = 8,000 and T = 4,000 images of the pool and L = {COMPARED:,} "
        "labelled ones at most: 128 MB."
    )
    needs = frozenset({"log_p", "features", "labelled_features"})
    least_classes = 2
    reads_held_out = True

    def weights(self, pool: PoolView) -> Float32:
        """(N,) 1 - margin of the softened p, 0 to 1."""
        return unsettled(scaled(pool.log_p, temperature(pool)))

    def sigma(self, pool: PoolView, rng: np.random.Generator) -> float:
        """The smallest distance between labelled images."""
        return smallest_distance(pool, rng)


def temperature(pool: PoolView) -> float:
    """T by what is held out, 1 where nothing is."""
    held_out = pool.held_out_log_p
    if held_out is None or not len(held_out):
        return 1.0
    return coolest_calibrated(held_out, pool.labelled_classes)
