"""Query strategies: which images to ask next. One file each; ``registry`` lists them, ``scores`` holds the formulas.

>>> rows = get("tidal-entropy").select(pool, 20, np.random.default_rng(0))  # doctest: +SKIP
"""

from tidal_core.strategies.base import Need, ScoreStrategy, Strategy
from tidal_core.strategies.registry import get, names, problems, reload
from tidal_core.strategies.scores import estimators

__all__ = ["Need", "ScoreStrategy", "Strategy", "estimators", "get", "names", "problems", "reload"]
