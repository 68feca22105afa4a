"""Ask where the predicted training dynamics have the highest entropy (H-bar)."""

from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy, td_of
from tidal_core.strategies.scores import td_entropy


class TidalEntropy(ScoreStrategy):
    """Ask where the predicted training dynamics have the highest entropy (H-bar)."""

    name = "tidal-entropy"
    title = "TiDAL entropy"
    explanation = "Images whose predicted learning path is spread over several classes."
    paper = "Kye et al., TiDAL: Learning Training Dynamics for Active Learning, ICCV 2023, Equation 2"
    needs = frozenset({"td_log_p"})
    column = "td_entropy"
    ask_for = "highest"

    def scores(self, pool: PoolView) -> Floats:
        """(N,) H-bar in nats."""
        return td_entropy(td_of(pool))
