"""One round on frozen features, from its claim to the new ranking, on a project made up for it."""

from __future__ import annotations

import shutil
import time

import numpy as np

from benchmarks.made_up import Size, make
from tidal_core.config import PRESETS, ProjectSettings
from tidal_core.engine.backbones import stage_channels
from tidal_core.projects import Project
from tidal_core.rounds.due import claim_round
from tidal_core.rounds.features import wanted
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.rounds.run import RoundRun

BLOCK = 5_000  # images whose features are written at once


def round_seconds(labels: int, pool: int, strategy: str, *, rounds: int, classes: int = 10) -> list[float]:
    """Seconds of ``rounds`` rounds with the same labels, after one that loads what a round needs."""
    project = make("frozen", Size(labelled=labels, pool=pool, test=0, rounds=0, classes=classes))
    try:
        settings = ProjectSettings(
            title="Frozen", preset="frozen", strategy=strategy, labels_per_round=10, audit_share=0
        )
        project.store.settings.save(settings)
        _write_features(project, labels + pool, classes)
        fill_queue(project)
        return [_one_round(project) for _ in range(rounds + 1)][1:]
    finally:
        project.close()
        shutil.rmtree(project.folder)


def _one_round(project: Project) -> float:
    began = time.perf_counter()
    record = claim_round(project, started_by="person")
    RoundRun(project, record, report=lambda _: None, should_stop=lambda: False).run()
    assert project.store.scores.pool_size(record.id) > 0
    return time.perf_counter() - began


def _write_features(project: Project, n: int, classes: int) -> None:
    """Features of images in groups, one a class, so that a head has something to learn."""
    store = wanted(project)
    assert store is not None
    channels = stage_channels(PRESETS["frozen"].backbone)
    rng = np.random.default_rng(0)
    centres = rng.random((classes, sum(channels)), dtype=np.float32)
    ids, rows = project.store.images.ids_and_pixel_rows()
    known = project.store.images.known_classes()
    groups = np.array([known[int(image_id)] - 1 for image_id in ids])
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        values = centres[groups[part]] + rng.random((len(rows[part]), sum(channels)), dtype=np.float32)
        store.write(rows[part], values.astype(np.float16), channels)
