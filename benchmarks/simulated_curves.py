"""Simulated learning curves and classifiers for the intervals and the advice that come from numbers alone.

All rounds of a simulated project are tested on the same images, and an image is about as hard in each; seeds move the
accuracy of a round by a point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from tidal_core.experiments import statistics
from tidal_core.method import dynamics, stopping
from tidal_core.records import Float64, Int64

ALIKE = 0.85  # share of the variance of an image's luck that all rounds have in common
SHAPES = ("power", "S")
Law = Callable[[Any], Any]


class Curve(NamedTuple):
    """A project's rounds: labels (R,), images right (R,) of ``tested``, and the law of its error."""

    labels: Int64
    right: Int64
    tested: int
    error: Law


def drawn(rng: np.random.Generator, shape: str, labels: Int64, tested: int) -> Curve:
    """Of a law drawn at random: a power law, or a curve that is flat at first and then falls (S)."""
    floor = rng.uniform(0.01, 0.15)
    if shape == "power":
        scale, exponent = rng.uniform(0.3, 0.7), rng.uniform(0.4, 1.2)

        def error(n: Any) -> Any:
            return floor + scale * (np.asarray(n) / 20) ** -exponent
    else:
        middle = rng.uniform(100, 500)
        width = middle / rng.uniform(2, 5)

        def error(n: Any) -> Any:
            return floor + 0.7 / (1 + np.exp(np.minimum((np.asarray(n) - middle) / width, 500)))

    accuracy = np.clip(1 - error(labels) + rng.normal(0, 0.01, len(labels)), 0.02, 0.995)
    own = rng.standard_normal((len(labels), tested))
    luck = np.sqrt(ALIKE) * rng.standard_normal(tested) + np.sqrt(1 - ALIKE) * own
    return Curve(labels, (luck < ndtri(accuracy)[:, None]).sum(axis=1), tested, error)


def forecasts(projects: int, shape: str) -> dict[str, Any]:
    """How often the 80 % interval of the labels needed is shown, and holds."""
    held: list[bool] = []
    for seed in range(projects):
        rng = np.random.default_rng(seed)
        labels = np.arange(20, 20 * int(rng.integers(8, 26)), 20)
        curve = drawn(rng, shape, labels, int(rng.choice([360, 1_000, 3_000])))
        at = labels[-1] * rng.uniform(1.1, 2.5)
        target = float(1 - curve.error(at))
        forecast = stopping.forecast(labels.tolist(), curve.right.tolist(), [curve.tested] * len(labels), target)
        if forecast is not None and forecast.more_labels is not None:
            needed = brentq(lambda n, law=curve.error, goal=target: 1 - law(n) - goal, 1, 1e6) - labels[-1]
            held.append(forecast.more_labels.low <= needed <= forecast.more_labels.high)
    return {"projects": projects, "shown": len(held), "coverage": round(float(np.mean(held)), 3) if held else None}


def advice(projects: int, shape: str) -> dict[str, Any]:
    """When the gain lets the advice say "nearly there", against when 100 more labels bring less than a point.

    The other two signs are taken to hold from the start, as for a model that is too sure of itself.
    """
    too_early, late, never, turns = 0, [], 0, []
    for seed in range(projects):
        rng = np.random.default_rng(seed)
        labels = np.arange(20, 1_601, int(rng.choice([20, 40])))
        curve = drawn(rng, shape, labels, int(rng.choice([50, 200, 500, 1_000, 2_000])))
        little = _little_of(curve)
        turns.append(sum(now is not before for now, before in zip(little[1:], little[:-1], strict=True)))
        spoke = next((int(n) for n, known in zip(labels, little, strict=True) if known), None)
        gains = curve.error(labels) - curve.error(labels + 100)
        best = int(labels[np.argmax(gains < 0.01)]) if (gains < 0.01).any() else 10**9
        if spoke is None:
            never += 1
        elif curve.error(spoke) - curve.error(spoke + 100) >= 0.01:
            too_early += 1
        else:
            late.append(spoke - best)
    return {
        "projects": projects,
        "too_early": round(too_early / projects, 3),
        "labels_late": round(float(np.median(late))) if late else None,
        "never": round(never / projects, 3),
        "changes": round(float(np.mean(turns)), 1),
    }


