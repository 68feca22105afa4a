"""Figures of a comparison: accuracy over labels, absolute and relative to random, and who wins over whom.

Figures 9 and 12 of TiDAL (ICCV 2023) are ``curves`` relative to random, 10 and 11 absolute, 13 the variants of TD only.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from tidal_core.experiments.statistics import Band, Wins, band, relative
from tidal_core.figures.palettes import PERCENT, WHOLE, Theme, base_figure, class_colour, faded, sequential, short
from tidal_core.records import Float64, Int64

BASELINE = "random"
MOST_COLOURS = 8  # of curves that can be told apart; with more arms some are drawn in colour, the others behind them


class Published(NamedTuple):
    """A curve as it was published: accuracy relative to random in percent."""

    labels: Int64
    mean: Float64
    half: Float64  # of the 95 % interval

    def until(self, labels: int) -> Published:
        """The part with at most so many labels."""
        here = self.labels <= labels
        return Published(self.labels[here], self.mean[here], self.half[here])


class CurvesInfo(NamedTuple):
    """Curves of A arms at P numbers of labels."""

    labels: Int64  # (P,)
    bands: dict[str, Band]  # by the arm's name
    titles: dict[str, str]
    is_relative: bool  # percent of random's accuracy, else accuracy
    published: dict[str, Published]
    measure: str = "Accuracy"  # or balanced, or of validation images
    behind: frozenset[str] = frozenset()  # arms drawn as thin grey lines, without interval

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per arm and number of labels."""
        unit = "relative to random in percent" if self.is_relative else self.measure.lower()
        arms = list(self.bands)
        return {
            "arm": [arm for arm in arms for _ in self.labels],
            "labels": [int(one) for _ in arms for one in self.labels],
            unit: [float(one) for arm in arms for one in self.bands[arm].mean],
            "lower end": [float(one) for arm in arms for one in self.bands[arm].low],
            "upper end": [float(one) for arm in arms for one in self.bands[arm].high],
            "runs": [int(one) for arm in arms for one in self.bands[arm].n],
        }


def curves_info(
    labels: Int64,
    values: Mapping[str, Float64],
    titles: Mapping[str, str],
    *,
    measure: str = "Accuracy",
    is_relative: bool = False,
    published: Mapping[str, Published] | None = None,
    behind: Collection[str] = (),
) -> CurvesInfo:
    """From the accuracies (R, P) of each arm. Relative curves need random among them, and leave it at 0."""
    found = dict(values)
    if is_relative:
        baseline = found.get(BASELINE)
        found = {arm: relative(one, baseline) for arm, one in found.items()} if baseline is not None else {}
    bands = {arm: band(one) for arm, one in found.items()}
    names = {arm: titles[arm] for arm in bands}
    return CurvesInfo(
        labels, bands, names, is_relative, dict(published or {}), measure, frozenset(bands).intersection(behind)
    )


def curves_figure(info: CurvesInfo, theme: Theme) -> go.Figure:
    """Mean and 95 % interval of each arm; published curves dotted behind, and arms that only give the scale in grey."""
    y = f"{info.measure} relative to random, %" if info.is_relative else info.measure
    figure = base_figure(theme, x="Labels", y=y, height=420)
    x = info.labels.astype(np.float32)
    value = "%{y:+.2f} %" if info.is_relative else "%{y:.1%}"
    hover = value + " with %{x:,d} labels, %{customdata:.0f} runs<extra>%{fullData.name}</extra>"
    for arm in (arm for arm in info.bands if arm in info.behind):
        figure.add_scatter(
            x=x,
            y=info.bands[arm].mean.astype(np.float32),
            name=info.titles[arm],
            legendgroup="behind",
            showlegend=False,
            customdata=info.bands[arm].n.astype(np.float32),
            mode="lines",
            line={"color": faded(theme.muted, 0.35), "width": 1},
            hovertemplate=hover,
        )
    for place, arm in enumerate(arm for arm in info.bands if arm not in info.behind):
        found, colour = info.bands[arm], class_colour(place)
        if arm in info.published:
            _published_curve(figure, info, arm, colour)
        here = ~np.isnan(found.low)
        if here.any():
            figure.add_scatter(
                x=np.concatenate([x[here], x[here][::-1]]),
                y=np.concatenate([found.high[here], found.low[here][::-1]]).astype(np.float32),
                mode="lines",
                fill="toself",
                fillcolor=faded(colour, 0.13),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
                legendgroup=arm,
            )
        figure.add_scatter(
            x=x,
            y=found.mean.astype(np.float32),
            name=info.titles[arm],
            legendgroup=arm,
            customdata=found.n.astype(np.float32),
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"size": 5},
            hovertemplate=hover,
        )
    figure.update_xaxes(**WHOLE)
    if info.is_relative:
        figure.add_hline(y=0, line={"color": theme.muted, "width": 1})
        figure.update_yaxes(range=_relative_range(info))
    else:
        figure.update_yaxes(minallowed=0, maxallowed=1, **PERCENT)
    return figure


