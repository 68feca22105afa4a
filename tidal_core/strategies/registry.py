"""Strategies by name: those of this package, and those that other packages register.

A package adds a strategy with an entry point in the group ``tidal_studio.strategies`` whose object is a subclass of
``Strategy`` (or an instance of one); it then appears in the settings, the experiments and the command line:

    [project.entry-points."tidal_studio.strategies"]
    my-strategy = "my_package.module:MyStrategy"

One that cannot be used is left out and named by ``problems()``: a broken extra must not keep people from labelling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import get_args

import numpy as np

from tidal_core.errors import InputError
from tidal_core.records import Int64, PoolView
from tidal_core.strategies.active_lab import ActiveLab
from tidal_core.strategies.alfamix import AlfaMix
from tidal_core.strategies.badge import Badge
from tidal_core.strategies.bait import Bait
from tidal_core.strategies.bald import Bald
from tidal_core.strategies.base import Need, Strategy
from tidal_core.strategies.cal import Cal
from tidal_core.strategies.confidence import Confidence
from tidal_core.strategies.core_set import CoreSet
from tidal_core.strategies.dcom import DCoM
from tidal_core.strategies.diverse import MarginDiverse, TidalMarginDiverse
from tidal_core.strategies.dropquery import DropQuery
from tidal_core.strategies.entropy import Entropy
from tidal_core.strategies.exact_entropy import ExactEntropy
from tidal_core.strategies.exact_herding import ExactHerding
from tidal_core.strategies.exact_margin import ExactMargin
from tidal_core.strategies.exact_variants import ExactConfidence, ExactConfidenceNaive, ExactMarginNaive
from tidal_core.strategies.learning_loss import LearningLoss, LearningLossRanked
from tidal_core.strategies.margin import Margin
from tidal_core.strategies.max_herding import MaxHerding
from tidal_core.strategies.prob_cover import ProbCover
from tidal_core.strategies.random_choice import RandomChoice
from tidal_core.strategies.tcm import TCM
from tidal_core.strategies.td_herding import TDHerding
from tidal_core.strategies.tidal_badge import TidalBadge
from tidal_core.strategies.tidal_confidence import TidalConfidence
from tidal_core.strategies.tidal_confidence_naive import TidalConfidenceNaive
from tidal_core.strategies.tidal_entropy import TidalEntropy
from tidal_core.strategies.tidal_margin import TidalMargin
from tidal_core.strategies.tidal_margin_naive import TidalMarginNaive
from tidal_core.strategies.typi_clust import TypiClust
from tidal_core.strategies.uherding import UHerding
from tidal_core.strategies.vaal import TaVaal, Vaal


class NotInstalled(Strategy):
    """Stands for a strategy that ranked rounds and is no longer installed: it has a name, but cannot choose."""

    explanation = "Install its package again to see which images it chooses."
    paper = "Not known."
    cost = "Not known."

    def __init__(self, name: str) -> None:
        self.name = name
        self.title = f"the strategy “{name}”, which is no longer installed"

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """Raises InputError."""
        raise InputError(f"The strategy {self.name} is not installed; install its package, or choose another strategy.")


GROUP = "tidal_studio.strategies"
TEXTS = ("name", "title", "explanation", "paper", "cost")

BUILT_IN: tuple[type[Strategy], ...] = (
    TidalEntropy,
    TidalMargin,
    TidalMarginNaive,
    TidalConfidence,
    TidalConfidenceNaive,
    TidalMarginDiverse,
    TidalBadge,
    ExactEntropy,
    ExactMargin,
    ExactMarginNaive,
    ExactConfidence,
    ExactConfidenceNaive,
    TDHerding,
    ExactHerding,
    Entropy,
    Margin,
    MarginDiverse,
    Confidence,
    Bald,
    LearningLoss,
    LearningLossRanked,
    Vaal,
    TaVaal,
    CoreSet,
    Cal,
    Badge,
    Bait,
    AlfaMix,
    DropQuery,
    TypiClust,
    TCM,
    ProbCover,
    DCoM,
    MaxHerding,
    UHerding,
    ActiveLab,
    RandomChoice,
)


def get(name: str) -> Strategy:
    """The strategy of this name. Raises InputError, which lists the names, for one that is not there."""
    by_name, faults = _all()
    if name not in by_name:
        raise InputError(" ".join((f"There is no strategy {name!r}; choose one of {', '.join(by_name)}.", *faults)))
    return by_name[name]


def of_round(name: str) -> Strategy:
    """The strategy that ranked a round, to name it: one that is no longer installed has its name only."""
    return _all()[0].get(name) or NotInstalled(name)


def names() -> tuple[str, ...]:
    """Every strategy's name, in the order to show them; registered ones last."""
    return tuple(_all()[0])


def problems() -> tuple[str, ...]:
    """A sentence for each registered strategy that cannot be used."""
    return _all()[1]


def reload() -> None:
    """Look for registered strategies again, after a package was installed."""
    _all.cache_clear()


@cache
def _all() -> tuple[dict[str, Strategy], tuple[str, ...]]:
    by_name: dict[str, Strategy] = {kind.name: kind() for kind in BUILT_IN}
    faults: list[str] = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            loaded = point.load()
            strategy = loaded() if isinstance(loaded, type) else loaded
        except Exception as error:  # whatever a foreign module raises while it is imported
            faults.append(f"The strategy {point.name} ({point.value}) could not be loaded: {error}")
            continue
        problem = _problem(strategy, by_name)
        if problem:
            faults.append(f"The strategy {point.name} ({point.value}) {problem}.")
        else:
            by_name[strategy.name] = strategy
    return by_name, tuple(faults)


def _problem(strategy: object, by_name: Mapping[str, Strategy]) -> str:
    """Why it cannot be used, as the end of a sentence; empty when it can."""
    if not isinstance(strategy, Strategy):
        return "is not a subclass of tidal_core.strategies.Strategy; derive it from that class"
    missing = [text for text in TEXTS if not isinstance(getattr(strategy, text, None), str)]
    if missing:
        return f"lacks its {' and '.join(missing)}; give its class these texts"
    unsaid = [word for word in ("time", "memory") if word not in strategy.cost.lower()]
    if unsaid:
        return f"says nothing of its {' and '.join(unsaid)} in cost, {strategy.cost!r}; name what it takes of both"
    if not strategy.explanation.endswith(".") or "\n" in strategy.explanation:
        return f"has the explanation {strategy.explanation!r}; make it one sentence on one line, with its full stop"
    classes = strategy.least_classes
    if not isinstance(classes, int) or classes < 1:
        return f"has least_classes {classes!r}; give it the number of classes that it needs, 1 or 2"
    unknown = sorted(set(strategy.needs) - set(get_args(Need)))
    if unknown:
        return f"needs {', '.join(map(repr, unknown))}, which no pool has; choose from {', '.join(get_args(Need))}"
    if not re.fullmatch(r"[^+/,\s]+", strategy.name):  # what joins the parts of a configuration's name
        return f"has the name {strategy.name!r}; choose one without spaces, commas, plus signs and slashes"
    if strategy.name in by_name:
        return f"has the name {strategy.name!r}, which is taken already; choose another name"
    return ""
