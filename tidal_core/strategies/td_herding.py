"""TD-herding: herding in which an image counts the more, the less settled its predicted training dynamics are."""

from tidal_core.records import Float32, PoolView
from tidal_core.strategies.base import td_of
from tidal_core.strategies.herding import DynamicsHerding, unsettled


class TDHerding(DynamicsHerding):
    """UHerding with u = 1 - margin of p-tilde in place of the margin of a softmax that a temperature has softened.

    p-tilde is a mean over the training and so softer than the final prediction: it needs no temperature, and no second
    model to fit one by.
    """

    name = "td-herding"
    title = "TiDAL herding"
    explanation = (
        "Images that represent the most others whose predicted training dynamics are unsettled; meant for few labels."
    )
    because = (
        "it represents many images that no label represents yet and whose predicted training dynamics favour no class "
        "clearly"
    )
    paper = (
        "This project's (TiDAL Studio), of Bae et al., Uncertainty Herding, ICLR 2025, and Kye et al., TiDAL, ICCV 2023"
    )
    needs = frozenset({"td_log_p", "features", "labelled_features"})

    def weights(self, pool: PoolView) -> Float32:
        """(N,) 1 - margin of p-tilde, 0 to 1."""
        return unsettled(td_of(pool))
