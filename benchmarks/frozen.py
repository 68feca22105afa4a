"""Frozen features of a pretrained body: how fast they come, exact dynamics from them, and how good the head is.

    python -m benchmarks.frozen [--parts speed,rounds,accuracy] [--quick]

``features_per_s``: photos of 224 pixels to features, one thread. ``ratio``: to a bare forward pass of the same folded
network over tensors that are ready, in turns. ``exact_td_s``: the heads of 20 epochs over 100,000 images, 10 classes.

``round_seconds_40``: a round of 40 labels, pool 350, five classes, from its claim to the new ranking by the
default strategy, median of five. ``round_seconds``: 1,000 labels, pool 50,000, ten classes, median of three.

``accuracy_gap``: held-out accuracy of the studio's head minus that of scikit-learn's logistic regression with
cross-validated C (10 values, at most 5 folds; C = 1 where a class has one label) on the same standardised features,
mean over 10, 20, 40, 100 and 200 random labels, the runs, and two collections: the flower photos at 224 pixels (150
held out) and CIFAR-10 at 64 (a pool of 1,500, 1,000 of its test images). ``gap_error``: the standard error over runs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

from benchmarks.engine import say
from benchmarks.first_labels import FIRST_SEED, HELD_OUT, last_features, trained_scores
from benchmarks.frozen_round import round_seconds
from benchmarks.known_features import KnownFeatures, cifar10, flowers
from tidal_core.config import FROZEN, FROZEN_STRATEGY, PixelSpec, Seeds
from tidal_core.engine.exact_dynamics import HeadHistory, exact_p_bar
from tidal_core.engine.features.extract import Extractor, extract
from tidal_core.engine.features.store import FeatureStore, open_features
from tidal_core.engine.folding import folded
from tidal_core.engine.model import build_model
from tidal_core.engine.pretrained import build_pretrained
from tidal_core.engine.published_weights import EFFICIENTNET_LITE0, feature_key
from tidal_core.records import Float32, Float64, Int64

NAME = EFFICIENTNET_LITE0.backbone
CPU = torch.device("cpu")
SIZES = (10, 20, 40, 100, 200)  # labels
RUNS = 10


def extraction(images: int, side: int, rounds: int) -> tuple[float, float]:
    """Images per second from the pixel file to the feature file, and the median ratio to bare forward passes."""
    extractor = Extractor(NAME, device=CPU, threads=1)
    bare = folded(build_pretrained(NAME)).to(memory_format=torch.channels_last)
    squares = np.random.default_rng(0).integers(0, 256, (images, side, side, 3), dtype=np.uint8)
    ready = torch.from_numpy(squares).permute(0, 3, 1, 2).float().div_(128).sub_(1)  # channels last already
    speeds, ratios = [], []
    with tempfile.TemporaryDirectory(prefix="tidal-benchmark-") as folder:
        pixels = Path(folder) / "pixels.npy"
        np.save(pixels, squares)
        for turn in range(rounds + 1):
            store = FeatureStore(Path(folder) / str(turn), feature_key(NAME, PixelSpec(side)))
            began = time.perf_counter()
            extract(extractor, pixels, store, np.arange(images))
            ours = images / (time.perf_counter() - began)
            began = time.perf_counter()
            with torch.inference_mode():
                for batch in torch.split(ready, extractor.batch_size):
                    bare(batch)
            if turn:  # the first one chooses kernels
                speeds.append(ours)
                ratios.append(ours / (images / (time.perf_counter() - began)))
    return statistics.median(speeds), statistics.median(ratios)


def exact_dynamics(images: int, threads: int) -> float:
    """Seconds for p-bar of so many images from the heads of 20 epochs, 10 classes."""
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    key = feature_key(NAME, PixelSpec(224))
    model = build_model(FROZEN, 10, Seeds(), CPU)
    stages = model.backbone.stage_channels
    heads = HeadHistory(20)
    for epoch in range(1, 21):
        heads.note(epoch, model)
    with tempfile.TemporaryDirectory(prefix="tidal-benchmark-") as folder:
        store = FeatureStore(Path(folder), key)
        for start in range(0, images, 5_000):
            rows = np.arange(start, min(start + 5_000, images))
            store.write(rows, rng.random((len(rows), sum(stages)), dtype=np.float32).astype(np.float16), stages)
        features = store.read()
        began = time.perf_counter()
        exact_p_bar(heads, model, features, np.arange(images))
        return time.perf_counter() - began


def regression_accuracy(x: Float32, labels: Int64, test_x: Float32, test_labels: Int64) -> float:
    """Accuracy of the opponent, fitted to standardised features x (N, D), on test_x (M, D).

    Its weights are combinations of the rows of x, since a part across them would only add to the penalty. So it is
    fitted in the space of these rows, N numbers instead of D an image, which finds the same one many times sooner.
    """
    left, lengths, axes = np.linalg.svd(x.astype(np.float64), full_matrices=False)  # axes (min(N, D), D)
    fewest = np.unique(labels, return_counts=True)[1].min()
    opponent = LogisticRegression(max_iter=200)
    if fewest >= 2:
        opponent = LogisticRegressionCV(
            Cs=10, cv=int(min(5, fewest)), max_iter=200, scoring="accuracy", l1_ratios=(0,), use_legacy_attributes=False
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # at the largest C, where more steps change no prediction
        opponent.fit(left * lengths, labels)
    return float(opponent.score(test_x @ axes.T, test_labels))


def gaps(known: KnownFeatures, pool: Int64, held_out: Int64, seed: int, sizes: Sequence[int]) -> Float64:
    """(2, S): accuracy on ``held_out`` of head and regression with the first so many labels of ``pool``."""
    features = open_features(known.path)
    mean, std = features.moments()
    x = last_features(known, np.arange(len(known.labels)))
    x = (x - mean[-x.shape[1] :]) / std[-x.shape[1] :]
    ours, theirs = [], []
    for size in sizes:
        labelled = pool[:size]
        scores = trained_scores(known, FROZEN, labelled, held_out, seed)
        ours.append((scores.log_p.argmax(axis=1) == known.labels[held_out]).mean())
        truth = known.labels
        theirs.append(regression_accuracy(x[labelled], truth[labelled], x[held_out], truth[held_out]))
    return np.array([ours, theirs])


def accuracy(runs: int, *, quick: bool) -> dict[str, object]:
    """The gap, and the accuracies behind it by collection and number of labels."""
    sizes = SIZES[:2] if quick else SIZES
    torch.set_num_threads(1)
    figures: dict[str, object] = {}
    by_run = []
    with tempfile.TemporaryDirectory(prefix="tidal-benchmark-") as folder:
        collections = [flowers(Path(folder), 64, 8) if quick else flowers(Path(folder))]
        if not quick:
            collections.append(cifar10(Path(folder), 1_500, 1_000))
        for known in collections:
            results = []
            for run in range(runs):
                order = np.random.default_rng(FIRST_SEED + run).permutation(len(known.labels))
                is_test = known.part[order] == 1
                if not is_test.any():
                    is_test[: 20 if quick else HELD_OUT] = True
                results.append(gaps(known, order[~is_test], order[is_test], FIRST_SEED + run, sizes))
            accuracies = np.stack(results)  # (runs, 2, S)
            by_run.append((accuracies[:, 0] - accuracies[:, 1]).mean(axis=1))
            for name, values in zip(("head", "regression"), accuracies.mean(axis=0), strict=True):
                figures[f"{known.data}_{name}"] = [round(float(value), 3) for value in values]
    of_runs = np.mean(by_run, axis=0)  # (runs,)
    error = float(of_runs.std(ddof=1) / runs**0.5) if runs > 1 else 0.0
    return {"accuracy_gap": round(float(of_runs.mean()), 4), "gap_error": round(error, 4), **figures}


def main() -> None:
    """Measure and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="speed,rounds,accuracy", help="what to measure, with commas between")
    parser.add_argument("--quick", action="store_true", help="a few small images")
    options = parser.parse_args()
    quick, parts = options.quick, options.parts.split(",")
    figures: dict[str, object] = {}
    if "speed" in parts:
        speed, ratio = extraction(16, 64, 1) if quick else extraction(64, 224, 5)
        seconds = exact_dynamics(2_000 if quick else 100_000, threads=2)
        figures |= {"features_per_s": round(speed, 1), "ratio": round(ratio, 2), "exact_td_s": round(seconds, 2)}
    if "rounds" in parts:
        small = round_seconds(40, 60 if quick else 310, FROZEN_STRATEGY, rounds=1 if quick else 5, classes=5)
        figures["round_seconds_40"] = round(statistics.median(small), 2)
        if not quick:
            large = round_seconds(1_000, 50_000, FROZEN_STRATEGY, rounds=3)
            figures["round_seconds"] = round(statistics.median(large), 1)
    if "accuracy" in parts:
        figures |= accuracy(1 if quick else RUNS, quick=quick)
    say("frozen", options, **figures)


if __name__ == "__main__":
    main()