def _published_curve(figure: go.Figure, info: CurvesInfo, arm: str, colour: str) -> None:
    behind = info.published[arm]
    figure.add_scatter(
        x=behind.labels.astype(np.float32),
        y=behind.mean.astype(np.float32),
        name=f"{info.titles[arm]}, published",
        customdata=behind.half.astype(np.float32),
        mode="lines",
        line={"color": faded(colour, 0.6), "dash": "dot", "width": 1.5},
        hovertemplate="%{y:+.2f} ± %{customdata:.2f} % with %{x:,d} labels<extra>%{fullData.name}</extra>",
    )


def _relative_range(info: CurvesInfo) -> tuple[float, float] | None:
    """Room for all curves, ours and published, and for intervals as far as they are no wider than three times that.

    The interval of two runs is thirteen standard errors each way: drawn whole it would make every curve a flat line.
    """
    means = [found.mean for found in info.bands.values()] + [one.mean for one in info.published.values()]
    curves = np.concatenate(means) if means else np.empty(0)
    curves = curves[~np.isnan(curves)]
    if not len(curves):
        return None
    room = 1 + float(np.ptp(curves))
    shown = [found for arm, found in info.bands.items() if arm not in info.behind]
    ends = np.concatenate([curves, *(part for found in shown for part in (found.low, found.high))])
    ends = ends[~np.isnan(ends)].clip(curves.min() - room, curves.max() + room)
    every = np.concatenate([curves, ends])
    margin = 0.05 * float(np.ptp(every)) + 0.1
    return float(every.min()) - margin, float(every.max()) + margin


class WinsInfo(NamedTuple):
    """Row against column."""

    wins: Wins
    titles: dict[str, str]

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per arm; the columns are its opponents."""
        columns = {f"beats {self.titles[arm]}": self.wins.matrix[:, j].tolist() for j, arm in enumerate(self.wins.arms)}
        return {"arm": [self.titles[arm] for arm in self.wins.arms], **columns}


def wins_figure(info: WinsInfo, theme: Theme) -> go.Figure:
    """The win matrix as shades; the row's arm is the one that wins."""
    figure = base_figure(theme, x="Beaten", y="Better", height=110 + 34 * len(info.wins.arms), legend=False)
    names = [short(info.titles[arm]) for arm in info.wins.arms]
    matrix = info.wins.matrix.astype(np.float32)
    np.fill_diagonal(matrix, np.nan)
    figure.add_heatmap(
        z=matrix,
        x=names,
        y=names,
        zmin=0,
        zmax=1,
        colorscale=sequential(theme),
        showscale=False,
        texttemplate="%{z:.0%}",
        hovertemplate="%{y} is better than %{x} at %{z:.0%} of the points<extra></extra>",
    )
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def read_published(file: Path, dataset: str, imbalance: float) -> dict[str, Published]:
    """Published curves of a data set, by strategy; empty where the file has none.

    Columns: dataset, imbalance_ratio, strategy, n_labeled, relative_improvement_pct, ci95.
    """
    wanted = dataset.replace("-", "").lower()
    found: dict[str, list[tuple[int, float, float]]] = {}
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["dataset"].lower() == wanted and float(row["imbalance_ratio"]) == imbalance:
                point = int(row["n_labeled"]), float(row["relative_improvement_pct"]), float(row["ci95"] or "nan")
                found.setdefault(row["strategy"], []).append(point)
    curves = {}
    for strategy, points in found.items():
        labels, mean, half = zip(*sorted(points), strict=True)
        curves[strategy] = Published(np.array(labels, np.int64), np.array(mean), np.array(half))
    return curves