def _little_of(curve: Curve) -> list[bool]:
    """Whether the gain is known to be little after each round."""
    labels, right = curve.labels.tolist(), curve.right.tolist()
    tested = [curve.tested] * len(labels)
    return [
        stopping.is_little_gain(labels[:end], right[:end], tested[:end]) is True for end in range(1, len(labels) + 1)
    ]


def balanced(repeats: int) -> dict[str, float]:
    """Coverage of balanced accuracy's 95 % interval; classes x images of each, at a recall."""
    settings = {
        "10x36 .97": (0.97, 10, 36),
        "100x5 .97": (0.97, 100, 5),
        "2x20 .9": (0.9, 2, 20),
        "10x3 .6": (0.6, 10, 3),
    }
    coverage = {}
    for name, (recall, classes, images) in settings.items():
        rng, inside = np.random.default_rng(0), 0
        for right in rng.binomial(images, recall, (repeats, classes)):
            interval = dynamics.balanced_accuracy(np.diag(right) + np.roll(np.diag(images - right), 1, axis=1))
            inside += interval.low <= recall <= interval.high
        coverage[name] = round(inside / repeats, 3)
    return coverage


def gains(projects: int) -> dict[str, Any]:
    """Coverage of the 95 % interval of what the last labels brought: as likely too wide, rounds share their images."""
    held = []
    for seed in range(projects):
        rng = np.random.default_rng(seed)
        curve = drawn(rng, "power", np.arange(20, 620, 20), int(rng.choice([30, 100, 500])))
        gain = stopping.gain_of_last(curve.labels.tolist(), curve.right.tolist(), [curve.tested] * len(curve.labels))
        assert gain is not None
        true = float(curve.error(curve.labels[-1] - gain.labels) - curve.error(curve.labels[-1]))
        held.append(gain.accuracy.low <= true <= gain.accuracy.high)
    return {"projects": projects, "coverage": round(float(np.mean(held)), 3)}


def divergences(repeats: int) -> dict[int, float]:
    """Coverage of the 95 % interval of a mean divergence, by the number of images."""
    rng = np.random.default_rng(0)

    def pairs(n: int) -> tuple[Float64, Float64]:
        observed = rng.dirichlet(np.full(4, 0.4), n)
        return observed, 0.5 * observed + 0.5 * rng.dirichlet(np.full(4, 0.3), n)

    true = float(stopping.divergence(*pairs(100_000)).mean())
    coverage = {}
    for n in (30, 100):
        inside = 0
        for _ in range(repeats):
            observed, predicted = pairs(n)
            interval = stopping.quality(observed, predicted, predicted).module_kl
            inside += interval.low <= true <= interval.high
        coverage[n] = round(inside / repeats, 3)
    return coverage


def against_random(trials: int) -> dict[str, float]:
    """Coverage of the 95 % interval of the mean gain of one configuration against another, by the number of runs.

    Runs are paired: they share how hard their first images are (deviation 3 points); each configuration adds a
    deviation of its own (2 points, of one sign with 9 in 10: runs are skewed) and that of 500 test images.
    """
    labels = np.arange(20, 220, 20)
    random_curve, gain = 0.9 - 0.5 * (labels / 20) ** -0.7, 0.02
    coverages = {}
    for runs in (2, 3, 5, 10):
        held = 0
        for trial in range(trials):
            rng = np.random.default_rng((7, runs, trial))
            shared = 0.03 * rng.standard_normal((runs, 1))
            skewed = 0.02 / 3 * (np.where(rng.random((2, runs, 1)) < 0.9, 1.0, -9.0))
            truths = np.stack([random_curve + gain, random_curve])[:, None] + shared + skewed
            accuracies = rng.binomial(500, np.clip(truths, 0, 1)) / 500
            found = statistics._mean_gain(labels, accuracies[0], accuracies[1], 1)
            assert found is not None  # two runs at least
            held += found.low <= 100 * gain <= found.high
        coverages[f"{runs} runs"] = round(held / trials, 3)
    return coverages
