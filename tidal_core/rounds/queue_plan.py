"""What the queue holds: a ranking with audit images among it, and what is asked before there is a ranking.

Every ``1 / audit_share``-th place is the next image of the audit reserve: a random order over the whole collection,
fixed at import, whose images are never ranked and never trained on. Their labels therefore estimate the accuracy on
the whole collection without bias, whatever the strategy asks.
"""

from __future__ import annotations

import math

import numpy as np

from tidal_core.images.pixels import PixelStore
from tidal_core.projects import Project
from tidal_core.records import Float32, Int64, Purpose, QueueItem
from tidal_core.rounds.seed_batch import covering, thumbnails

SEED_BATCH_AT_MOST = 500  # images chosen to cover the collection
LOOKED_AT_BEYOND_THE_CACHE = 2_000  # images of a pool that its cache does not hold whole: seconds of decoding
SEED_IMAGES = 1_000  # places of the queue before the first ranking, and of a top-up


def plan_queue(
    ranked: Int64,
    audit: Int64,
    audit_share: float,
    *,
    purpose: Purpose = Purpose.QUERY,
    round_id: int | None = None,
    scores: Float32 | None = None,
    since_audit: int = 0,
) -> list[QueueItem]:
    """A queue of ``ranked`` image ids (N,) in their order with ``audit`` ids woven in.

    ``scores`` (N,) are the strategy's, for showing. With a share of 0.1, places 10, 20, ... (from 1) are audit images
    for as long as there are any. ``since_audit`` images were asked after the last audit image: the first place comes
    that much earlier, so that short rounds, each with a queue of its own, do not put the audit off for ever.
    """
    every = math.ceil(1 / audit_share) if audit_share > 0 else 0
    before = min(since_audit, every - 1) if every else 0
    items: list[QueueItem] = []
    waiting = iter(audit.tolist())
    for row, image_id in enumerate(ranked.tolist()):
        if every and (before + len(items) + 1) % every == 0:
            following = next(waiting, None)
            if following is not None:
                items.append(QueueItem(len(items), following, Purpose.AUDIT, None, round_id))
        score = None if scores is None else float(scores[row])
        items.append(QueueItem(len(items), image_id, purpose, score, round_id))
    return items


def audit_images(project: Project, asked: int) -> Int64:
    """The audit images to weave into a queue of ``asked`` others, in their order."""
    share = project.settings.audit_share
    return project.store.images.next_audit(math.ceil(asked * share), project.audit_reserve()) if share else _none()


def fill_queue(project: Project) -> int:
    """Put images in the queue that no round has ranked, behind those that wait; returns how many were added.

    For a new project, after an import, and when a ranking has been worked through before the next one is ready.
    """
    store, settings = project.store, project.settings
    pool = store.images.unlabelled_ids(project.audit_reserve())
    rng = np.random.default_rng((settings.seed, store.answers.last_seq()))
    chosen = rng.permutation(pool)[:SEED_IMAGES]
    before = store.queue.count()
    purpose = Purpose.QUERY
    if store.rounds.latest() is None:
        purpose = Purpose.SEED
        first = seed_batch(project, pool, rng)
        chosen = np.concatenate([first, chosen[~np.isin(chosen, first)]])[:SEED_IMAGES]
    audit = audit_images(project, len(chosen))
    since = 0 if before else store.answers.asked_since_audit()
    store.queue.append(plan_queue(chosen, audit, settings.audit_share, purpose=purpose, since_audit=since))
    return store.queue.count() - before


def seed_batch(project: Project, pool: Int64, rng: np.random.Generator) -> Int64:
    """Images of ``pool`` (N,) that cover it, for the first round; none that looks like one answered before."""
    store = project.store
    pixels = PixelStore(project.pixels)
    if not pixels.exists or not len(pool):
        return _none()
    if pixels.is_partly_beyond:  # some of them would have to be decoded
        pool = np.sort(rng.permutation(pool)[:LOOKED_AT_BEYOND_THE_CACHE])
    wanted = max(project.settings.labels_per_round, 2 * len(store.classes.all()))
    answered = store.answers.answered_images()
    asked = thumbnails(project.pixels, store.images.pixel_rows(answered))
    small = thumbnails(project.pixels, store.images.pixel_rows(pool))
    return pool[covering(small, asked, min(wanted, SEED_BATCH_AT_MOST), rng)]


def _none() -> Int64:
    return np.empty(0, dtype=np.int64)
