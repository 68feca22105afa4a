"""A finished round with made-up scores: a project as it is after training, without the training."""

from __future__ import annotations

import itertools

import numpy as np

from tests.helpers.tiny import label_next
from tidal_core.config import RoundConfig, Seeds
from tidal_core.method.estimators import all_estimators
from tidal_core.projects import Project
from tidal_core.records import RoundState
from tidal_core.rounds import audit, queue_plan
from tidal_core.store.scores import ScoreRows


def finish_round(project: Project, strategy: str = "tidal-entropy") -> int:
    """Image i looks like class number i % C, the more certain the larger its id; six images are labelled before."""
    store = project.store
    if store.queue.count() == 0:
        queue_plan.fill_queue(project)
    label_next(project, 6)
    labels = audit.training_labels(project)
    class_ids = np.array([each.id for each in store.classes.all()])
    record = store.rounds.create(
        config=RoundConfig(project.settings.train_config(), Seeds(), strategy, 8).to_json(),
        strategy=strategy,
        class_ids=class_ids.tolist(),
        last_seq=labels.last_seq,
        started_by="labels",
        image_ids=labels.image_ids,
        image_class_ids=labels.class_ids,
    )
    pool = audit.rankable(project)
    C = len(class_ids)
    top = np.minimum(0.5 + pool / 4000, 0.99).astype(np.float32)
    rest = (1 - top) / (C - 1)
    p = np.where((pool % C)[:, None] == np.arange(C), top[:, None], rest[:, None]).astype(np.float32)  # (N, C)
    order = np.argsort(top, kind="stable")
    ranks = np.zeros(len(pool), dtype=np.int64)
    ranks[order] = np.arange(1, len(pool) + 1)
    scores = all_estimators(np.log(p), np.log(p), np.log(p))
    store.scores.add(record.id, "pool", ScoreRows(pool, class_ids[pool % C], p, p, None, scores, ranks))
    store.queue.replace(queue_plan.plan_queue(project, pool[order], round_id=record.id))
    states = [RoundState.WAITING, RoundState.TRAINING, RoundState.SCORING, RoundState.RANKING, RoundState.DONE]
    for before, after in itertools.pairwise(states):
        store.rounds.move(record.id, before, after)
    return record.id
