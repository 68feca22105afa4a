"""The paper's motivating experiment (appendix B, Figures 2 and 8): do training dynamics know which images are hard?

Classes 0 to C/2 - 1 stay, the rest are cut to a tenth (step imbalance); a network trains for 30 epochs with Adam. Minor
classes stand for hard images. Asked is how well an estimator tells minor from major: the area under its ROC curve, for
the training images (tracked p-bar against the snapshot's p) and for held-out ones (the module's prediction).

Without augmentation: the effect needs a snapshot that has saturated, so training accuracy stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import numpy as np
import torch
from scipy.stats import rankdata

from tidal_core.config import Seeds, TrainConfig
from tidal_core.engine.model import build_model
from tidal_core.engine.scoring import score
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.errors import InputError
from tidal_core.estimator_facts import COMPARED_ESTIMATORS, ESTIMATORS
from tidal_core.experiments.datasets import Dataset
from tidal_core.experiments.protocol import keep_tail
from tidal_core.experiments.separation import EPOCHS, Separation
from tidal_core.method.estimators import all_estimators, log_of
from tidal_core.records import EpochRecord, Float32, Floats, Int64, TrainImages, TrainProgress

CONFIG = TrainConfig(
    backbone="small",
    companions=("td",),
    epochs=EPOCHS,
    min_steps=0,
    batch_size=64,
    optimizer="adam",
    learning_rate=1e-3,
    weight_decay=0.0,
    schedule="constant",
    td_window="all",
    augmentation="none",
    warm_start=False,
)
"""30 epochs with Adam as in the paper, at its default rate; the small network trains in minutes on a CPU."""


def auroc(scores: Floats, positive: Int64) -> float:
    """The chance that a positive has a higher score than a negative, ties counting half; NaN without either."""
    pos = positive.astype(bool)
    n, m = int(pos.sum()), int((~pos).sum())
    if n == 0 or m == 0:
        return float("nan")
    return float((rankdata(scores)[pos].sum() - n * (n + 1) / 2) / (n * m))


def separability(values: dict[str, Floats], minor: Int64) -> dict[str, float]:
    """AUROC of minor against major for each estimator that is compared, all turned so that hard is high."""
    return {name: auroc(ESTIMATORS[name].urgency(values[name]), minor) for name in COMPARED_ESTIMATORS}


def training_rows(dataset: Dataset, per_class: int, ratio: float, seed: int) -> Int64:
    """Up to ``per_class`` images of each class (0 for all), the second half of the classes cut to 1 / ratio."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(dataset.pool_rows)
    labels = dataset.labels[order]
    if per_class:
        firsts = [np.flatnonzero(labels == c)[:per_class] for c in range(dataset.n_classes)]
        order = order[np.sort(np.concatenate(firsts))]
        labels = dataset.labels[order]
    return order[keep_tail(labels, ratio, "step")]


def measure(
    dataset: Dataset,
    *,
    config: TrainConfig = CONFIG,
    per_class: int = 0,
    ratio: float = 10.0,
    seed: int = 0,
    device: torch.device | None = None,
    threads: int = 1,
    progress: Callable[[TrainProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[EpochRecord, None, Separation | None]:
    """Train and look; yields each epoch, returns what came out, or None when ``should_stop`` said so."""
    rows = training_rows(dataset, per_class, ratio, seed)
    labels = dataset.labels[rows]
    counts = np.bincount(labels, minlength=dataset.n_classes)
    if dataset.n_classes < 2 or counts.min() == 0:
        raise InputError(
            f"{dataset.name} has {counts.tolist()} images per class after the imbalance; there must be at least two "
            "classes, and each needs at least one image: give --ratio a smaller number or --per-class a larger one."
        )
    minor = (labels >= (dataset.n_classes + 1) // 2).astype(np.int64)
    seeds = Seeds.of(seed, 0)
    model = build_model(config, dataset.n_classes, seeds, device)
    images = TrainImages(dataset.pixels, rows, labels, dataset.n_classes)
    training = train(
        config, images, model, seeds, TrainOptions(progress=progress, should_stop=should_stop, threads=threads)
    )
    accuracy = []
    last = 0.0
    for record in training:
        if record.curves is not None:
            right = _predicted(record.curves.p, record.curves.class_index) == labels
            accuracy.append([right[minor == group].mean() for group in (0, 1)])
        last = record.train_accuracy
        yield record
    if training.result is None or training.result.td_bar is None:
        return None
    snapshot = score(model, dataset.pixels, rows, threads=threads).log_p
    of_training = all_estimators(snapshot, log_of(training.result.td_bar))
    test = score(model, dataset.pixels, dataset.test_rows, threads=threads)
    test_minor = (dataset.labels[dataset.test_rows] >= (dataset.n_classes + 1) // 2).astype(np.int64)
    return Separation(
        dataset.name,
        minor,
        counts,
        dataset.class_names,
        np.asarray(accuracy),
        {name: np.asarray(of_training[name], np.float64) for name in COMPARED_ESTIMATORS},
        separability(of_training, minor),
        separability(all_estimators(test.log_p, test.td_log_p), test_minor),
        last,
    )


def _predicted(p: Float32, class_index: Int64 | None) -> Int64:
    position: Int64 = p.argmax(axis=1)
    return position if class_index is None else class_index[np.arange(len(position)), position]
