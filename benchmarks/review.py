"""Which labels are mistakes: ``python -m benchmarks.review [--tune] [--quick]``.

10 % of labels get another class at random; a ranking is judged by the share of these flips among its first 10 % and
20 %. Frozen features: 300 of the 350 photos of flowers, and 5,000 images of CIFAR-10's training part. By ranking and
collection: ``at_10`` and ``at_20``, mean over the runs with the half width of its 95 % interval (t). ``cleanlab`` ranks
by its default method, ``cleanlab_filter`` has what its filter finds first, both on the same out-of-fold probabilities.
``against_cleanlab``: the default minus cleanlab's, of pairs. ``confident``: labels that
the model contradicts, as a multiple of the flips; ``at_confident``: the share of the flips among so many first ones.

``--tune`` compares what the default could be made of, on MNIST's and CIFAR-10's test parts, 300 and 2,000 labels.
Features are kept in the user's cache folder: the first run computes 9,350 of them.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import platformdirs
import torch
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from scipy.stats import t as student

from benchmarks.engine import say
from benchmarks.first_labels import FIRST_SEED
from benchmarks.known_features import KnownFeatures, cifar10, flowers, made_up, mnist
from tidal_core.config import FROZEN, Seeds
from tidal_core.engine.features.store import open_features
from tidal_core.engine.model import build_model
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.method import dynamics, suspicion
from tidal_core.method.heads import out_of_fold
from tidal_core.records import Bools, Float64, Int64, TrainImages
from tidal_core.strategies.distances import unit_length

FLIPPED = 0.1
SHARES = {"at_10": 0.1, "at_20": 0.2}
RUNS, TUNE_RUNS = 5, {300: 5, 2_000: 2}


def flipped(truth: Int64, n_classes: int, rng: np.random.Generator) -> tuple[Int64, Bools]:
    """Labels (N,) of which a tenth got another class, and which."""
    n = len(truth)
    rows = rng.choice(n, round(FLIPPED * n), replace=False)
    labels, is_flipped = truth.copy(), np.zeros(n, dtype=np.bool_)
    labels[rows] = (labels[rows] + rng.integers(1, n_classes, len(rows))) % n_classes
    is_flipped[rows] = True
    return labels, is_flipped


def while_training(known: KnownFeatures, rows: Int64, labels: Int64, seed: int) -> dict[str, Float64]:
    """Margin area and p-bar of the labels of a round's head that trains on them."""
    seeds = Seeds.of(seed, len(rows))
    images = TrainImages(Path("features-only.npy"), rows, labels, known.n_classes, known.path)
    model = build_model(FROZEN, known.n_classes, seeds, torch.device("cpu"))
    epochs = train(FROZEN, images, model, seeds, TrainOptions(curves=True))
    views = [dynamics.label_view(record.curves.p[None], labels) for record in epochs if record.curves is not None]
    view = dynamics.joined(views)
    return {
        "margin_area": dynamics.margin_area(view.p_label, view.p_other),
        "p_bar": dynamics.confidence(view.p_label),
    }


def signals_of(known: KnownFeatures, rows: Int64, labels: Int64, seed: int) -> tuple[dict[str, Float64], Float64]:
    """Everything that the studio knows of labels, and p out of fold (N, C)."""
    x = unit_length(open_features(known.path).last_stage(rows))
    p = out_of_fold(x, labels, known.n_classes, np.random.default_rng(seed))
    signals = {
        "label_p": suspicion.label_probability(p, labels),
        "margin": suspicion.label_margin(p, labels),
        "neighbours": suspicion.neighbour_share(x, labels),
    }
    return signals | while_training(known, rows, labels, seed), p


def rankings_of(signals: Mapping[str, Float64], p: Float64, labels: Int64) -> dict[str, Int64]:
    """Rows (N,), the most suspicious first, by ranking."""
    rankings = {
        name: suspicion.by_suspicion(suspicion.suspicion(signals, name), signals["label_p"])
        for name in (suspicion.DEFAULT, *signals)
    }
    quality = get_label_quality_scores(labels, p)
    issues = find_label_issues(labels, p, return_indices_ranked_by="self_confidence", n_jobs=1)
    by_quality = np.argsort(quality, kind="stable")
    return rankings | {
        "cleanlab": by_quality,
        "cleanlab_filter": np.concatenate([issues, by_quality[~np.isin(by_quality, issues)]]),
    }


