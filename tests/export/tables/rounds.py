"""A finished round as a worker would leave it, with made-up numbers."""

import itertools

import numpy as np

from tidal_core.projects import Project
from tidal_core.records import Curves, RoundState
from tidal_core.store.scores import ScoreRows


def finish_round(project: Project) -> int:
    """A round with the curves of images 1, 2 and 4 over two epochs and scores of 3, 5 and 6; returns its id."""
    store = project.store
    trained, classes = np.array([1, 2, 4]), np.array([1, 2])
    record = store.rounds.create(
        config="{}",
        strategy="random",
        class_ids=(1, 2),
        last_seq=6,
        started_by="person",
        image_ids=trained,
        image_class_ids=np.array([1, 2, 1]),
    )
    for epoch in (1, 2):
        p = np.full((3, 2), 0.5, dtype=np.float32)
        store.curves.add(record.id, epoch, trained, Curves(p), classes)
    p = np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]], dtype=np.float32)
    entropy = -(p * np.log(p)).sum(axis=1)
    rows = ScoreRows(np.array([3, 5, 6]), np.array([1, 1, 2]), p, p, None, {"entropy": entropy}, np.array([2, 1, 3]))
    store.scores.add(record.id, "pool", rows)
    order = (RoundState.WAITING, RoundState.TRAINING, RoundState.SCORING, RoundState.RANKING, RoundState.DONE)
    for before, after in itertools.pairwise(order):
        store.rounds.move(record.id, before, after)
    return record.id
