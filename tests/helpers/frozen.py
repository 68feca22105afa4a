"""A project of small coloured squares that trains a head on frozen features."""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.helpers.tiny import label_next, tiny_project
from tidal_core.config import ProjectSettings
from tidal_core.projects import Project
from tidal_core.records import RoundRecord
from tidal_core.rounds import features
from tidal_core.rounds.due import claim_round
from tidal_core.rounds.feature_work import compute_some
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.rounds.run import RoundRun

SIDE = 32  # pixels: at 8 the pretrained body sees nothing
SETTINGS = ProjectSettings(
    title="tiny", training_size=SIDE, labels_per_round=6, audit_share=0.0, preset="frozen", strategy="exact-margin"
)


def frozen_project(n: int = 60, test: int = 15, **changed: object) -> Project:
    """``tiny_project`` on frozen features, none of them computed yet."""
    return tiny_project(n, test=test, side=SIDE, settings=dataclasses.replace(SETTINGS, **changed))  # type: ignore[arg-type]


def compute_all(project: Project) -> None:
    """All features that are missing."""
    while compute_some(project, progress=lambda _: None, should_stop=lambda: False, interrupted=lambda: False):
        pass


def run_round(project: Project) -> RoundRecord:
    """One round from the labels of now, in this thread."""
    record = claim_round(project, started_by="person")
    RoundRun(project, record, report=lambda _: None, should_stop=lambda: False).run()
    return project.store.rounds.get(record.id)


def trained_frozen_project(n: int = 60, test: int = 15, **changed: object) -> Project:
    """A ``frozen_project`` after one round with 12 labels."""
    project = frozen_project(n, test, **changed)
    compute_all(project)
    fill_queue(project)
    label_next(project, 12)
    run_round(project)
    return project


def give_features(project: Project, by_image: dict[int, tuple[float, float]]) -> None:
    """A first stage of one number, which must not count, and a last one of two."""
    ids = np.array(list(by_image))
    store = features.wanted(project)
    assert store is not None
    rows = np.array([[100.0 * image_id, *by_image[image_id]] for image_id in ids.tolist()], dtype=np.float16)
    store.write(project.store.images.pixel_rows(ids), rows, (1, 2))
