"""One made-up example of every figure, for the tests that hold for all of them and for looking at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.figures.experiments_samples import experiments_figures
from tests.figures.theory_samples import theory_figures
from tidal_core.figures import groups, palettes, progress, training, uncertainty
from tidal_core.figures import life as life_figures
from tidal_core.figures.palettes import ClassStyle
from tidal_core.method import dynamics as numbers
from tidal_core.method import stopping

Figure = Callable[[palettes.Theme], Any]

NAMES = ["zero", "one", "two", "three", "four", "<b>five</b>", "six", "seven", "eight", "a class with a very long name"]
CLASSES = tuple(ClassStyle(position + 1, name, palettes.class_colour(position)) for position, name in enumerate(NAMES))


def curves(epochs: int = 40, images: int = 1, seed: int = 1) -> np.ndarray:
    """Made-up curves (T, N, C) that learn class 3, with a doubt about class 8 on the way."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, epochs)[:, None, None]
    logits = rng.normal(0, 0.35, (epochs, images, len(CLASSES))).cumsum(axis=0) * 0.35
    logits[..., 3] += 4.5 * t[..., 0]
    logits[..., 8] += 3.2 * np.sin(3 * t[..., 0])
    p = np.exp(logits)
    return p / p.sum(axis=2, keepdims=True)


def life() -> life_figures.LifeInfo:
    p = curves()[:, 0]
    guess = 0.8 * p.mean(axis=0) + 0.02
    return life_figures.life_info(np.arange(1, 41), p, CLASSES, 3, predicted=guess, predicted_top=8)


