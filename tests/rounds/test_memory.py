"""A round on stored features holds in memory what it says of images, and not the features of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.helpers.frozen import run_round, trained_frozen_project
from tidal_core.config import ProjectSettings
from tidal_core.engine import scoring
from tidal_core.engine.batches import FeatureBatches
from tidal_core.engine.features.store import Features
from tidal_core.engine.model import Model
from tidal_core.engine.scoring import features_of, score
from tidal_core.errors import InputError
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
    kept: list[int] = []
    begin = FeatureBatches.__init__

    def noted(self: FeatureBatches, features: Features, rows: Int64, device: torch.device) -> None:
        begin(self, features, rows, device)
        kept.append(len(rows))

    monkeypatch.setattr(FeatureBatches, "__init__", noted)
    monkeypatch.setattr(scoring, "block_size", lambda *, frozen: 16)
    free = score(model, project.pixels, rows, features=store.path, keep_features=False)

    assert kept == [16, 16, 16, 16, 11]
    assert free.features.size == 0
    np.testing.assert_allclose(free.log_p, held.log_p, atol=1e-5)
    np.testing.assert_allclose(features_of(model, store.path, rows), held.features, atol=1e-5)


def test_whole_curves_are_kept_of_as_many_rounds_as_the_setting_says(project: Project) -> None:
    project.store.settings.save(replace(project.settings, curve_rounds=2))
    for _ in range(3):
        run_round(project)

    store = project.store
    statistics = store.database.rows(
        "SELECT DISTINCT round_id FROM round_images WHERE confidence IS NOT NULL ORDER BY 1"
    )
    assert store.curves.rounds_kept() == [3, 4]
    assert [round_id for (round_id,) in statistics] == [1, 2, 3, 4]  # what describes the curves stays
    assert sorted(file.name for file in project.checkpoints.glob("*.safetensors")) == [
        "round-0003.safetensors",
        "round-0004.safetensors",
    ]


@pytest.mark.parametrize("rounds", [0, -1, 1_001])
def test_a_number_of_rounds_that_cannot_be_is_refused(rounds: int) -> None:
    with pytest.raises(InputError, match=r"choose a number from 1 to 1,000"):
        ProjectSettings(curve_rounds=rounds)
