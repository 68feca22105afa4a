"""Many labelled images at once: the data map, and curves of groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from tidal_core.figures import cloud, look, palettes
from tidal_core.figures.palettes import ClassStyle, Theme
from tidal_core.records import Bools, Float64, Int64


class MapInfo(NamedTuple):
    """The data map: one point per labelled image (N,)."""

    image: Int64
    name: tuple[str, ...]
    confidence: Float64
    variability: Float64
    correctness: Float64
    group: Int64  # (N,), a position in ``groups``
    groups: tuple[ClassStyle, ...]  # classes or annotators
    forgetting: Int64 | None = None  # (N,), how often the label was learnt and lost again; None where that is not kept

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per image."""
        return {
            "image": self.image.tolist(),
            "file": self.name,
            "group": [self.groups[position].name for position in self.group],
            "confidence": self.confidence.tolist(),
            "variability": self.variability.tolist(),
            "correctness": self.correctness.tolist(),
        }


def map_info(
    image: ArrayLike,
    name: Sequence[str],
    confidence: ArrayLike,
    variability: ArrayLike,
    correctness: ArrayLike,
    group: ArrayLike,
    groups: Sequence[ClassStyle],
    forgetting: ArrayLike | None = None,
) -> MapInfo:
    """The numbers of the data map, each (N,)."""
    return MapInfo(
        np.asarray(image, dtype=np.int64),
        tuple(name),
        np.asarray(confidence, dtype=np.float64),
        np.asarray(variability, dtype=np.float64),
        np.asarray(correctness, dtype=np.float64),
        np.asarray(group, dtype=np.int64),
        tuple(groups),
        None if forgetting is None else np.nan_to_num(np.asarray(forgetting, dtype=np.float64)).astype(np.int64),
    )


MAP_SHOWN = 12  # groups with a legend entry of their own


def map_figure(info: MapInfo, theme: Theme, *, by: str = "correctness") -> go.Figure:
    """Mean against deviation of p(label): easy images top left, ambiguous right, hard or mislabelled bottom left.

    ``by`` is "correctness" or "group". A point's custom data is the image's id, for selections.
    """
    figure = look.base_figure(
        theme, x="Variability", y="Confidence", height=480, legend=by == "group" and len(info.groups) <= MAP_SHOWN
    )
    names_fit = len(info.image) < cloud.PLAIN
    hover = ("%{text}<br>" if names_fit else "image %{customdata}<br>") + "confidence %{y:.2f}, variability %{x:.2f}"
    # The names of 20,000 files are most of what the page would send, to show one of them.
    names = np.array([palettes.short(file_name, 40) for file_name in info.name], dtype=object) if names_fit else None

    def points(rows: Bools, name: str, marker: dict[str, Any]) -> None:
        kind = cloud.trace_of(len(info.image))
        figure.add_trace(
            kind(
                x=info.variability[rows].astype(np.float32),
                y=info.confidence[rows].astype(np.float32),
                text=None if names is None else names[rows],
                customdata=info.image[rows].astype(np.int32),
                name=name,
                mode="markers",
                marker={"size": 7 if names_fit else 4, "opacity": 0.8, **marker},
                hovertemplate=f"{hover}<extra></extra>",
            )
        )

    if by == "group":
        for position, group in enumerate(info.groups):
            rows = info.group == position
            if rows.any():
                points(rows, palettes.short(group.name), {"color": group.colour})
    else:
        bar = {
            "title": {"text": "Correctness", "font": {"size": 12, "color": theme.muted}},
            "tickformat": ".0%",
            "tickfont": {"color": theme.muted},
            "thickness": 12,
            "outlinewidth": 0,
            "len": 0.7,
        }
        scale = [[0.0, "#b56900"], [0.5, "#b9b6a2" if theme.name == "light" else "#7d8a92"], [1.0, "#105bc3"]]
        colour = info.correctness.astype(np.float32)
        marker = {"color": colour, "colorscale": scale, "cmin": 0, "cmax": 1, "colorbar": bar}
        points(np.ones(len(info.image), dtype=bool), "", marker)
    figure.update_layout(dragmode="pan")
    figure.update_xaxes(range=_reach(info.variability, 0.0, 0.5, least=0.1), nticks=6)
    figure.update_yaxes(range=_reach(info.confidence, 0.0, 1.0, least=0.2), nticks=6)
    return figure


