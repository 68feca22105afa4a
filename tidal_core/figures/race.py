"""The figure of a race: accuracy over labels of two arms, and the labels that one of them saves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from tidal_core.experiments.lead import Lead
from tidal_core.experiments.race import Race
from tidal_core.figures.look import PERCENT, WHOLE, base_figure
from tidal_core.figures.palettes import DYNAMICS, Theme, plain
from tidal_core.records import Float64, Int64


class RaceInfo(NamedTuple):
    """Two arms as far as they have come."""

    titles: tuple[str, str]  # the strategy, random
    labels: tuple[Int64, Int64]  # (P,) each
    accuracy: tuple[Float64, Float64]  # (P,) each
    tested: int  # images that both are tested on
    last_labels: int  # of the last round, finished or not
    lead: Lead | None  # of the one that saves most labels

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per arm and finished round."""
        return {
            "arm": [title for title, labels in zip(self.titles, self.labels, strict=True) for _ in labels],
            "labels": [int(count) for labels in self.labels for count in labels],
            "accuracy": [float(value) for accuracy in self.accuracy for value in accuracy],
            "test images": [self.tested for labels in self.labels for _ in labels],
        }


def race_info(race: Race) -> RaceInfo:
    """The numbers of a race."""
    one, two = race.arms
    return RaceInfo(
        (one.title, two.title),
        (one.labels, two.labels),
        (one.accuracy, two.accuracy),
        race.tested,
        race.experiment.spec.protocol.last_labels,
        race.leads[0] if race.leads else None,
    )


def race_figure(info: RaceInfo, theme: Theme, *, height: int = 420) -> go.Figure:
    """A line for each arm, as wide as the whole race will be; a bar across the labels that one saves."""
    figure = base_figure(theme, x="Labels", y=f"Accuracy on {info.tested:,} test images", height=height)
    colours = (DYNAMICS, theme.muted)
    for title, labels, accuracy, colour in zip(info.titles, info.labels, info.accuracy, colours, strict=True):
        figure.add_scatter(
            x=labels.astype(np.float32),
            y=accuracy.astype(np.float32),
            name=plain(title),
            mode="lines+markers",
            line={"color": colour, "width": 3},
            marker={"size": 8},
            hovertemplate="%{y:.1%} with %{x:,d} labels<extra>%{fullData.name}</extra>",
        )
    if info.lead is not None and info.lead.saved:
        lead = info.lead
        figure.add_scatter(
            x=[lead.labels, (lead.labels + lead.other_labels) / 2, lead.other_labels],
            y=[lead.accuracy] * 3,
            mode="lines+text",
            text=["", f"{lead.saved:,} fewer labels", ""],
            textposition="top center",
            textfont={"size": 15, "color": theme.text},
            line={"color": theme.text, "width": 2, "dash": "dot"},
            hoverinfo="skip",
            showlegend=False,
        )
    span = [float(value) for accuracy in info.accuracy for value in accuracy]
    lowest = max(0.0, np.floor(10 * min(span)) / 10 - 0.05) if span else 0.0
    figure.update_xaxes(range=[0, 1.04 * info.last_labels], **WHOLE)
    figure.update_yaxes(range=[lowest, 1.02], **PERCENT)
    return figure