def share_found(order: Int64, is_flipped: Bools, n_looked_at: int) -> float:
    """Share of the flips among the first so many."""
    return float(is_flipped[order[:n_looked_at]].sum() / is_flipped.sum())


def run(known: KnownFeatures, among: Int64, n: int, seed: int) -> Iterator[tuple[str, str, float]]:
    """One run: (ranking, figure, value)."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(among)[:n]
    labels, is_flipped = flipped(known.labels[rows], known.n_classes, rng)
    signals, p = signals_of(known, rows, labels, seed)
    confident = int(suspicion.confident_mistakes(p, labels).sum())
    for name, order in rankings_of(signals, p, labels).items():
        for figure, share in SHARES.items():
            yield name, figure, share_found(order, is_flipped, round(share * n))
        if name == suspicion.DEFAULT:
            yield name, "confident", confident / int(is_flipped.sum())
            yield name, "at_confident", share_found(order, is_flipped, confident)


def with_interval(values: list[float]) -> list[float]:
    """Mean and the half width of its 95 % interval."""
    n = len(values)
    half = float(student.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5) if n > 1 else 0.0
    return [round(float(np.mean(values)), 3), round(half, 3)]


def compared(known: KnownFeatures, among: Int64, n: int, runs: int) -> dict[str, object]:
    """The figures of one collection, by ranking."""
    seen: dict[str, dict[str, list[float]]] = {}
    for number in range(runs):
        for ranking, figure, value in run(known, among, n, FIRST_SEED + number):
            seen.setdefault(ranking, {}).setdefault(figure, []).append(value)
    figures: dict[str, object] = {
        ranking: {figure: with_interval(values) for figure, values in of_ranking.items()}
        for ranking, of_ranking in seen.items()
    }
    figures["against_cleanlab"] = {
        figure: with_interval(np.subtract(seen[suspicion.DEFAULT][figure], seen["cleanlab"][figure]).tolist())
        for figure in SHARES
    }
    return figures


def tuned(folder: Path) -> dict[str, object]:
    """The share within the first 10 % by every mean of ranks of the signals, averaged over the collections."""
    found: dict[str, list[float]] = {}
    for known in (mnist(folder, 2_000), cifar10(folder, 5_000, 2_000)):
        among = np.flatnonzero(known.part == known.part.max())
        for n, runs in TUNE_RUNS.items():
            of_size: dict[str, list[float]] = {}
            for seed in range(runs):
                rng = np.random.default_rng(seed)
                rows = rng.permutation(among)[:n]
                labels, is_flipped = flipped(known.labels[rows], known.n_classes, rng)
                signals, _ = signals_of(known, rows, labels, seed)
                for size in range(1, len(signals) + 1):
                    for names in itertools.combinations(signals, size):
                        values = np.mean([suspicion.suspicion(signals, name) for name in names], axis=0)
                        order = suspicion.by_suspicion(values)
                        of_size.setdefault("+".join(names), []).append(share_found(order, is_flipped, n // 10))
            for names_of, values_of in of_size.items():
                found.setdefault(names_of, []).append(float(np.mean(values_of)))
    means = {names: round(float(np.mean(values)), 3) for names, values in found.items()}
    return dict(sorted(means.items(), key=lambda entry: -entry[1]))


def main() -> None:
    """Measure and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tune", action="store_true", help="what the default could be made of, on other images")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--quick", action="store_true", help="one run with a few made-up images, to see that it runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.quick:
        with tempfile.TemporaryDirectory(prefix="tidal-benchmark-") as quick_folder:
            known = made_up(Path(quick_folder), 32, 5, 12)
            say("review", options, made_up=compared(known, np.arange(len(known.labels)), 60, 1))
        return
    folder = Path(platformdirs.user_cache_dir("tidal-studio")) / "benchmarks" / "review"
    folder.mkdir(parents=True, exist_ok=True)
    if options.tune:
        say("review", options, **tuned(folder))
        return
    photos, objects = flowers(folder), cifar10(folder, 5_000, 2_000)
    figures = {"flowers": compared(photos, np.arange(len(photos.labels)), 300, options.runs)}
    figures["CIFAR-10"] = compared(objects, np.flatnonzero(objects.part == 0), 5_000, options.runs)
    say("review", options, data=[photos.data, objects.data], **figures)


if __name__ == "__main__":
    main()
