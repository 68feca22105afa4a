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

from tidal_core.errors import InputError, reason_of
from tidal_core.experiments.statistics import Band, Wins, band, relative
from tidal_core.figures.look import PERCENT, WHOLE, base_figure, heat_numbers
from tidal_core.figures.palettes import Theme, class_colour, faded, plain, sequential, short
from tidal_core.records import Float64, Int64

BASELINE = "random"
MOST_COLOURS = 8  # of curves that can be told apart; of more configurations some are in colour, the others behind them


class Published(NamedTuple):
    """A curve as it was published: accuracy relative to random in percent."""

    labels: Int64
    mean: Float64
    half: Float64  # of the 95 % interval

    def until(self, labels: int) -> Published:
        """The part with at most so many labels."""
        within = self.labels <= labels
        return Published(self.labels[within], self.mean[within], self.half[within])


class CurvesInfo(NamedTuple):
    """Curves of A configurations at P numbers of labels."""

    labels: Int64  # (P,)
    bands: dict[str, Band]  # by the configuration's name
    titles: dict[str, str]
    is_relative: bool  # percent of random's accuracy, else accuracy
    published: dict[str, Published]
    measure: str = "Accuracy"  # or balanced, or of validation images
    behind: frozenset[str] = frozenset()  # configurations drawn as thin grey lines, without interval

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per configuration and number of labels."""
        unit = "relative to random in percent" if self.is_relative else self.measure.lower()
        configurations = list(self.bands)
        return {
            "configuration": [configuration for configuration in configurations for _ in self.labels],
            "labels": [int(count) for _ in configurations for count in self.labels],
            unit: [float(value) for configuration in configurations for value in self.bands[configuration].mean],
            "lower end": [float(value) for configuration in configurations for value in self.bands[configuration].low],
            "upper end": [float(value) for configuration in configurations for value in self.bands[configuration].high],
            "runs": [int(count) for configuration in configurations for count in self.bands[configuration].n],
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
    """From the accuracies (R, P) of each configuration. Relative curves need random among them, and leave it at 0."""
    curves = dict(values)
    if is_relative:
        baseline = curves.get(BASELINE)
        curves = (
            {configuration: relative(accuracies, baseline) for configuration, accuracies in curves.items()}
            if baseline is not None
            else {}
        )
    bands = {configuration: band(accuracies) for configuration, accuracies in curves.items()}
    names = {configuration: titles[configuration] for configuration in [*bands, *(published or {})]}
    return CurvesInfo(
        labels, bands, names, is_relative, dict(published or {}), measure, frozenset(bands).intersection(behind)
    )


def curves_figure(info: CurvesInfo, theme: Theme) -> go.Figure:
    """Mean and 95 % interval of each configuration.

    Published curves are dotted, and configurations that only give the scale are grey, both behind the others.
    """
    y = f"{info.measure} relative to random, %" if info.is_relative else info.measure
    figure = base_figure(theme, x="Labels", y=y, height=420)
    x = info.labels.astype(np.float32)
    value = "%{y:+.2f} %" if info.is_relative else "%{y:.1%}"
    hover = value + " with %{x:,d} labels, %{customdata:.0f} runs<extra>%{fullData.name}</extra>"
    for configuration in (configuration for configuration in info.bands if configuration in info.behind):
        figure.add_scatter(
            x=x,
            y=info.bands[configuration].mean.astype(np.float32),
            name=plain(info.titles[configuration]),
            legendgroup="behind",
            showlegend=False,
            customdata=info.bands[configuration].n.astype(np.float32),
            mode="lines",
            line={"color": faded(theme.muted, 0.35), "width": 1},
            hovertemplate=hover,
        )
    for position, configuration in enumerate(
        configuration for configuration in info.bands if configuration not in info.behind
    ):
        curve, colour = info.bands[configuration], class_colour(position)
        if configuration in info.published:
            _published_curve(figure, info, configuration, colour)
        has_interval = ~np.isnan(curve.low)
        if has_interval.any():
            figure.add_scatter(
                x=np.concatenate([x[has_interval], x[has_interval][::-1]]),
                y=np.concatenate([curve.high[has_interval], curve.low[has_interval][::-1]]).astype(np.float32),
                mode="lines",
                fill="toself",
                fillcolor=faded(colour, 0.13),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
                legendgroup=configuration,
            )
        figure.add_scatter(
            x=x,
            y=curve.mean.astype(np.float32),
            name=plain(info.titles[configuration]),
            legendgroup=configuration,
            customdata=curve.n.astype(np.float32),
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"size": 5},
            hovertemplate=hover,
        )
    # What was published and not measured here.
    for position, configuration in enumerate(name for name in info.published if name not in info.bands):
        _published_curve(figure, info, configuration, class_colour(len(info.bands) + position))
    figure.update_xaxes(**WHOLE)
    if info.is_relative:
        figure.add_hline(y=0, line={"color": theme.muted, "width": 1})
        figure.update_yaxes(range=_relative_range(info))
    else:
        figure.update_yaxes(minallowed=0, maxallowed=1, **PERCENT)
    return figure


def _published_curve(figure: go.Figure, info: CurvesInfo, configuration: str, colour: str) -> None:
    behind = info.published[configuration]
    figure.add_scatter(
        x=behind.labels.astype(np.float32),
        y=behind.mean.astype(np.float32),
        name=f"{plain(info.titles[configuration])}, published",
        customdata=behind.half.astype(np.float32),
        mode="lines",
        line={"color": faded(colour, 0.6), "dash": "dot", "width": 1.5},
        hovertemplate="%{y:+.2f} ± %{customdata:.2f} % with %{x:,d} labels<extra>%{fullData.name}</extra>",
    )


def _relative_range(info: CurvesInfo) -> tuple[float, float] | None:
    """Room for all curves, ours and published, and for intervals as far as they are no wider than three times that.

    The interval of two runs is thirteen standard errors each way: drawn whole it would make every curve a flat line.
    """
    means = [curve.mean for curve in info.bands.values()] + [curve.mean for curve in info.published.values()]
    curves = np.concatenate(means) if means else np.empty(0)
    curves = curves[~np.isnan(curves)]
    if not len(curves):
        return None
    room = 1 + float(np.ptp(curves))
    in_colour = [curve for configuration, curve in info.bands.items() if configuration not in info.behind]
    ends = np.concatenate([curves, *(end for curve in in_colour for end in (curve.low, curve.high))])
    ends = ends[~np.isnan(ends)].clip(curves.min() - room, curves.max() + room)
    drawn = np.concatenate([curves, ends])
    margin = 0.05 * float(np.ptp(drawn)) + 0.1
    return float(drawn.min()) - margin, float(drawn.max()) + margin


class WinsInfo(NamedTuple):
    """Row against column."""

    wins: Wins
    titles: dict[str, str]

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per configuration; a column for each of its opponents."""
        columns = {
            f"beats {self.titles[configuration]}": self.wins.matrix[:, j].tolist()
            for j, configuration in enumerate(self.wins.configurations)
        }
        return {"configuration": [self.titles[configuration] for configuration in self.wins.configurations], **columns}


