"""Learning loss: query where the loss is predicted to be high."""

from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy


class LearningLoss(ScoreStrategy):
    """The predicted loss, from a module trained beside the classifier."""

    name = "learning-loss"
    title = "Learning loss"
    explanation = "Images on which a part of the model that learns to rank losses predicts the largest ones."
    because = "the model predicts that its answer for it is among the most wrong"
    paper = "Yoo and Kweon, Learning Loss for Active Learning, CVPR 2019; on frozen features a variant, without a body"
    cost = (
        "Time N log N, memory N; its module is trained beside the classifier, about as long as that of TiDAL's "
        "strategies."
    )
    needs = frozenset({"predicted_loss"})
    query_end = "highest"

    def scores(self, pool: PoolView) -> Floats:
        """(N,) predicted losses, on the module's own scale."""
        return pool.extra["predicted_loss"]


class LearningLossRanked(LearningLoss):
    """The same module trained as in the public codes of TiDAL and TA-VAAL."""

    name = "learning-loss-ranked"
    title = "Learning loss by cross-entropy"
    paper = (
        "Yoo and Kweon, CVPR 2019, with the cross-entropy on sigmoid differences of TA-VAAL (Kim et al., CVPR 2021) in "
        "place of the hinge"
    )
    needs = frozenset({"predicted_rank"})

    def scores(self, pool: PoolView) -> Floats:
        """(N,) predicted ranks, on the module's own scale."""
        return pool.extra["predicted_rank"]
