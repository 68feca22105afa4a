"""Exact herding: herding in which an image counts the more, the less settled its exact training dynamics are.

The mean probabilities of a training (p-bar) are softer than its last prediction, and so take the place of the
temperature by which UHerding softens that, for which it holds labels back and trains a second model. The kernel's width
follows the labels as in UHerding.
"""

from tidal_core.records import Float32, PoolView
from tidal_core.strategies.base import exact_of
from tidal_core.strategies.herding import DynamicsHerding, unsettled


class ExactHerding(DynamicsHerding):
    """Weights 1 - (p1 - p2) of the exact p-bar; sigma is 0.7 of the smallest distance between two labelled images."""

    name = "exact-herding"
    title = "Exact dynamics herding"
    explanation = (
        "Images that represent the most others whose training dynamics are unsettled; for few labels and for many, on "
        "features of a pretrained model."
    )
    because = (
        "it represents many images that no label represents yet and for which no class was clearly ahead during "
        "training"
    )
    paper = "This project's (TiDAL Studio), of Bae et al., Uncertainty Herding, ICLR 2025, and Kye et al., ICCV 2023"
    needs = frozenset({"exact_log_p", "features", "labelled_features"})

    def weights(self, pool: PoolView) -> Float32:
        """(N,) 1 - margin of the exact p-bar, 0 to 1."""
        return unsettled(exact_of(pool))
