"""What each image counts in the loss where some classes have many labels and others few.

Weights, not repeated draws: p^(t) of every image is then recorded once an epoch, so that p-bar, curves and epochs keep
their meaning. In sum over an epoch the classes count alike either way.
"""

from __future__ import annotations

import numpy as np

from tidal_core.config import TrainConfig
from tidal_core.records import Float32, Int64


def image_weights(config: TrainConfig, labels: Int64) -> Float32 | None:
    """The weight of each image (N,) by its label (N,), 1 on average, the same sum for every class that has labels.

    None where all count alike. An image of a class with one label in a thousand, of two classes, counts 500.
    """
    if config.class_balance == "none":
        return None
    _, position, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(len(labels) / (len(counts) * counts[position]), dtype=np.float32)
