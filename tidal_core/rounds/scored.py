"""What a trained round says of all images, as the store keeps it: scores, and the metrics of the round. Arrays only.

Imports torch by way of ``exact``: only ``run`` calls it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tidal_core.config import TrainConfig
from tidal_core.method import dynamics
from tidal_core.method.estimators import all_estimators
from tidal_core.records import Float32, Int64, PoolScores, class_positions
from tidal_core.rounds.audit import POPULATION, Measured
from tidal_core.rounds.exact import ExactDynamics, module_quality
from tidal_core.rounds.to_score import ToScore
from tidal_core.store.metrics import Metric
from tidal_core.store.scores import ScoreRows


@dataclass(frozen=True)
class Scored:
    """What a trained round says of its images."""

    images: ToScore
    scores: PoolScores  # row-aligned with ``images``
    exact: ExactDynamics | None  # row-aligned with ``images``; None where the body trained


def score_rows(
    scored: Scored, rows: slice, class_ids: Int64, config: TrainConfig, ranks: Int64 | None = None
) -> ScoreRows:
    """Some of the rows as they are stored; ``class_ids`` (C,) is the round's order, ``ranks`` are of these rows.

    Above ``config.full_curve_classes`` classes the ``sparse_top_k`` likeliest of each image are kept.
    """
    scores, exact, ids = scored.scores, scored.exact, scored.images.ids[rows]
    log_p = scores.log_p[rows]
    td_log_p = None if scores.td_log_p is None else scores.td_log_p[rows]
    p = np.exp(log_p)
    td = None if td_log_p is None else np.exp(td_log_p)
    kept_classes, positions = None, None
    if len(class_ids) > config.full_curve_classes and len(ids):
        p, positions = top_k(p, config.sparse_top_k)
        kept_classes = class_ids[positions]
        td = None if td is None else np.take_along_axis(td, positions, axis=1)
    return ScoreRows(
        image_ids=ids,
        predicted=class_ids[log_p.argmax(axis=1)] if len(ids) else np.empty(0, np.int64),
        p=p,
        td=td,
        class_ids=kept_classes,
        estimators=all_estimators(log_p, td_log_p, None if scores.exact_log_p is None else scores.exact_log_p[rows]),
        ranks=ranks,
        exact=None if exact is None else exact.of(rows, positions),
    )


def metrics_of(round_id: int, scored: Scored, class_ids: Int64) -> list[Metric]:
    """Accuracies on the test images or the audit sample, and how well the TD module predicts what is known."""
    scores, pool = scored.scores, scored.images.pool_rows
    metrics = _accuracies(round_id, scored, scored.images.standing)
    if scored.exact is not None and scores.td_log_p is not None and len(scored.images.pool):
        metrics += module_quality(
            round_id, scores.log_p[pool], scores.td_log_p[pool], scored.exact.p_bar[pool], class_ids
        )
    return metrics


def _accuracies(round_id: int, scored: Scored, standing: Int64) -> list[Metric]:
    """Over all classes and for each that is not merged into another one."""
    test = scored.images.test
    n = len(test.image_ids)
    if not n:
        return []
    order = np.array(list(dict.fromkeys(standing.tolist())), dtype=np.int64)
    predicted = class_positions(standing[scored.scores.log_p[scored.images.test_rows].argmax(axis=1)], order)
    counts = dynamics.confusion(class_positions(test.class_ids, order), predicted, len(order))
    measured: list[tuple[str, int | None, dynamics.Interval, int]] = [
        ("accuracy", None, dynamics.accuracy(counts), n),
        ("balanced_accuracy", None, dynamics.balanced_accuracy(counts), n),
    ]
    for position, recall in enumerate(dynamics.recalls(counts)):
        measured.append(("recall", int(order[position]), recall, int(counts[position].sum())))
    return [
        _population(round_id, test),
        *(
            Metric(round_id, test.part, class_id, name, value.value, value.low, value.high, images)
            for name, class_id, value, images in measured
            if math.isfinite(value.value)
        ),
    ]


def _population(round_id: int, test: Measured) -> Metric:
    """What the accuracies of the round are measured for, so that later ones can tell whether they compare."""
    begin, images = test.population
    return Metric(round_id, test.part, None, POPULATION, begin, None, None, images)


def top_k(p: Float32, k: int) -> tuple[Float32, Int64]:
    """The k largest of each row (N, k), largest first, and their positions (N, k)."""
    k = min(k, p.shape[1])
    positions = np.argpartition(-p, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(p, positions, axis=1), axis=1, kind="stable")
    positions = np.take_along_axis(positions, order, axis=1)
    return np.take_along_axis(p, positions, axis=1), positions
