"""Figures of the progress: accuracy, classes, confusions, how well the TD module predicts, a forecast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from tidal_core.figures import look, palettes
from tidal_core.figures.palettes import DYNAMICS, FINAL, ClassStyle, Theme
from tidal_core.method.dynamics import Interval, recalls
from tidal_core.method.stopping import Forecast, Quality
from tidal_core.records import Float64, Int64


class AccuracyInfo(NamedTuple):
    """Accuracy over the rounds; arrays are (R,), NaN where a round was not tested."""

    round: Int64
    labels: Int64
    tested: Int64  # images that the accuracy rests on
    accuracy: Float64
    low: Float64
    high: Float64
    balanced: Float64
    balanced_low: Float64
    balanced_high: Float64

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per round."""
        return {
            "round": self.round.tolist(),
            "labels": self.labels.tolist(),
            "images tested": self.tested.tolist(),
            "accuracy": self.accuracy.tolist(),
            "accuracy, lower end": self.low.tolist(),
            "accuracy, upper end": self.high.tolist(),
            "balanced accuracy": self.balanced.tolist(),
            "balanced accuracy, lower end": self.balanced_low.tolist(),
            "balanced accuracy, upper end": self.balanced_high.tolist(),
        }


_NOTHING = Interval(math.nan, math.nan, math.nan)


def accuracy_info(
    rounds: ArrayLike,
    labels: ArrayLike,
    tested: ArrayLike,
    accuracy: Sequence[Interval | None],
    balanced: Sequence[Interval | None],
) -> AccuracyInfo:
    """One entry per finished round; None where there was nothing to test on."""
    plain = np.array([interval or _NOTHING for interval in accuracy], dtype=np.float64).reshape(-1, 3)
    even = np.array([interval or _NOTHING for interval in balanced], dtype=np.float64).reshape(-1, 3)
    return AccuracyInfo(
        np.asarray(rounds, dtype=np.int64),
        np.asarray(labels, dtype=np.int64),
        np.asarray(tested, dtype=np.int64),
        *plain.T,
        *even.T,
    )


def accuracy_figure(info: AccuracyInfo, theme: Theme, forecast: Forecast | None = None) -> go.Figure:
    """Accuracy over labels with its 95 % interval; balanced accuracy dotted; the forecast dashed with its 80 % band."""
    figure = look.base_figure(theme, x="Labels", y="Accuracy", height=380)
    if forecast is not None and forecast.more_labels is not None:
        _band(figure, forecast.labels, forecast.low, forecast.high, theme.muted, 0.12)
        figure.add_scatter(
            x=forecast.labels.astype(np.float32),
            y=forecast.middle.astype(np.float32),
            name="Forecast",
            mode="lines",
            line={"color": theme.muted, "width": 1.6, "dash": "dash"},
            hovertemplate="forecast at %{x:,.0f} labels: %{y:.1%}<extra></extra>",
        )
        figure.add_hline(y=forecast.target, line={"color": theme.muted, "width": 1, "dash": "dot"})
    measured = ~np.isnan(info.accuracy)
    _band(figure, info.labels[measured], info.low[measured], info.high[measured], theme.primary, 0.16)
    details = np.stack([info.round, info.low, info.high, info.tested], axis=1)
    figure.add_scatter(
        x=info.labels[measured],
        y=info.accuracy[measured],
        customdata=details[measured],
        name="Accuracy",
        mode="lines+markers",
        cliponaxis=False,
        line={"color": theme.primary, "width": 2.6},
        marker={"size": 7},
        hovertemplate="round %{customdata[0]:.0f}, %{x:,} labels<br>accuracy %{y:.1%} ("
        + ("%{customdata[1]:.1%} to %{customdata[2]:.1%}, " if (info.high > info.low).any() else "")
        + "on %{customdata[3]:,.0f} images)<extra></extra>",
    )
    even = ~np.isnan(info.balanced)
    if even.any():
        spread = np.stack([info.balanced_low, info.balanced_high], axis=1)
        figure.add_scatter(
            x=info.labels[even],
            y=info.balanced[even],
            customdata=spread[even],
            name="Balanced accuracy",
            mode="lines",
            line={"color": "#b474be", "width": 2, "dash": "dot"},
            hovertemplate="balanced %{y:.1%} (%{customdata[0]:.1%} to %{customdata[1]:.1%})<extra></extra>",
        )
    lowest = np.nanmin(info.low) if measured.any() else 0.0
    figure.update_yaxes(range=[max(0.0, math.floor(10 * lowest - 0.5) / 10), 1.0], **look.PERCENT)
    figure.update_xaxes(rangemode="tozero", tickformat=",d", nticks=8)
    return figure


