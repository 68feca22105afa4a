"""The common look of all figures, and the one way to Plotly.

Figures carry no title: the page says it, with an explanation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# Before Plotly, and whole: Plotly looks whether pandas is there and takes one that another thread is still loading
# (scikit-learn does, when the demo is made or a strategy clusters) for a whole one, and the figure fails.
import pandas  # noqa: F401
import plotly.graph_objects as go
import plotly.io as pio
from numpy.typing import ArrayLike

from tidal_core.figures.palettes import FONT, Theme, ink_on

_NO_TEMPLATE = pio.templates["none"].to_plotly_json()
PERCENT: dict[str, Any] = {"tickformat": ".0%"}
WHOLE: dict[str, Any] = {"tickformat": ",d", "nticks": 8}


def heat_numbers(
    theme: Theme, x: Sequence[Any], y: Sequence[Any], shares: ArrayLike, texts: Sequence[Sequence[str]]
) -> go.Scatter:
    """The numbers on a heat map of ``shares`` (Y, X): a text for each cell, which takes no hover and no click."""
    values = np.asarray(shares, dtype=np.float64)
    return go.Scatter(
        x=[column for _ in y for column in x],
        y=[row for row in y for _ in x],
        text=[text for row in texts for text in row],
        mode="text",
        textfont={"size": 13, "color": ink_on(theme, values.ravel())},
        hoverinfo="skip",
        showlegend=False,
    )


def axis(theme: Theme, title: str = "", **more: Any) -> dict[str, Any]:
    """One axis as all figures draw it."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 13, "color": theme.muted}},
        "tickfont": {"size": 12, "color": theme.muted},
        "gridcolor": theme.grid,
        "linecolor": theme.grid,
        "zeroline": False,
        "automargin": True,
        **more,
    }


def base_figure(theme: Theme, *, x: str = "", y: str = "", height: int = 360, legend: bool = True) -> go.Figure:
    """An empty figure in the project's look.

    Made in one go: a layout that is updated afterwards takes ten times as long, and a page draws several figures.
    """
    return go.Figure(
        layout={
            **_look(theme, height=height, legend=legend),
            "template": _NO_TEMPLATE,
            "xaxis": axis(theme, x),
            "yaxis": axis(theme, y),
        }
    )


def dress(figure: go.Figure, theme: Theme, *, height: int, legend: bool = True) -> None:
    """Give a figure that was made otherwise (with several axes) the look of all others."""
    figure.update_layout(template="none", **_look(theme, height=height, legend=legend))


def titled(figure: go.Figure, title: str) -> go.Figure:
    """A figure that leaves its page: a copy with its title on it, as large as its place."""
    alone = go.Figure(figure)
    alone.update_layout(title={"text": title, "font": {"size": 18}}, margin={"t": 80}, height=None, autosize=True)
    return alone


_USUAL_HEIGHT = 275  # pixels at which the type of a page would be as large as the figure wants it


def enlarged(figure: go.Figure, *, height: int) -> go.Figure:
    """A figure for a large screen, read from the back of a room: its type and lines grow with its height."""
    large, scale = go.Figure(figure), height / _USUAL_HEIGHT
    text = round(13 * scale)
    large.update_layout(
        height=height, font={"size": text}, legend={"font": {"size": round(11 * scale)}}, hovermode=False
    )
    large.update_xaxes(tickfont={"size": text}, title={"font": {"size": text}})
    large.update_yaxes(tickfont={"size": text}, title={"font": {"size": text}})
    large.update_layout(margin={"t": large.layout.margin.t * scale})
    for trace in large.data:
        if getattr(trace, "textfont", None) is not None and trace.text is not None:
            trace.update({"textfont": {"size": text}})
        for part in ("line", "marker"):
            style, of = getattr(trace, part, None), "width" if part == "line" else "size"
            size = getattr(style, of, None)
            if isinstance(size, int | float) and size:
                trace.update({part: {of: size * scale}})
    return large


def _look(theme: Theme, *, height: int, legend: bool) -> dict[str, Any]:
    """Fonts, margins, legend and hover box of all figures."""
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 36 if legend else 16, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": theme.text},
        "showlegend": legend,
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "bgcolor": "rgba(0,0,0,0)",
            "font": {"size": 12, "color": theme.text},
        },
        "hoverlabel": {
            "bgcolor": theme.panel,
            "bordercolor": theme.grid,
            "font": {"family": FONT, "size": 13, "color": theme.text},
            "namelength": -1,
        },
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": theme.muted, "activecolor": theme.primary},
        "uirevision": "keep",  # a refresh keeps zoom and hidden curves
    }
