"""A round on stored features holds in memory what it says of images, and not the features of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.frozen import run_round, trained_frozen_project
from tidal_core.engine.batches import FeatureBatches
from tidal_core.engine.model import Model
from tidal_core.engine.scoring import features_of, score
from tidal_core.projects import Project
from tidal_core.records import Float32, Int64
from tidal_core.rounds import run
from tidal_core.rounds.features import wanted
from tidal_core.strategies.exact_herding import ExactHerding

POOL, LABELS, LOOKED_AT = 60, 12, 20


@pytest.fixture
def project() -> Iterator[Project]:
    made = trained_frozen_project(POOL, strategy="exact-herding", labels_per_round=2)
    yield made
    made.close()


def test_a_strategy_gets_the_features_of_no_more_images_than_it_looks_at(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def counted(model: Model, features: object, rows: Int64) -> Float32:
        read.append(len(rows))
        return features_of(model, features, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "features_of", counted)
    monkeypatch.setattr(ExactHerding, "chosen_among", LOOKED_AT)
    record = run_round(project)

    assert read == [LOOKED_AT, LABELS]
    ranked = [item for item in project.store.queue.items() if item.round_id == record.id]
    assert len(ranked) == 20  # ten times the labels of a round
    assert project.store.scores.pool_size(record.id) == POOL - LABELS  # all of them are scored all the same


def test_a_strategy_that_reads_no_features_gets_none(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.store.settings.save(replace(project.settings, strategy="exact-margin"))
    monkeypatch.delattr(run, "features_of")
    record = run_round(project)

    assert project.store.scores.pool_size(record.id) == POOL - LABELS


def test_scoring_reads_features_block_by_block_and_says_the_same(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = wanted(project)
    assert store is not None
    _, rows = project.store.images.ids_and_pixel_rows()
    model = Model.load(project.checkpoints / "round-0001.safetensors")
    held = score(model, project.pixels, rows, features=store.path)
    kept: list[object] = []
    begin = FeatureBatches.__init__

    def noted(self: FeatureBatches, *given: object, **more: object) -> None:
        begin(self, *given, **more)  # type: ignore[arg-type]
        kept.append(self._all)

    monkeypatch.setattr(FeatureBatches, "__init__", noted)
    free = score(model, project.pixels, rows, features=store.path, keep_features=False)

    assert kept == [None]
    assert free.features.size == 0
    np.testing.assert_array_equal(free.log_p, held.log_p)
    np.testing.assert_array_equal(features_of(model, store.path, rows), held.features)