def _reach(values: Float64, low: float, high: float, *, least: float) -> list[float]:
    """The part of an axis from ``low`` to ``high`` that holds all values, with a margin; not shorter than ``least``.

    After a round that started from the last one's weights, all points lie in a corner of the whole map.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return [low, high]
    first, last = float(known.min()), float(known.max())
    if last - first < least:
        middle = min(max((first + last) / 2, low + least / 2), high - least / 2)
        first, last = min(first, middle - least / 2), max(last, middle + least / 2)
    margin = 0.05 * (last - first)
    return [max(first - margin, low - margin), min(last + margin, high + margin)]


class BandsInfo(NamedTuple):
    """Curves of groups: G groups, T epochs, the three quantiles low, median, high."""

    epoch: Int64  # (T,)
    groups: tuple[ClassStyle, ...]  # (G,)
    images: Int64  # (G,), how many each group has
    quantiles: Float64  # (G, T, 3)

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per group and epoch."""
        return {
            "group": [group.name for group in self.groups for _ in self.epoch],
            "images": [int(n) for n in self.images for _ in self.epoch],
            "epoch": self.epoch.tolist() * len(self.groups),
            "lower quarter": self.quantiles[:, :, 0].ravel().tolist(),
            "median": self.quantiles[:, :, 1].ravel().tolist(),
            "upper quarter": self.quantiles[:, :, 2].ravel().tolist(),
        }


def bands_info(epoch: ArrayLike, groups: Sequence[ClassStyle], images: ArrayLike, quantiles: ArrayLike) -> BandsInfo:
    """Quartiles of p(label) per group and epoch: ``quantiles`` is (G, T, 3)."""
    return BandsInfo(
        np.asarray(epoch, dtype=np.int64),
        tuple(groups),
        np.asarray(images, dtype=np.int64),
        np.asarray(quantiles, dtype=np.float64),
    )


def quartiles(counts: ArrayLike) -> Float64:
    """Quartiles (G, T, 3) of values between 0 and 1 from their histograms (G, T, B), interpolated within a bin."""
    images = np.asarray(counts, dtype=np.float64)
    bins = images.shape[-1]
    below = np.cumsum(images, axis=-1)  # (G, T, B)
    total = below[..., -1:]
    values = np.full((*images.shape[:-1], 3), np.nan)
    for quartile, share in enumerate((0.25, 0.5, 0.75)):
        rank = share * total  # (G, T, 1)
        bin_of = (below < rank).sum(axis=-1, keepdims=True).clip(max=bins - 1)
        in_bin = np.take_along_axis(images, bin_of, axis=-1)
        before = np.take_along_axis(below, bin_of, axis=-1) - in_bin
        inside = np.divide(rank - before, in_bin, out=np.full_like(in_bin, 0.5), where=in_bin > 0)
        values[..., quartile] = ((bin_of + inside) / bins)[..., 0]
    return np.where(total > 0, values, np.nan)


def bands_figure(info: BandsInfo, theme: Theme) -> go.Figure:
    """The median of each group with the band between its quarters."""
    figure = look.base_figure(theme, x="Epoch", y="Probability of the label", height=400)
    x = info.epoch.astype(np.int32)
    opacity = 0.18 if len(info.groups) <= 4 else 0.07
    for position, group in enumerate(info.groups):
        low, middle, high = info.quantiles[position].T.astype(np.float32)  # (T,) each
        figure.add_scatter(
            x=np.concatenate([x, x[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            fill="toself",
            fillcolor=palettes.faded(group.colour, opacity),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            legendgroup=str(position),
        )
        figure.add_scatter(
            x=x,
            y=middle,
            name=f"{palettes.short(group.name, 20)} ({info.images[position]:,})",
            mode="lines+markers" if len(x) < 4 else "lines",
            line={"color": group.colour, "width": 2.4},
            legendgroup=str(position),
            hovertemplate=f"{palettes.short(group.name)} %{{y:.1%}}<extra></extra>",
        )
    figure.update_layout(hovermode="x unified")
    figure.update_yaxes(range=_reach(info.quantiles.ravel(), 0.0, 1.0, least=0.1), **look.PERCENT)
    figure.update_xaxes(**look.WHOLE)
    return figure
