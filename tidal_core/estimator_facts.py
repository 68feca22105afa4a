"""What each estimator of uncertainty is called, means, and which end of it is queried first. numpy at most.

Shared by every room: the scores table has a column for each, strategies rank by them, pages and exports explain them.
``method.estimators`` computes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tidal_core.records import Floats

Direction = Literal["highest", "lowest"]
"""Which end of a score is queried first."""


@dataclass(frozen=True)
class Estimator:
    """A number that says how unsure the model is of an image: what it is called, means, and which end is queried.

    The function of the same name in ``method.estimators`` computes it, a column of that name in the scores table
    keeps it.
    """

    name: str
    words: str  # what people call it, in the middle of a sentence
    meaning: str  # for someone who never read the papers
    source: str
    query_end: Direction
    symbol: str = ""  # what the paper calls it
    least: float = 0.0
    most: float | None = 1.0  # None: the logarithm of the number of classes

    @property
    def title(self) -> str:
        """What people call it, as a heading: words first, then the paper's symbol."""
        words = self.words[0].upper() + self.words[1:]
        return f"{words} ({self.symbol})" if self.symbol else words

    @property
    def help(self) -> str:
        """Meaning and source in one text, as a hover shows it."""
        return f"{self.meaning} ({self.source})"

    def bounds(self, n_classes: int) -> tuple[float, float]:
        """The smallest and the largest value that it can take; with one class as if there were two."""
        return self.least, float(np.log(max(n_classes, 2))) if self.most is None else self.most

    def urgency(self, values: Floats) -> Floats:
        """The values turned so that what is queried first is the largest."""
        return values if self.query_end == "highest" else -values


ESTIMATORS: dict[str, Estimator] = {
    estimator.name: estimator
    for estimator in (
        Estimator(
            "entropy",
            "prediction entropy",
            "How spread out the final prediction is over the classes: 0 means that one class is certain.",
            "Shannon 1948",
            query_end="highest",
            most=None,
        ),
        Estimator(
            "margin",
            "prediction margin",
            "By how much the final prediction's first class leads the second: 0 is a tie.",
            "Scheffer et al. 2001",
            query_end="lowest",
        ),
        Estimator(
            "confidence",
            "prediction confidence",
            "The probability of the final prediction's first class: 1 means that it is certain.",
            "Lewis and Gale 1994",
            query_end="lowest",
        ),
        Estimator(
            "td_entropy",
            "dynamics entropy",
            "How spread out the training dynamics are over the classes: 0 is one class all along, the largest value "
            "(the logarithm of the number of classes) is all classes alike. TiDAL entropy chooses the highest.",
            "TiDAL, ICCV 2023",
            query_end="highest",
            symbol="H-bar",
            most=None,
        ),
        Estimator(
            "td_margin",
            "dynamics margin",
            "By how much the predicted class leads the best other class in the training dynamics. A negative value "
            "means that the dynamics favour another class. TiDAL margin chooses the lowest.",
            "TiDAL, ICCV 2023",
            query_end="lowest",
            symbol="M-bar",
            least=-1.0,
        ),
        Estimator(
            "td_margin_naive",
            "naive dynamics margin",
            "By how much the first class of the training dynamics leads their second: 0 is a tie.",
            "TiDAL, ICCV 2023, appendix",
            query_end="lowest",
            symbol="M-bar_0",
        ),
        Estimator(
            "td_confidence",
            "dynamics confidence",
            "The share of the predicted class in the training dynamics: 1 is that class all along.",
            "TiDAL, ICCV 2023, appendix",
            query_end="lowest",
            symbol="P-bar",
        ),
        Estimator(
            "td_confidence_naive",
            "naive dynamics confidence",
            "The largest share of a class in the training dynamics: 1 is one class all along.",
            "TiDAL, ICCV 2023, appendix",
            query_end="lowest",
            symbol="P-bar_0",
        ),
        Estimator(
            "exact_entropy",
            "exact dynamics entropy",
            "As the dynamics entropy, from the training dynamics computed for this image instead of predicted: known "
            "only where a round trains on features. Exact entropy chooses the highest.",
            "TiDAL, ICCV 2023, on frozen features",
            query_end="highest",
            most=None,
        ),
        Estimator(
            "exact_margin",
            "exact dynamics margin",
            "As the dynamics margin, from the training dynamics computed for this image instead of predicted: known "
            "only where a round trains on features. Exact margin chooses the lowest.",
            "TiDAL, ICCV 2023, on frozen features",
            query_end="lowest",
            least=-1.0,
        ),
    )
}
"""Every estimator by its name, in the order of the scores table's columns."""

COMPARED_ESTIMATORS = ("td_entropy", "td_margin", "entropy", "margin")
"""Those that pages show and the motivating experiment compares: the paper's two, and those of the final prediction."""
