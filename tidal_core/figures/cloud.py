"""Clouds of points: drawn plainly while they are few, by WebGL where they are many, thinned where a browser has none.

A browser draws some thousand points of a plain figure at once; tens of thousands take it seconds. WebGL draws them in a
moment, but remote desktops, old machines and browsers without a graphics card lack it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

import tidal_core.figures.look  # noqa: F401  pandas is whole then
from tidal_core.records import Bools, Float64

PLAIN = 3_000  # points that a browser draws well without WebGL
CELLS = 50  # along each axis of the grid by which a cloud is thinned: fewer in all than PLAIN


def trace_of(points: int) -> Any:
    """The class of trace for a figure of so many points in all, go.Scatter or go.Scattergl."""
    return go.Scatter if points < PLAIN else go.Scattergl


def needs_webgl(figure: go.Figure) -> bool:
    """Whether a browser can draw the figure by WebGL only."""
    return any(isinstance(trace, go.Scattergl) for trace in figure.data)


def without_webgl(figure: go.Figure, at_most: int = PLAIN) -> tuple[go.Figure, int, int]:
    """A figure that needs WebGL for a browser that has none: how many points of its clouds are shown, and of how many.

    At most ``at_most`` points of all clouds together are left: places with few keep all of theirs, and crowded ones
    lose some (``spread``), so that what stands apart stands there still.
    """
    clouds = [trace for trace in figure.data if isinstance(trace, go.Scattergl)]
    x = np.concatenate([np.asarray(trace.x, dtype=np.float64) for trace in clouds])
    y = np.concatenate([np.asarray(trace.y, dtype=np.float64) for trace in clouds])
    kept = spread(x, y, at_most)
    plain, start = go.Figure(layout=figure.layout), 0
    for trace in figure.data:
        if not isinstance(trace, go.Scattergl):
            plain.add_trace(trace)
            continue
        points = len(trace.x)
        plain.add_trace(_plain(trace, kept[start : start + points]))
        start += points
    return plain, int(kept.sum()), len(kept)


def spread(x: Float64, y: Float64, at_most: int) -> Bools:
    """Which of N points (N,) to show so that every place where one lies shows one, as far as ``at_most`` reaches.

    The plane is cut into cells; a point's turn is how many of its cell come before it in an order drawn at random (the
    same one each time), and the points with the first turns are shown.
    """
    n = len(x)
    if n <= at_most:
        return np.ones(n, dtype=np.bool_)
    order = np.random.default_rng(0).permutation(n)
    cell = (_steps(x) * CELLS + _steps(y))[order]
    by_cell = np.argsort(cell, kind="stable")
    starts = np.flatnonzero(np.diff(cell[by_cell], prepend=-1))
    turn = np.empty(n, dtype=np.int64)
    turn[by_cell] = np.arange(n) - np.repeat(starts, np.diff(starts, append=n))
    shown = np.zeros(n, dtype=np.bool_)
    shown[order[np.argsort(turn, kind="stable")[:at_most]]] = True
    return shown


def _steps(values: Float64) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The cell of each value along one axis, 0 to CELLS - 1; what is no number lies in the first."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values), dtype=np.int64)
    low, high = values[known].min(), values[known].max()
    share = np.where(known, (values - low) / max(high - low, 1e-12), 0.0)
    return np.minimum((share * CELLS).astype(np.int64), CELLS - 1)


def _plain(trace: go.Scattergl, rows: Bools) -> go.Scatter:
    """Some points of a cloud, as a trace that needs no WebGL."""
    given = trace.to_plotly_json()
    given.pop("type")
    marker = dict(given.pop("marker", {}))
    for name in ("color", "size", "opacity"):
        if _is_of_points(marker.get(name), len(rows)):
            marker[name] = np.asarray(marker[name])[rows]
    for name in ("x", "y", "text", "customdata", "hovertext"):
        if _is_of_points(given.get(name), len(rows)):
            given[name] = np.asarray(given[name])[rows]
    return go.Scatter(marker=marker, **given)


def _is_of_points(value: object, points: int) -> bool:
    return isinstance(value, (np.ndarray, list, tuple)) and len(value) == points
