"""Strategies by name, and those that other packages register."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from tests.strategies.pools import make_pool
from tidal_core import strategies
from tidal_core.errors import InputError
from tidal_core.records import Int64, PoolView
from tidal_core.strategies import Strategy, registry


class FirstComeFirst(Strategy):
    name = "first-come"

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        return np.arange(n)


class TakesATakenName(FirstComeFirst):
    name = "entropy"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    """A list to put entry points in, as if a package with them were installed."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in points if p.group == group])
    strategies.reload()
    yield points
    monkeypatch.undo()
    strategies.reload()


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, f"{__name__}:{value}", registry.GROUP)


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match=r"no strategy 'guess'.*tidal-entropy.*random"):
        strategies.get("guess")


def test_a_strategy_of_another_package_appears_by_its_name(installed: list[EntryPoint]) -> None:
    installed.append(point("anything", "FirstComeFirst"))

    assert strategies.names()[-1] == "first-come"
    assert strategies.get("first-come").select(make_pool(), 3, np.random.default_rng(0)).tolist() == [0, 1, 2]
    assert strategies.problems() == ()


def test_a_broken_package_is_named_and_left_out(installed: list[EntryPoint]) -> None:
    installed += [point("a", "Missing"), point("b", "make_pool"), point("c", "TakesATakenName")]

    assert strategies.names() == tuple(kind.name for kind in registry.BUILT_IN)
    missing, wrong, taken = strategies.problems()
    assert "could not be loaded" in missing
    assert "is no tidal_core.strategies.Strategy" in wrong
    assert "taken: entropy" in taken
