"""The exact training dynamics of every image that a round scores, where only a head trained; and how good m is.

Imports torch: only ``run`` calls it. The whole curves are kept for up to ``MOST_POINTS`` points, p-bar and what
describes the curve always. The TD module's prediction is compared with the exact p-bar over the whole pool, which can
be done nowhere else: for images that nobody has labelled there is otherwise no truth to compare with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tidal_core.config import TrainConfig
from tidal_core.engine.exact_dynamics import HeadHistory, exact_curves
from tidal_core.engine.features.store import Features
from tidal_core.engine.model import Model
from tidal_core.method.dynamics import rank_correlation
from tidal_core.method.estimators import log_of, td_margin
from tidal_core.method.stopping import divergence
from tidal_core.records import Float32, Int64
from tidal_core.store.metrics import Metric
from tidal_core.store.scores import ExactRows

MOST_POINTS = 200_000  # images times epochs whose whole curves are kept: 8 MB with 10 classes
LEAST_IMAGES = 3  # that a correlation is computed of


@dataclass(frozen=True)
class ExactDynamics:
    """The exact dynamics of the images that a round scores (N,), row-aligned with their scores."""

    epochs: Int64  # (E,)
    p_bar: Float32  # (N, C), over the window of the round's configuration
    curves: Float32 | None  # (N, E, C)
    mean: Float32  # (N,), as in ``store.scores.ExactRows``
    variability: Float32
    correctness: Float32

    @property
    def log_p(self) -> Float32:
        """(N, C) log p-bar."""
        return log_of(self.p_bar).astype(np.float32)

    def of(self, rows: slice, positions: Int64 | None = None) -> ExactRows:
        """Those of some rows, for the store; ``positions`` (n, K) of the classes that are kept of each."""
        p_bar, curves = self.p_bar[rows], None if self.curves is None else self.curves[rows]
        if positions is not None:
            p_bar = np.take_along_axis(p_bar, positions, axis=1)
            curves = None if curves is None else np.take_along_axis(curves, positions[:, None, :], axis=2)
        return ExactRows(p_bar, curves, self.mean[rows], self.variability[rows], self.correctness[rows])


def exact_dynamics(
    config: TrainConfig, heads: HeadHistory, model: Model, features: Features, rows: Int64, classes: Int64
) -> ExactDynamics:
    """Of the images at ``rows`` (N,) of ``features``; ``classes`` (N,) is the class whose curve describes each image.

    That is its label, or the class that the model predicts, a position in the round's order.
    """
    epochs, n = heads.epochs, len(rows)
    in_window = epochs >= heads.first_epoch(config.td_window)
    kept = np.empty((n, len(epochs), model.n_classes), np.float32) if n * len(epochs) <= MOST_POINTS else None
    p_bar = np.empty((n, model.n_classes), np.float32)
    mean, variability, correctness = (np.empty(n, np.float32) for _ in range(3))
    for block, curves in exact_curves(heads, model, features, rows):
        of_class = np.take_along_axis(curves, classes[block][:, None, None], axis=2)[:, :, 0]  # (n, E)
        p_bar[block] = curves[:, in_window].mean(axis=1)
        mean[block], variability[block] = of_class.mean(axis=1), of_class.std(axis=1)
        correctness[block] = (curves.argmax(axis=2) == classes[block][:, None]).mean(axis=1)
        if kept is not None:
            kept[block] = curves
    return ExactDynamics(epochs, p_bar, kept, mean, variability, correctness)


def module_quality(round_id: int, log_p: Float32, td_log_p: Float32, exact: Float32, class_ids: Int64) -> list[Metric]:
    """How well the TD module predicts the exact p-bar (N, C) of the pool, over all and by predicted class.

    ``td_margin_correlation``: Spearman's between the margins (M-bar) predicted and exact; ``td_divergence``: the mean
    KL(exact || predicted) in nats, and ``final_divergence`` the same of the final prediction, which is what the module
    has to be better than.
    """
    predicted = log_p.argmax(axis=1)
    margins = None
    if log_p.shape[1] > 1:
        margins = td_margin(log_p, td_log_p), td_margin(log_p, log_of(exact))
    of_module, of_final = divergence(exact, np.exp(td_log_p)), divergence(exact, np.exp(log_p))
    metrics: list[Metric] = []
    for class_id, rows in [
        (None, np.ones(len(exact), dtype=bool)),
        *((int(class_id), predicted == position) for position, class_id in enumerate(class_ids)),
    ]:
        n = int(rows.sum())
        if n < LEAST_IMAGES:
            continue
        values = {"td_divergence": float(of_module[rows].mean()), "final_divergence": float(of_final[rows].mean())}
        if margins is not None:
            values["td_margin_correlation"] = rank_correlation(margins[0][rows], margins[1][rows])
        metrics += [
            Metric(round_id, "pool", class_id, name, value, None, None, n)
            for name, value in values.items()
            if math.isfinite(value)
        ]
    return metrics
