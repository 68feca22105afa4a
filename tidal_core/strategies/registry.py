"""Strategies by name: those of this package, and those that other packages register.

A package adds a strategy with an entry point in the group ``tidal_studio.strategies`` whose object is a subclass of
``Strategy`` (or an instance of one); it then appears in the settings, the experiments and the command line:

    [project.entry-points."tidal_studio.strategies"]
    my-strategy = "my_package.module:MyStrategy"

One that cannot be loaded is left out and named by ``problems()``: a broken extra must not keep people from labelling.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from tidal_core.errors import InputError
from tidal_core.strategies.badge import Badge
from tidal_core.strategies.bald import Bald
from tidal_core.strategies.base import Strategy
from tidal_core.strategies.cal import Cal
from tidal_core.strategies.confidence import Confidence
from tidal_core.strategies.core_set import CoreSet
from tidal_core.strategies.diverse import MarginDiverse, TidalMarginDiverse
from tidal_core.strategies.entropy import Entropy
from tidal_core.strategies.margin import Margin
from tidal_core.strategies.prob_cover import ProbCover
from tidal_core.strategies.random_choice import RandomChoice
from tidal_core.strategies.tidal_badge import TidalBadge
from tidal_core.strategies.tidal_confidence import TidalConfidence
from tidal_core.strategies.tidal_confidence_naive import TidalConfidenceNaive
from tidal_core.strategies.tidal_entropy import TidalEntropy
from tidal_core.strategies.tidal_margin import TidalMargin
from tidal_core.strategies.tidal_margin_naive import TidalMarginNaive
from tidal_core.strategies.typi_clust import TypiClust

GROUP = "tidal_studio.strategies"

BUILT_IN: tuple[type[Strategy], ...] = (
    TidalEntropy,
    TidalMargin,
    TidalMarginNaive,
    TidalConfidence,
    TidalConfidenceNaive,
    TidalMarginDiverse,
    TidalBadge,
    Entropy,
    Margin,
    MarginDiverse,
    Confidence,
    Bald,
    CoreSet,
    Cal,
    Badge,
    TypiClust,
    ProbCover,
    RandomChoice,
)


def get(name: str) -> Strategy:
    """The strategy of this name. Raises InputError, which lists the names, for one that is not there."""
    found, _ = _all()
    if name not in found:
        raise InputError(f"There is no strategy {name!r}; choose one of {', '.join(found)}.")
    return found[name]


def names() -> tuple[str, ...]:
    """Every strategy's name, in the order to show them; registered ones last."""
    return tuple(_all()[0])


def problems() -> tuple[str, ...]:
    """A sentence for each registered strategy that could not be loaded."""
    return _all()[1]


def reload() -> None:
    """Look for registered strategies again, after a package was installed."""
    _all.cache_clear()


@cache
def _all() -> tuple[dict[str, Strategy], tuple[str, ...]]:
    found: dict[str, Strategy] = {kind.name: kind() for kind in BUILT_IN}
    wrong: list[str] = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            loaded = point.load()
            strategy = loaded() if isinstance(loaded, type) else loaded
        except Exception as error:  # whatever a foreign module raises while it is imported
            wrong.append(f"The strategy {point.name} ({point.value}) could not be loaded: {error}")
            continue
        if not isinstance(strategy, Strategy):
            wrong.append(f"The strategy {point.name} ({point.value}) is no tidal_core.strategies.Strategy.")
        elif strategy.name in found:
            wrong.append(f"The strategy {point.name} ({point.value}) has a name that is taken: {strategy.name}.")
        else:
            found[strategy.name] = strategy
    return found, tuple(wrong)
