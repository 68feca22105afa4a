"""Purity herding: an image stands only for images that look like it and were also learnt alike. An experiment.

A first try lost to plain herding by 1.8 points on CIFAR-10; it is here so that the comparison can say it of more data.
"""

import numpy as np

from tidal_core.records import PoolView
from tidal_core.strategies.base import exact_of
from tidal_core.strategies.herding import Alike, DynamicsHerding


class PurityHerding(DynamicsHerding):
    """MaxHerding with the kernel K(x, x') sum_c sqrt(p-bar_c p-bar'_c), the p-bar being the exact ones.

    The dynamics of a labelled image are taken as its label alone: one class all along.
    """

    name = "purity-herding"
    title = "Purity herding (an experiment)"
    explanation = "Images that represent the most others that look like them and whose training dynamics agree."
    because = (
        "it represents many images that look like it, had the same likely classes during training, and that no label "
        "represents yet"
    )
    paper = "This project's (TiDAL Studio), of Bae et al., ECCV 2024, and Kye et al., ICCV 2023"
    cost = "Time N T (D + C), memory 4 N T bytes, for N = 8,000 and T = 4,000 images of the pool at most: 128 MB."
    needs = frozenset({"exact_log_p", "features", "labelled_features"})

    def alike(self, pool: PoolView) -> Alike:
        """Square roots of p-bar, and of one-hot labels."""
        p_bar = exact_of(pool)
        labels = np.eye(p_bar.shape[1], dtype=np.float32)[pool.labelled_classes]
        return Alike(np.exp(p_bar / 2), labels)