def all_figures() -> dict[str, tuple[palettes.Info, Figure]]:
    """Name -> (numbers, drawing)."""
    rng = np.random.default_rng(0)
    epochs = np.arange(1, 26)
    live = training.round_info(
        epochs, 40, 2.3 * np.exp(-epochs / 9), 0.4 * np.exp(-epochs / 14), 1 - 0.9 * np.exp(-epochs / 8),
        2e-3 * np.cos(epochs / 30), np.full(25, 310.0),
    )  # fmt: skip
    lasted = training.durations_info(
        [1, 2, 3, 4, 5], [20, 40, 60, 80, 100], [4.2, 5.0, 1.1, 6.2, np.nan],
        ["done", "done", "failed", "done", "training"],
    )  # fmt: skip

    life_of = life()
    rounds = life_figures.rounds_of_image_info(
        [1, 2, 3, 4], [0.3, 0.35, 0.5, 0.7], [0.2, 0.5, 0.8, 0.95], [np.nan, np.nan, 0.6, 0.8], 2
    )
    p = curves(40, 300)
    labels = np.where(rng.random(300) < 0.6, 3, 8)
    statistics = numbers.curve_statistics(numbers.label_view(p, labels))
    map_of = groups.map_info(
        np.arange(300), [f"photo {number}.png" for number in range(300)], statistics.confidence, statistics.variability,
        statistics.correctness, (labels == 8).astype(int), [CLASSES[3], CLASSES[8]],
    )  # fmt: skip
    view = numbers.label_view(p, labels)
    bands = groups.bands_info(
        np.arange(1, 41), [CLASSES[3], CLASSES[8]], [(labels == 3).sum(), (labels == 8).sum()],
        [np.quantile(view.p_label[:, labels == label], [0.25, 0.5, 0.75], axis=1).T for label in (3, 8)],
    )  # fmt: skip

    counts = rng.poisson(30 * np.exp(-(((np.arange(60) - 30 - 8 * np.arange(9).reshape(3, 3, 1)) / 12) ** 2)))
    ridge = uncertainty.ridge_info("td_entropy", [1, 2, 3], ["labelled", "asked", "remaining"], counts, 0, np.log(10))
    final, foreseen = rng.beta(1, 3, 2000) * 2.3, rng.beta(2, 3, 2000) * 2.3
    scatter = uncertainty.scatter_info(np.arange(2000), final, foreseen, foreseen > 2)
    agreement = uncertainty.agreement_info(
        {"td_entropy": foreseen, "td_margin": -foreseen + 0.3 * final, "entropy": final, "margin": 1 - final},
        20,
    )
    by_class = uncertainty.by_class_info(
        "td_entropy", CLASSES, np.arange(10, 110, 10), np.sort(rng.random((10, 5)) * 2, axis=1)
    )

    labelled = np.array([20, 40, 60, 80, 100, 140, 200])
    right = np.round(1500 * (1 - 3.2 * labelled**-0.75)).astype(int)
    tested = [1500] * len(labelled)
    forecast = stopping.forecast(labelled.tolist(), right.tolist(), tested, target=0.96)
    accuracy = progress.accuracy_info(
        np.arange(1, 8), labelled, tested,
        [numbers.wilson(int(correct), 1500) for correct in right],
        [numbers.wilson(int(correct * 0.97), 1500) for correct in right],
    )  # fmt: skip
    matrix = rng.poisson(0.7, (10, 10)) + np.diag(rng.integers(20, 50, 10))
    observed, final_of = rng.dirichlet(np.ones(10), 20), np.eye(10)[[3] * 20]
    of_round = stopping.quality(observed, 0.7 * observed + 0.03, final_of)
    quality = progress.quality_info([1, 2, 3], [of_round] * 3)
    of_pool = progress.pool_quality_info([1, 2], [300, 280], [0.3, 0.2], [0.5, 0.4], [0.7, np.nan])
    exact = uncertainty.scatter_info(
        np.arange(50), rng.uniform(-0.5, 1, 50), rng.uniform(-0.5, 1, 50), np.arange(50) < 5,
        names=("predicted margin", "exact margin"),
    )  # fmt: skip
    unlabelled = life_figures.life_info(
        np.arange(1, 41), curves()[:, 0], CLASSES, 3, role="prediction", window_of_p_bar=np.arange(40) > 20
    )
    per_class, confusions = progress.per_class_info(CLASSES, matrix), progress.confusion_info(CLASSES, matrix)
    return {
        "round": (live, lambda theme: training.learnt_figure(live, theme)),
        "round in detail": (live, lambda theme: training.round_figure(live, theme)),
        "durations": (lasted, lambda theme: training.durations_figure(lasted, theme)),
        "life": (life_of, lambda theme: life_figures.life_figure(life_of, theme)),
        "areas": (life_of, lambda theme: life_figures.areas_figure(life_of, theme)),
        "rounds of an image": (rounds, lambda theme: life_figures.rounds_of_image_figure(rounds, theme)),
        "map by correctness": (map_of, lambda theme: groups.map_figure(map_of, theme)),
        "map by class": (map_of, lambda theme: groups.map_figure(map_of, theme, by="group")),
        "bands": (bands, lambda theme: groups.bands_figure(bands, theme)),
        "ridge": (ridge, lambda theme: uncertainty.ridge_figure(ridge, theme)),
        "scatter": (scatter, lambda theme: uncertainty.scatter_figure(scatter, theme)),
        "agreement": (agreement, lambda theme: uncertainty.agreement_figure(agreement, theme)),
        "by class": (by_class, lambda theme: uncertainty.by_class_figure(by_class, theme)),
        "accuracy": (accuracy, lambda theme: progress.accuracy_figure(accuracy, theme, forecast)),
        "per class": (per_class, lambda theme: progress.per_class_figure(per_class, theme)),
        "confusion": (confusions, lambda theme: progress.confusion_figure(confusions, theme)),
        "quality": (quality, lambda theme: progress.quality_figure(quality, theme)),
        "pool quality": (of_pool, lambda theme: progress.pool_quality_figure(of_pool, theme)),
        "exact": (exact, lambda theme: uncertainty.exact_figure(exact, theme)),
        "life without a label": (unlabelled, lambda theme: life_figures.life_figure(unlabelled, theme)),
        **theory_figures(),
        **experiments_figures(),
    }