def _band(figure: go.Figure, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str, opacity: float) -> None:
    across = np.asarray(x, dtype=np.float32)
    edge = np.concatenate([np.asarray(high, dtype=np.float32), np.asarray(low, dtype=np.float32)[::-1]])
    figure.add_scatter(
        x=np.concatenate([across, across[::-1]]),
        y=edge,
        fill="toself",
        fillcolor=palettes.faded(colour, opacity),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )


class PerClassInfo(NamedTuple):
    """How many images of each class are predicted correctly; C classes, hardest first."""

    classes: tuple[ClassStyle, ...]
    images: Int64  # (C,)
    recall: Float64  # (C,), NaN for a class without images
    low: Float64
    high: Float64

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per class."""
        return {
            "class": [style.name for style in self.classes],
            "images tested": self.images.tolist(),
            "share predicted correctly": self.recall.tolist(),
            "lower end": self.low.tolist(),
            "upper end": self.high.tolist(),
        }


def per_class_info(classes: Sequence[ClassStyle], counts: ArrayLike, *, most: int = 30) -> PerClassInfo:
    """From a confusion matrix (C, C): the ``most`` hardest classes that have images, hardest first."""
    matrix = np.asarray(counts, dtype=np.int64)
    recall = np.array(recalls(matrix), dtype=np.float64).reshape(-1, 3)
    images = matrix.sum(axis=1)
    order = [position for position in np.argsort(recall[:, 0], kind="stable") if images[position]][:most]
    return PerClassInfo(tuple(classes[position] for position in order), images[order], *recall[order].T)


def per_class_figure(info: PerClassInfo, theme: Theme) -> go.Figure:
    """A dot with its 95 % interval per class, the hardest at the top."""
    figure = look.base_figure(theme, x="Share predicted correctly", height=90 + 28 * len(info.classes), legend=False)
    figure.add_scatter(
        x=info.recall,
        y=[palettes.short(style.name, 18) for style in info.classes],
        customdata=np.stack([info.low, info.high, info.images], axis=1),
        mode="markers",
        marker={"size": 10, "color": [style.colour for style in info.classes]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": info.high - info.recall,
            "arrayminus": info.recall - info.low,
            "color": theme.muted,
            "thickness": 1.6,
            "width": 4,
        },
        hovertemplate="%{y}: %{x:.1%} correct<br>(%{customdata[0]:.1%} to %{customdata[1]:.1%}, on %{customdata[2]:,} "
        "images)<extra></extra>",
    )
    figure.update_xaxes(range=[-0.02, 1.03], nticks=6, **look.PERCENT)
    figure.update_yaxes(autorange="reversed", type="category", tickfont={"color": theme.text})
    return figure


class ConfusionInfo(NamedTuple):
    """Labels against predicted classes, for the K classes shown."""

    classes: tuple[ClassStyle, ...]  # (K,)
    counts: Int64  # (K, K), rows are people's labels
    left_out: int  # classes not shown

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per pair of classes."""
        names = [style.name for style in self.classes]
        return {
            "label": [name for name in names for _ in names],
            "predicted class": names * len(names),
            "images": self.counts.ravel().tolist(),
        }


