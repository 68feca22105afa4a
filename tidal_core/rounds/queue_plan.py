"""The images of the queue: a ranking with the audit sample mixed in, and the seed images before there is a ranking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tidal_core.engine.features.store import Features, FeatureStore
from tidal_core.images.pixels import PixelStore
from tidal_core.projects import Project
from tidal_core.records import Float32, Int64, Purpose, QueueItem
from tidal_core.rounds import audit
from tidal_core.rounds.features import wanted
from tidal_core.rounds.seed_batch import covering, thumbnails
from tidal_core.strategies.distances import unit_length
from tidal_core.strategies.herding import herd

SEED_BATCH_AT_MOST = 500  # images chosen to cover the collection
LOOKED_AT_BEYOND_THE_CACHE = 2_000  # images looked at in a pool larger than the pixel cache: seconds of decoding
HERDED = 10_000  # images looked at where the first ones are chosen by their features: 2 seconds on two cores
FIRST_PLANS = "first_plans"
"""The note on how often what is asked before the first round was chosen anew."""
_FEATURES_KNOWN = "first_plan_features"  # the note on how many images had features at the last time
SEED_IMAGES = 1_000  # places of the queue before the first ranking, and of a top-up


def plan_queue(
    project: Project,
    ranked: Int64,
    *,
    purpose: Purpose = Purpose.QUERY,
    round_id: int | None = None,
    scores: Float32 | None = None,
    behind: Sequence[QueueItem] = (),
    asked_again: Int64 | None = None,
) -> list[QueueItem]:
    """A queue of ``ranked`` image ids (N,) in their order with the audit sample among them.

    Images for which the model's class was accepted are asked last.

    ``scores`` (N,) are the strategy's, for showing. ``behind``: what waits already and is asked before.
    ``asked_again``: labelled images among the ranked ones, which other people are asked.
    """
    is_last = np.isin(ranked, project.store.model_answers.images())
    by_turn = np.argsort(is_last, kind="stable")
    ranked, scores = ranked[by_turn], None if scores is None else scores[by_turn]
    woven = audit.with_audit(project, ranked, behind)
    again = set() if asked_again is None else set(asked_again.tolist())
    items: list[QueueItem] = []
    for position, (image_id, row) in enumerate(zip(woven.image_ids.tolist(), woven.rows.tolist(), strict=True)):
        if row < 0:
            items.append(QueueItem(position, image_id, Purpose.AUDIT, None, round_id))
        else:
            score = None if scores is None else float(scores[row])
            why = Purpose.AGAIN if image_id in again else purpose
            items.append(QueueItem(position, image_id, why, score, round_id))
    return items


def fill_queue(project: Project) -> int:
    """Add images that no round has ranked behind those that wait in the queue; returns how many were added.

    For a new project, after an import, and when a ranking has been worked through before the next one is ready.
    """
    store = project.store
    waiting = store.queue.items()
    rankable = audit.rankable(project)
    pool = rankable[~np.isin(rankable, np.array([item.image_id for item in waiting], dtype=np.int64))]
    rng = np.random.default_rng((project.settings.seed, store.answers.last_seq()))
    pool = rng.permutation(pool)
    is_last = np.isin(pool, store.model_answers.images())
    chosen = np.concatenate([pool[~is_last][:SEED_IMAGES], pool[is_last][:SEED_IMAGES]])[:SEED_IMAGES]
    purpose = Purpose.QUERY
    if store.rounds.latest() is None:
        purpose = Purpose.SEED
        store_of_features = wanted(project)
        features = None if store_of_features is None else store_of_features.read()
        if features is not None and features.whole.any():
            covering_ids = _first_by_features(project, features, pool, rng)
        else:
            covering_ids = seed_batch(project, pool, rng)
        chosen = np.concatenate([covering_ids, chosen[~np.isin(chosen, covering_ids)]])[:SEED_IMAGES]
    before = store.queue.count()
    store.queue.append(plan_queue(project, chosen, purpose=purpose, behind=waiting))
    return store.queue.count() - before


def plan_first_images(project: Project, features: FeatureStore) -> bool:
    """Choose anew what is asked before a round has ranked images, as features arrive; whether that was done.

    A round that began before images without a label had features (labels came with an import) ranks none of them.
    It is done when twice as many images have features as at the last time, and once all have them.
    """
    store = project.store
    waiting = store.queue.items()
    is_first = store.rounds.latest() is None
    if (is_first and not waiting) or (not is_first and any(item.round_id is not None for item in waiting)):
        return False
    whole = int(features.read().whole.sum())
    if whole < min(2 * int(store.settings.get(_FEATURES_KNOWN) or 0), store.images.count()):
        return False
    store.settings.set(_FEATURES_KNOWN, str(whole))
    pool = audit.rankable(project)
    rng = np.random.default_rng(project.settings.seed)
    chosen = _first_by_features(project, features.read(), pool, rng)
    others = rng.permutation(pool[~np.isin(pool, chosen)])
    store.queue.replace(plan_queue(project, np.concatenate([chosen, others])[:SEED_IMAGES], purpose=Purpose.SEED))
    store.settings.set(FIRST_PLANS, str(int(store.settings.get(FIRST_PLANS) or 0) + 1))
    return True


def _first_by_features(project: Project, features: Features, pool: Int64, rng: np.random.Generator) -> Int64:
    """Images of ``pool`` that stand for most others by their features, most first: MaxHerding from nothing."""
    images, answered = project.store.images, project.store.answers.answered_images()
    pool = pool[features.has(images.pixel_rows(pool))]
    if len(pool) > HERDED:
        pool = np.sort(rng.permutation(pool)[:HERDED])
    if not len(pool):
        return pool
    answered_rows = images.pixel_rows(answered)
    before = features.standardised(answered_rows[features.has(answered_rows)])
    points = unit_length(features.standardised(images.pixel_rows(pool)))
    return pool[herd(points, min(len(pool), SEED_BATCH_AT_MOST), rng, unit_length(before))]


def seed_batch(project: Project, pool: Int64, rng: np.random.Generator) -> Int64:
    """Images of ``pool`` (N,) that cover it, for the first round; none that looks like an answered one."""
    store = project.store
    pixels = PixelStore(project.pixels)
    if not pixels.exists or not len(pool):
        return _none()
    if pixels.is_partly_beyond:  # some of them would have to be decoded
        pool = np.sort(rng.permutation(pool)[:LOOKED_AT_BEYOND_THE_CACHE])
    n_wanted = max(project.settings.labels_per_round, 2 * len(store.classes.all()))
    answered = store.answers.answered_images()
    answered_thumbnails = thumbnails(project.pixels, store.images.pixel_rows(answered))
    small = thumbnails(project.pixels, store.images.pixel_rows(pool))
    return pool[covering(small, answered_thumbnails, min(n_wanted, SEED_BATCH_AT_MOST), rng)]


def _none() -> Int64:
    return np.empty(0, dtype=np.int64)