def wins_figure(info: WinsInfo, theme: Theme) -> go.Figure:
    """The win matrix as shades; the row's configuration is the one that wins."""
    figure = base_figure(
        theme,
        x="Compared with",
        y="Better configuration",
        height=110 + 34 * len(info.wins.configurations),
        legend=False,
    )
    names = [short(info.titles[configuration]) for configuration in info.wins.configurations]
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
        hovertemplate="%{y} is better than %{x} at %{z:.0%} of the points<extra></extra>",
    )
    shares = [["" if np.isnan(share) else f"{share:.0%}" for share in row] for row in matrix]
    figure.add_trace(heat_numbers(theme, names, names, matrix, shares))
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def read_published(file: Path, dataset: str, imbalance: float) -> dict[str, Published]:
    """Published curves of a data set, by strategy; empty where the file has none.

    Columns: dataset, imbalance_ratio, strategy, n_labeled, relative_improvement_pct, ci95. Raises InputError for a file
    that lacks one of them, or has no number in it where one belongs.
    """
    dataset_key = dataset.replace("-", "").lower()
    points_of: dict[str, list[tuple[int, float, float]]] = {}
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                if row["dataset"].lower() == dataset_key and float(row["imbalance_ratio"]) == imbalance:
                    point = int(row["n_labeled"]), float(row["relative_improvement_pct"]), float(row["ci95"] or "nan")
                    points_of.setdefault(row["strategy"], []).append(point)
    except (KeyError, ValueError, AttributeError, csv.Error) as error:
        raise InputError(
            f"{file} is not a table of published values ({reason_of(error)}); its columns are to be dataset, "
            "imbalance_ratio, strategy, n_labeled, relative_improvement_pct and ci95."
        ) from error
    curves = {}
    for strategy, points in points_of.items():
        labels, mean, half = zip(*sorted(points), strict=True)
        curves[strategy] = Published(np.array(labels, np.int64), np.array(mean), np.array(half))
    return curves
