"""Figures of the Experiments page, for the checks that all figures pass."""

from typing import Any

import numpy as np

from tidal_core.experiments.lead import Lead
from tidal_core.experiments.statistics import win_matrix
from tidal_core.figures import experiments, race

LABELS = np.arange(20, 220, 20)
TITLES = {"random": "Random", "margin": "Margin", "tidal-margin": "TiDAL <margin>"}


def values_sample() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    curve = 1 - 5 / LABELS
    return {
        configuration: curve + 0.02 * position + 0.01 * rng.standard_normal((5, 10))
        for position, configuration in enumerate(TITLES)
    }


def experiments_figures() -> dict[str, Any]:
    """Name -> (info, how to draw it)."""
    values = values_sample()
    published = {"margin": experiments.Published(LABELS, np.linspace(0, 5, 10), np.ones(10))}
    absolute = experiments.curves_info(LABELS, values, TITLES)
    relative = experiments.curves_info(LABELS, values, TITLES, is_relative=True, published=published)
    wins = experiments.WinsInfo(win_matrix([values]), TITLES)
    lead = Lead(True, 60, 100, 0.9, 0.85, 0.001)
    arms = ("TiDAL <b>five", "Random")
    raced = race.RaceInfo(arms, (LABELS, LABELS[:-1]), (1 - 5 / LABELS, 1 - 6 / LABELS[:-1]), 500, 240, lead)
    return {
        "race": (raced, lambda theme: race.race_figure(raced, theme)),
        "curves": (absolute, lambda theme: experiments.curves_figure(absolute, theme)),
        "relative": (relative, lambda theme: experiments.curves_figure(relative, theme)),
        "wins": (wins, lambda theme: experiments.wins_figure(wins, theme)),
    }
