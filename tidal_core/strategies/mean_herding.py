"""Mean herding: herding weighted by the final prediction and the predicted training dynamics, in equal parts."""

import numpy as np

from tidal_core.method.estimators import log_of
from tidal_core.records import Float32, PoolView
from tidal_core.strategies.base import td_of
from tidal_core.strategies.herding import DynamicsHerding, unsettled


class MeanHerding(DynamicsHerding):
    """As TiDAL herding, with the mean of p and p-tilde in place of p-tilde."""

    name = "mean-herding"
    title = "TiDAL mean herding"
    explanation = (
        "Images that represent the most others that are unsettled by the final prediction and by their predicted "
        "training dynamics together; meant for few labels."
    )
    because = (
        "it represents many images that no label represents yet and for which the final prediction and the predicted "
        "training dynamics together favour no class clearly"
    )
    paper = "This project's (TiDAL Studio), of Bae et al., Uncertainty Herding, ICLR 2025, and Kye et al., ICCV 2023"
    needs = frozenset({"log_p", "td_log_p", "features", "labelled_features"})

    def weights(self, pool: PoolView) -> Float32:
        """(N,) 1 - margin of (p + p-tilde) / 2, 0 to 1."""
        return unsettled(log_of((np.exp(pool.log_p) + np.exp(td_of(pool))) / 2))
