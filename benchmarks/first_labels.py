"""What the first labels are worth: ``python -m benchmarks.first_labels [--strategy NAME] [--quick]``.

350 photos of flowers, five classes, frozen features; 150 held out at random, 200 to ask. The first ten labels are
chosen by herding over the features, then five at a time by the strategy; after every five a round trains the head and
scores, as in the studio. ``accuracy_5`` to ``accuracy_40``: share of the held-out photos that are right with so many
labels, mean over the runs; a run has its own held-out photos and its own seeds.

As in the studio the mean and deviation of a feature are those of all photos, the held-out ones too; their classes are
never looked at.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.engine import say
from benchmarks.known_features import KnownFeatures, flowers
from tidal_core import strategies
from tidal_core.config import FROZEN, FROZEN_STRATEGY, Seeds, TrainConfig
from tidal_core.engine.exact_dynamics import exact_p_bar
from tidal_core.engine.features.store import open_features
from tidal_core.engine.model import build_model
from tidal_core.engine.scoring import score
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.method.estimators import log_of
from tidal_core.records import Float32, Float64, Int64, PoolScores, PoolView, TrainImages
from tidal_core.strategies.distances import unit_length
from tidal_core.strategies.herding import herd

FIRST, BATCH, MOST = 10, 5, 40  # labels
AT = (5, 10, 25, 40)  # labels, of those after which a figure is given
HELD_OUT = 150
FIRST_SEED = 1_000  # of the runs: other seeds than any that a choice was made by


def trained_scores(known: KnownFeatures, config: TrainConfig, labelled: Int64, rows: Int64, seed: int) -> PoolScores:
    """A round on the images ``labelled`` (L,), then the scores of ``rows`` (N,), exact dynamics among them."""
    seeds = Seeds.of(seed, len(labelled))
    nowhere = Path("features-only.npy")
    images = TrainImages(nowhere, labelled, known.labels[labelled], known.n_classes, known.path)
    model = build_model(config, known.n_classes, seeds, torch.device("cpu"))
    training = train(config, images, model, seeds, TrainOptions(curves=False))
    for _ in training:
        pass
    scores = score(model, nowhere, rows, features=known.path)
    if training.result is None or training.result.heads is None:  # the body trains
        return scores
    heads = training.result.heads
    p_bar = exact_p_bar(heads, model, open_features(known.path), rows, heads.first_epoch(config.td_window))
    return dataclasses.replace(scores, exact_log_p=log_of(p_bar).astype(np.float32))


def simulate(known: KnownFeatures, pool: Int64, held_out: Int64, strategy: str, seed: int, most: int = MOST) -> Float64:
    """Accuracy on ``held_out`` with 5, 10, ... ``most`` labels of ``pool``."""
    asked_by = strategies.get(strategy)
    config = dataclasses.replace(FROZEN, companions=tuple(sorted({*FROZEN.companions, *asked_by.companions})))
    rng = np.random.default_rng(seed)
    points = unit_length(last_features(known, pool))
    labelled = pool[herd(points, FIRST, rng, points[:0])]
    accuracies = []
    for n in range(BATCH, most + 1, BATCH):
        training_rows = labelled[:n]
        free = pool[~np.isin(pool, training_rows)]
        scores = trained_scores(known, config, training_rows, np.concatenate([free, training_rows, held_out]), seed)
        predicted = scores.log_p[-len(held_out) :].argmax(axis=1)
        accuracies.append(float((predicted == known.labels[held_out]).mean()))
        if FIRST <= n < most:
            view = PoolView.from_scores(free, scores, known.labels[training_rows], known.n_classes)
            labelled = np.concatenate([labelled, free[asked_by.select(view, BATCH, rng)]])
    return np.array(accuracies)


def last_features(known: KnownFeatures, rows: Int64) -> Float32:
    """What strategies measure likeness by, before any model: the last stage's features (N, D), standardised."""
    return open_features(known.path).standardised(rows)


def main() -> None:
    """Measure and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategy", choices=strategies.names(), default=FROZEN_STRATEGY)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="one run with a few small photos, to see that it runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    runs, most, held_out = (1, 15, 30) if options.quick else (options.runs, MOST, HELD_OUT)
    with tempfile.TemporaryDirectory(prefix="tidal-benchmark-") as folder:
        known = flowers(Path(folder), 64, 12) if options.quick else flowers(Path(folder))
        curves = []
        for run in range(runs):
            drawn = np.random.default_rng(FIRST_SEED + run).permutation(len(known.labels))
            curves.append(simulate(known, drawn[held_out:], drawn[:held_out], options.strategy, FIRST_SEED + run, most))
    accuracy = np.stack(curves)  # (runs, rounds)
    figures = {f"accuracy_{n}": round(float(accuracy[:, n // BATCH - 1].mean()), 3) for n in AT if n <= most}
    spread = accuracy.std(axis=0, ddof=1) / runs**0.5 if runs > 1 else np.zeros(accuracy.shape[1])
    errors = {f"error_{n}": round(float(spread[n // BATCH - 1]), 3) for n in AT if n <= most}
    say("first_labels", options, data=known.data, **figures, **errors)


if __name__ == "__main__":
    main()
