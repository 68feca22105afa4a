"""Figures of the Theory page, for the checks that all figures pass."""

from typing import Any

import numpy as np

from tidal_core.estimator_facts import COMPARED_ESTIMATORS
from tidal_core.figures import theory
from tidal_core.method.theory import Elasticity


def separation_sample() -> theory.SeparationInfo:
    rng = np.random.default_rng(0)
    minor = np.arange(300) >= 250
    scores = {name: rng.random(300) + (0.5 * minor if "td" in name else 0) for name in COMPARED_ESTIMATORS}
    accuracy = np.linspace([0.2, 0.1], [1.0, 0.9], 30)
    names = ("<b>five", "two", "three", "four")
    return theory.SeparationInfo(
        minor, np.array([125, 125, 25, 25]), names, 2, accuracy, scores, dict.fromkeys(scores, 0.9)
    )


def theory_figures() -> dict[str, Any]:
    """Name -> (info, how to draw it)."""
    paths = theory.paths_info(Elasticity(sigma=0.3), runs=20, steps=100)
    areas = theory.areas_info(0.99, 0.9, 0.6, 10)
    separation = separation_sample()
    return {
        "theorem 1": (paths, lambda theme: theory.paths_figure(paths, theme)),
        "speed": (paths, lambda theme: theory.speed_figure(paths, theme)),
        "two curves": (areas, lambda theme: theory.areas_figure(areas, theme)),
        "monotone range": (areas, lambda theme: theory.range_figure(areas, theme)),
        "label distribution": (separation, lambda theme: theory.label_figure(separation, theme)),
        "major and minor": (separation, lambda theme: theory.learning_figure(separation, theme)),
        "separation": (separation, lambda theme: theory.histogram_figure(separation, "td_entropy", theme)),
        "final prediction against dynamics": (separation, lambda theme: theory.scatter_figure(separation, theme)),
    }
