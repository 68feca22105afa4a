"""What is predicted of the labelled images of a round by heads that did not train on them, fold by fold.

An estimate of accuracy long before the audit sample is large enough for one: after ten labels there are ten. The images
were chosen, and a head of four fifths of the labels is somewhat worse: ``benchmarks.measuring`` compares it with images
that were held out. Only where the body is frozen: there a head takes a fraction of a second. Imports torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tidal_core.config import RoundConfig
from tidal_core.engine.model import build_model
from tidal_core.engine.scoring import score
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.method.heads import FOLDS, stratified_folds
from tidal_core.records import Float32, TrainImages

PART = "folds"  # as in ``Predictions.held_out``


def out_of_fold(
    config: RoundConfig, images: TrainImages, pixels: Path, should_stop: Callable[[], bool]
) -> Float32 | None:
    """log p (N, C) of the images of a round, each by a head that did not train on it; None if it was stopped."""
    n = len(images.rows)
    images = dataclasses.replace(images, unlabelled=np.empty(0, np.int64))  # what sees them does not change the head
    fold = stratified_folds(images.labels, FOLDS, np.random.default_rng(config.seeds.selection))
    log_p = np.empty((n, images.n_classes), dtype=np.float32)
    for number in range(FOLDS):
        rest, part = fold != number, fold == number
        model = build_model(config.train, images.n_classes, config.seeds)
        options = TrainOptions(curves=False, should_stop=should_stop, threads=config.threads)
        training = train(
            config.train,
            dataclasses.replace(images, rows=images.rows[rest], labels=images.labels[rest]),
            model,
            config.seeds,
            options,
        )
        for _ in training:
            pass
        if training.result is None:
            return None
        scores = score(model, pixels, images.rows[part], threads=config.threads, features=images.features)
        log_p[part] = scores.log_p
    return log_p
