"""Query strategies: which images to choose next. One file each; ``registry`` lists them.

>>> rows = get("tidal-entropy").select(pool, 20, np.random.default_rng(0))  # doctest: +SKIP

May import: the ground, ``method.estimators``, ``method.calibration`` and numpy, scipy, scikit-learn: they choose on
arrays. Never torch, the store or Streamlit.
Add here: a strategy as a file of its own, and a line in ``registry``.
"""

from tidal_core.strategies.base import Need, ScoreStrategy, Strategy
from tidal_core.strategies.registry import get, names, of_round, problems, reload

__all__ = ["Need", "ScoreStrategy", "Strategy", "get", "names", "of_round", "problems", "reload"]
