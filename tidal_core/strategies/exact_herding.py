"""Exact herding: herding in which an image counts the more, the less settled its exact training dynamics are."""

from tidal_core.records import Float32, PoolView
from tidal_core.strategies.base import exact_of
from tidal_core.strategies.herding import Herding, unsettled


class ExactHerding(Herding):
    """As TiDAL herding, with the p-bar computed for each image in place of the one that the TD module predicts."""

    name = "exact-herding"
    title = "Exact dynamics herding"
    explanation = (
        "Images that represent the most others whose training dynamics are unsettled; meant for few labels on features "
        "of a pretrained model."
    )
    because = (
        "it represents many images that no label represents yet and for which no class was clearly ahead during "
        "training"
    )
    paper = "This project's (TiDAL Studio), of Bae et al., Uncertainty Herding, ICLR 2025, and Kye et al., ICCV 2023"
    needs = frozenset({"exact_log_p", "features", "labelled_features"})
    least_classes = 2

    def weights(self, pool: PoolView) -> Float32:
        """(N,) 1 - margin of the exact p-bar, 0 to 1."""
        return unsettled(exact_of(pool))
