"""How many more labels to a target, in words; and the target that a person chose on the page Progress."""

from __future__ import annotations

import math

from tidal_core.method import stopping
from tidal_core.projects import Project

DEFAULT_TARGET = 0.95


def target_key(project: Project) -> str:
    """Where the session keeps the chosen target accuracy of a project."""
    return f"target-{project.slug}"


def forecast_in_words(forecast: stopping.Forecast | None, target: float) -> str:
    """One sentence."""
    if forecast is None:
        return f":material/schedule: No forecast to {target:.0%} yet: at least three rounds are needed."
    if forecast.more_labels is None:
        return f":material/schedule: No forecast to {target:.0%}: {forecast.withheld}."
    more = forecast.more_labels
    return (
        f":material/flag: About **{rounded(more.value)} more labels to {target:.0%}** "
        f"(between {rounded(more.low)} and {rounded(more.high)}, four times out of five)."
    )


def rounded(labels: float) -> str:
    """Two digits: more would claim to know."""
    if labels < 10:
        return f"{math.ceil(labels)}"
    scale = 10 ** (math.floor(math.log10(labels)) - 1)
    return f"{round(labels / scale) * scale:,}"
