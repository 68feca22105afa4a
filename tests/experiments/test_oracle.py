"""The ceiling: the best of many batches, told by labels that nobody has."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.experiments.made import FROZEN, make_dataset
from tests.strategies.pools import make_pool
from tidal_core import strategies
from tidal_core.errors import InputError
from tidal_core.experiments.oracle import BY, Oracle, best_batch
from tidal_core.experiments.protocol import Configuration
from tidal_core.experiments.runs import Run, _State, execute


def test_it_takes_the_batch_after_which_most_is_right() -> None:
    pool, seen = make_pool(), list[tuple[int, ...]]()

    def accuracy_after(batch: np.ndarray) -> float:
        seen.append(tuple(batch.tolist()))
        return float(batch.sum())

    chosen = best_batch(pool, 3, np.random.default_rng(0), 12, accuracy_after)

    assert len(seen) == 12
    assert len(set(seen)) > 6
    assert all(len(set(batch)) == 3 for batch in seen)
    assert chosen.sum() == max(map(sum, seen))


def test_it_is_for_comparisons_only_and_is_suggested_to_by_plain_strategies() -> None:
    assert Oracle.name not in strategies.names()
    assert all(not strategies.get(name).companions for name in BY)
    assert all(strategies.get(name).needs <= Oracle.needs for name in BY)
    with pytest.raises(InputError, match="chooses in comparisons only"):
        Oracle().select(make_pool(), 2, np.random.default_rng(0))


def test_it_trains_each_candidate_as_the_next_round_will_and_asks_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = replace(FROZEN, rounds=2, candidates=4, first=3)
    run = Run(make_dataset(tmp_path), protocol, Configuration.parse("oracle"), 1.0, 0, tmp_path / "runs")
    tried, trained = [], _State._trained

    def noted(self: _State, number: int, config: object, rows: np.ndarray, *others: object) -> object:
        model = trained(self, number, config, rows, *others)  # type: ignore[arg-type]
        assert model is not None
        left = np.setdiff1d(self.start.pool, rows)
        right = self._score(model.model, left).log_p.argmax(axis=1) == self.run.dataset.labels[left]
        tried.append((number, rows[3:].tolist(), float(right.mean())))
        return model

    monkeypatch.setattr(_State, "_trained", noted)
    monkeypatch.setattr(_State, "_subset", lambda self, free, wanted, number: free)
    lines = list(execute(run))

    assert [number for number, _, _ in tried] == [1, 2, 2, 2, 2, 2]
    candidates = tried[1:5]
    best = max(accuracy for _, _, accuracy in candidates)
    assert lines[0]["asked"] == next(rows for _, rows, accuracy in candidates if accuracy == best)
    assert tried[5] in candidates, "the next round's training is the one that was tried"


def test_the_same_oracle_run_comes_out_the_same(tmp_path: Path) -> None:
    protocol = replace(FROZEN, rounds=2, candidates=3)
    run = Run(make_dataset(tmp_path), protocol, Configuration.parse("oracle"), 1.0, 0, tmp_path / "runs")

    asked = [line["asked"] for line in execute(run)]

    assert asked == [line["asked"] for line in execute(replace(run, folder=tmp_path / "again"))]
    with pytest.raises(InputError, match="at least 1 candidate"):
        protocol.changed(candidates=0)
