"""Strategies by name, and those that other packages register."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from tests.experiments.made import TINY, make_dataset
from tests.strategies import test_contract
from tests.strategies.pools import make_pool
from tidal_core import strategies
from tidal_core.errors import InputError
from tidal_core.experiments.protocol import Configuration
from tidal_core.experiments.runs import Run, execute
from tidal_core.records import Int64, PoolView
from tidal_core.strategies import Strategy, registry


class FirstComeFirst(Strategy):
    name = "first-come"
    title = "First come"
    explanation = "In the order of the pool."
    paper = "None."
    cost = "Time and memory n."

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        return np.arange(n)


class TakesATakenName(FirstComeFirst):
    name = "entropy"


class CannotBeAnArm(FirstComeFirst):
    name = "first+td"


class TellsNoMemory(FirstComeFirst):
    cost = "Time n."


class NeedsNoOne(FirstComeFirst):
    needs = frozenset({"logits"})  # type: ignore[arg-type]


class SaysLittle(Strategy):
    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        return np.arange(n)


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


def test_a_strategy_of_another_package_keeps_the_contract_of_what_people_read(installed: list[EntryPoint]) -> None:
    installed.append(point("anything", "FirstComeFirst"))

    test_contract.test_a_strategy_says_what_it_is("first-come")
    test_contract.test_what_people_read_is_a_sentence_with_its_title_and_without_its_bare_name("first-come")
    assert strategies.of_round("first-come").reason == "Chosen by First come: in the order of the pool."


def test_a_round_whose_strategy_is_not_installed_any_more_is_still_told_of() -> None:
    gone = strategies.of_round("first-come")

    assert "“first-come”, which is no longer installed" in gone.reason
    assert "“first-come”, which is no longer installed" in gone.in_words
    with pytest.raises(InputError, match="install its package"):
        gone.select(make_pool(), 3, np.random.default_rng(0))


def test_a_broken_package_is_named_and_left_out(installed: list[EntryPoint]) -> None:
    broken = (
        *("Missing", "make_pool", "TakesATakenName", "CannotBeAnArm", "SaysLittle", "TellsNoMemory", "NeedsNoOne"),
    )
    installed += [point(name, value) for name, value in zip("abcdefg", broken, strict=True)]

    assert strategies.names() == tuple(kind.name for kind in registry.BUILT_IN)
    missing, wrong_type, taken, misnamed, silent, forgetful, needy = strategies.problems()
    assert "could not be loaded" in missing
    assert "is not a subclass of tidal_core.strategies.Strategy" in wrong_type
    assert "'entropy', which is taken already" in taken
    assert "has the name 'first+td'" in misnamed
    assert "lacks its name and title and explanation and paper and cost" in silent
    assert "says nothing of its memory in cost, 'Time n.'; name what it takes of both" in forgetful
    assert "needs 'logits', which no pool has; choose from log_p" in needy
    with pytest.raises(InputError, match=r"no strategy 'Missing'.*strategy a .*could not be loaded"):
        strategies.get("Missing")


MODULE = """
import numpy as np
from tidal_core.strategies import Strategy

class LastFirst(Strategy):
    name, title, explanation = "last-first", "Last first", "From the end of the pool."
    paper, cost = "None.", "Time and memory N."

    def choose(self, pool, n, rng):
        return np.arange(len(pool.ids))[::-1][:n]
"""


def test_an_installed_package_is_found_and_compared_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pip lays it out: a module, and its metadata beside it."""
    (tmp_path / "outside_strategies.py").write_text(MODULE)
    metadata = tmp_path / "outside_strategies-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-strategies\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{registry.GROUP}]\nanything = outside_strategies:LastFirst\n")
    monkeypatch.syspath_prepend(tmp_path)
    strategies.reload()
    try:
        assert strategies.names()[-1] == "last-first"
        configuration = Configuration.parse("last-first+td")
        assert configuration.title == "Last first, with a TD module"
        dataset = make_dataset(tmp_path)
        first_round, *_ = execute(Run(dataset, TINY, Configuration.parse("last-first"), 1.0, 0, tmp_path / "runs"))
        assert len(first_round["asked"]) == TINY.per_round
    finally:
        monkeypatch.undo()
        strategies.reload()
