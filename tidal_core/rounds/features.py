"""Features of a project's images where the body is frozen: which are wanted, which a round uses, which are missing.

    features/<key>/    one folder for each body and kind of squares (``engine.features.store``)

When the model or the size changes, features of the old kind are used until those of the new kind are complete; then
``feature_work`` deletes the old ones. No torch here.
"""

from __future__ import annotations

import numpy as np

from tidal_core.config import RoundConfig
from tidal_core.engine.features.store import FeatureStore
from tidal_core.engine.published_weights import feature_key
from tidal_core.images.pixels import cached_spec
from tidal_core.projects import Project
from tidal_core.records import FeatureProgress, Int64, RoundState
from tidal_core.rounds import audit

SPEED = "features_per_second"
"""The note on how many images a second got their features here, the last time."""
ASKED_SOON = 1_000  # images of the queue whose features come before those of the rest


def wanted(project: Project) -> FeatureStore | None:
    """The features that the settings ask for, complete or not; None where the body trains. Raises InputError."""
    config = project.settings.train_config()
    if config.body != "frozen":
        return None
    return FeatureStore(project.features, feature_key(config.backbone, cached_spec(project), config.precision))


def in_use(project: Project) -> FeatureStore | None:
    """The features that a round uses now: those of the last round until what the settings ask for is complete."""
    new = wanted(project)
    if new is None:
        return None
    latest = project.store.rounds.latest(RoundState.DONE)
    name = RoundConfig.from_json(latest.config).features if latest is not None else None
    old = FeatureStore.named(project.features, name) if name is not None else None
    if old is None or old.key == new.key or not len(missing_rows(project, new)):
        return new
    # Images that were added or labelled since may lack old features; squares of the old size may be gone.
    return old if not len(old.missing(_needed_first(project))) else new


def seconds_for_all(project: Project) -> float | None:
    """How long the features of all images take here; None until some were computed."""
    speed = float(project.store.settings.get(SPEED) or 0)
    return project.store.images.count() / speed if speed else None


def progress_of(project: Project) -> FeatureProgress | None:
    """How many images have the features that the settings ask for; None where the body trains."""
    store = wanted(project)
    if store is None:
        return None
    total = project.store.images.count()
    return FeatureProgress(total - len(missing_rows(project, store)), total, 0.0, None)


def _needed_first(project: Project) -> Int64:
    """Rows of the images that a round cannot do without: labelled, or answered for the audit."""
    return project.store.images.pixel_rows(np.unique(project.store.answers.answered_images()))


def missing_rows(project: Project, store: FeatureStore) -> Int64:
    """Rows of pixels.npy without features in ``store``, those first that a round waits for, then what is asked next.

    The rest comes in a random order that stays the same.
    """
    images = project.store.images
    ids, rows = images.ids_and_pixel_rows()
    is_missing = ~store.read().has(rows)
    if not is_missing.any():
        return rows[:0]
    rank = np.full(len(ids), 3, dtype=np.int64)  # the rest
    rank[np.isin(ids, audit.measured_on(project).image_ids)] = 2
    rank[np.isin(ids, [item.image_id for item in project.store.queue.items()[:ASKED_SOON]])] = 1
    rank[np.isin(ids, project.store.answers.answered_images())] = 0
    chance = np.random.default_rng(project.settings.seed).permutation(int(rows.max()) + 1)[rows]
    order = np.lexsort((chance, rank))
    ordered: Int64 = rows[order][is_missing[order]]
    return ordered