def confusion_info(classes: Sequence[ClassStyle], counts: ArrayLike, *, most: int = 25) -> ConfusionInfo:
    """A confusion matrix (C, C); of more than ``most`` classes those that are confused most."""
    matrix = np.asarray(counts, dtype=np.int64)
    keep = np.arange(len(matrix))
    if len(matrix) > most:
        errors = matrix - np.diag(np.diag(matrix))
        keep = np.sort(np.argsort(-(errors.sum(axis=0) + errors.sum(axis=1)), kind="stable")[:most])
    return ConfusionInfo(
        tuple(classes[int(position)] for position in keep), matrix[np.ix_(keep, keep)], len(matrix) - len(keep)
    )


def confusion_figure(info: ConfusionInfo, theme: Theme) -> go.Figure:
    """Rows are labels, columns predicted classes; colour is the share of the row, text the count.

    Points carry (label, predicted class) as custom data, for clicks: a heat map has no selection events, so each cell
    has a transparent marker.
    """
    size = len(info.classes)
    figure = look.base_figure(
        theme, x="Predicted class", y="Label", height=max(320, min(820, 130 + 34 * size)), legend=False
    )
    names = [palettes.short(style.name, 14) for style in info.classes]
    share = info.counts / np.maximum(info.counts.sum(axis=1, keepdims=True), 1)
    places = np.arange(size)
    figure.add_heatmap(
        x=places,
        y=places,
        z=share.astype(np.float32),
        zmin=0,
        zmax=1,
        colorscale=palettes.sequential(theme),
        showscale=False,
        xgap=1,
        ygap=1,
        hoverinfo="skip",
    )
    rows, columns = np.divmod(np.arange(size * size), size) if size else (places, places)
    figure.add_scatter(
        x=columns,
        y=rows,
        customdata=[[info.classes[r].id, info.classes[c].id] for r, c in zip(rows, columns, strict=True)],
        mode="markers",
        marker={"symbol": "square", "size": max(8, min(30, 420 // max(size, 1))), "opacity": 0},
        text=[
            f"{names[r]} predicted as {names[c]}: {info.counts[r, c]:,} images ({share[r, c]:.1%})"
            for r, c in zip(rows, columns, strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
    )
    if size <= 16:
        numbers = np.where(info.counts > 0, info.counts.astype(str), "").tolist()
        figure.add_trace(look.heat_numbers(theme, places.tolist(), places.tolist(), share, numbers))
    ticks = {"tickvals": places, "ticktext": names, "showgrid": False, "tickfont": {"size": 12, "color": theme.text}}
    long = max((len(name) for name in names), default=0) > 2
    figure.update_xaxes(range=[-0.5, size - 0.5], fixedrange=True, tickangle=-45 if long else 0, **ticks)
    figure.update_yaxes(range=[size - 0.5, -0.5], fixedrange=True, **ticks)
    return figure


class QualityInfo(NamedTuple):
    """How well each round predicted the dynamics of the images it queried; arrays are (R,)."""

    round: Int64
    images: Int64
    module: Float64  # (R, 3): mean KL, lower, upper end
    final: Float64  # (R, 3), the same of the final prediction
    module_rank: Float64
    final_rank: Float64

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per round."""
        return {
            "round that chose the images": self.round.tolist(),
            "images": self.images.tolist(),
            "divergence of the TD module": self.module[:, 0].tolist(),
            "divergence of the final prediction": self.final[:, 0].tolist(),
            "rank correlation of the TD module": self.module_rank.tolist(),
            "rank correlation of the final prediction": self.final_rank.tolist(),
        }


def quality_info(rounds: Sequence[int], qualities: Sequence[Quality]) -> QualityInfo:
    """The TD module's quality, one entry per round that queried images."""
    return QualityInfo(
        np.asarray(rounds, dtype=np.int64),
        np.array([quality.images for quality in qualities], dtype=np.int64),
        np.array([quality.module_kl for quality in qualities], dtype=np.float64).reshape(-1, 3),
        np.array([quality.final_kl for quality in qualities], dtype=np.float64).reshape(-1, 3),
        np.array([quality.module_rank for quality in qualities], dtype=np.float64),
        np.array([quality.final_rank for quality in qualities], dtype=np.float64),
    )


def quality_figure(info: QualityInfo, theme: Theme) -> go.Figure:
    """Divergence from the observed dynamics, of the TD module and of the final prediction: lower is better."""
    figure = look.base_figure(theme, x="Round that chose the images", y="Divergence (0 is perfect)", height=320)
    for name, values, rank, colour, symbol, shift in (
        ("TD module", info.module, info.module_rank, DYNAMICS, "circle", -0.06),
        ("Final prediction", info.final, info.final_rank, FINAL, "diamond", 0.06),
    ):
        middle, low, high = values.T
        figure.add_scatter(
            x=info.round + shift,
            y=middle,
            customdata=np.stack([info.images, rank, info.round], axis=1),
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"color": colour, "size": 9, "symbol": symbol},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": np.nan_to_num(high - middle),
                "arrayminus": np.nan_to_num(middle - low),
                "thickness": 1.4,
                "width": 4,
            },
            hovertemplate=f"{name}, round %{{customdata[2]:.0f}}<br>divergence %{{y:.2f}} on "
            "%{customdata[0]:.0f} images<br>rank correlation %{customdata[1]:.2f}<extra></extra>",
        )
    figure.update_yaxes(rangemode="tozero", nticks=6)
    figure.update_xaxes(tickformat=",d", dtick=1 if len(info.round) <= 12 else None)
    return figure


class PoolQualityInfo(NamedTuple):
    """How well each round predicts the exact dynamics of its whole pool; arrays are (R,)."""

    round: Int64
    images: Int64
    module: Float64  # mean KL(exact || predicted by the TD module), nats
    final: Float64  # mean KL(exact || final prediction), nats
    correlation: Float64  # Spearman's of the margins, predicted by the module and exact; NaN where there is none

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per round."""
        return {
            "round": self.round.tolist(),
            "images": self.images.tolist(),
            "divergence of the TD module": self.module.tolist(),
            "divergence of the final prediction": self.final.tolist(),
            "rank correlation of the margins": self.correlation.tolist(),
        }


def pool_quality_info(
    rounds: ArrayLike, images: ArrayLike, module: ArrayLike, final: ArrayLike, correlation: ArrayLike
) -> PoolQualityInfo:
    """Each (R,), oldest round first."""
    return PoolQualityInfo(
        np.asarray(rounds, dtype=np.int64),
        np.asarray(images, dtype=np.int64),
        np.asarray(module, dtype=np.float64),
        np.asarray(final, dtype=np.float64),
        np.asarray(correlation, dtype=np.float64),
    )


def pool_quality_figure(info: PoolQualityInfo, theme: Theme) -> go.Figure:
    """Divergence from the exact dynamics over the rounds, of the TD module and of the final prediction."""
    figure = look.base_figure(theme, x="Round", y="Divergence (0 is perfect)", height=320)
    for name, values, colour, symbol in (
        ("TD module", info.module, DYNAMICS, "circle"),
        ("Final prediction", info.final, FINAL, "diamond"),
    ):
        figure.add_scatter(
            x=info.round,
            y=values,
            customdata=np.stack([info.images, info.correlation], axis=1),
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"color": colour, "size": 9, "symbol": symbol},
            hovertemplate=f"{name}, round %{{x}}<br>divergence %{{y:.2f}} on %{{customdata[0]:,.0f}} images"
            + ("<br>rank correlation %{customdata[1]:.2f}" if name == "TD module" else "")
            + "<extra></extra>",
        )
    figure.update_yaxes(rangemode="tozero", nticks=6)
    figure.update_xaxes(tickformat=",d", dtick=1 if len(info.round) <= 12 else None)
    return figure
