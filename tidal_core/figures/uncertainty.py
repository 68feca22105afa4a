"""Figures of what the model is unsure of: distributions over the pool by round, final prediction against dynamics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.figures import look, palettes
from tidal_core.figures.cloud import trace_of
from tidal_core.figures.palettes import GROUP_COLOURS, ClassStyle, Theme
from tidal_core.method.dynamics import rank_correlation, rank_correlations
from tidal_core.records import Bools, Float64, Int64

BINS = 60
GROUP_NAMES = tuple(GROUP_COLOURS)


class RidgeInfo(NamedTuple):
    """Histograms of one estimator: R rounds, G groups ("labelled", "asked", "remaining"), B bins."""

    estimator: str
    rounds: Int64  # (R,)
    groups: tuple[str, ...]  # (G,)
    centres: Float64  # (B,)
    counts: Int64  # (R, G, B)

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per round, group and bin."""
        rounds, groups, bins = self.counts.shape
        return {
            "round": np.repeat(self.rounds, groups * bins).tolist(),
            "group": [group for _ in range(rounds) for group in self.groups for _ in range(bins)],
            ESTIMATORS[self.estimator].title: np.tile(self.centres, rounds * groups).tolist(),
            "images": self.counts.ravel().tolist(),
        }


def ridge_info(
    estimator: str, rounds: ArrayLike, groups: Sequence[str], counts: ArrayLike, low: float, high: float
) -> RidgeInfo:
    """Histograms (R, G, B) of an estimator between ``low`` and ``high``."""
    images = np.asarray(counts, dtype=np.int64)
    step = (high - low) / images.shape[2]
    centres = low + step * (np.arange(images.shape[2]) + 0.5)
    return RidgeInfo(estimator, np.asarray(rounds, dtype=np.int64), tuple(groups), centres, images)


def ridge_figure(info: RidgeInfo, theme: Theme) -> go.Figure:
    """A ridge per round, newest at the top; in each the groups one over the other, each scaled to its own share.

    The height of a group is its density: a small group is as visible as a large one. Hover tells the counts.
    """
    rounds = len(info.rounds)
    figure = look.base_figure(theme, x=ESTIMATORS[info.estimator].title, height=max(260, min(760, 150 + 56 * rounds)))
    shares = info.counts / np.maximum(info.counts.sum(axis=2, keepdims=True), 1)  # (R, G, B)
    smooth = np.apply_along_axis(lambda histogram: np.convolve(histogram, [0.25, 0.5, 0.25], mode="same"), 2, shares)
    peak = smooth.max(axis=(1, 2), initial=1e-12)  # per round, so that a sharp one does not flatten the others
    # All ridges of a group are one line and one area, with gaps: what a browser needs for a trace, it needs for each.
    gap, x = np.full(1, np.nan, np.float32), info.centres.astype(np.float32)
    for group, name in enumerate(info.groups):
        levels = [level for level in range(rounds) if info.counts[level, group].any()]
        if not levels:
            continue
        ridges = [(level + 0.86 * smooth[level, group] / peak[level]).astype(np.float32) for level in levels]
        bases = [np.full(len(x), level, np.float32) for level in levels]
        figure.add_scatter(
            x=np.concatenate([part for _ in levels for part in (x, x[::-1], gap)]),
            y=np.concatenate([part for ridge, base in zip(ridges, bases, strict=True) for part in (ridge, base, gap)]),
            fill="toself",
            fillcolor=palettes.faded(GROUP_COLOURS[name], 0.22),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            legendgroup=name,
        )
        told = [
            np.column_stack([info.counts[level, group], shares[level, group], np.full(len(x), info.rounds[level])])
            for level in levels
        ]
        figure.add_scatter(
            x=np.concatenate([part for _ in levels for part in (x, gap)]),
            y=np.concatenate([part for ridge in ridges for part in (ridge, gap)]),
            customdata=np.concatenate([part for of_level in told for part in (of_level, np.zeros((1, 3)))]),
            name=name.capitalize(),
            mode="lines",
            line={"color": GROUP_COLOURS[name], "width": 1.8},
            legendgroup=name,
            hovertemplate=f"round %{{customdata[2]}}, {name}<br>about %{{x:.2f}}: %{{customdata[0]:,}} images "
            "(%{customdata[1]:.1%} of them)<extra></extra>",
        )
    figure.update_yaxes(
        tickvals=list(range(rounds)),
        ticktext=[f"Round {round_id}" for round_id in info.rounds],
        range=[-0.08, rounds + 0.02],
        tickfont={"color": theme.text},
    )
    return figure


class ScatterInfo(NamedTuple):
    """Two scores of pool images (N,), and which were queried."""

    image: Int64
    x: Float64
    y: Float64
    queried: Bools
    correlation: float  # Spearman's, over the whole pool; NaN when one of them does not vary
    pool: int  # images behind the correlation; more than N when only a part is drawn
    names: tuple[str, str]  # of the two scores

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per image drawn."""
        return {
            "image": self.image.tolist(),
            self.names[0]: self.x.tolist(),
            self.names[1]: self.y.tolist(),
            "asked": self.queried.tolist(),
        }


def scatter_info(
    image: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    queried: ArrayLike,
    *,
    names: tuple[str, str] = ("prediction entropy", "dynamics entropy"),
    most: int = 6_000,
    seed: int = 0,
) -> ScatterInfo:
    """Both scores of the pool (N,); all queried images and a random part of the others, at most ``most`` in all."""
    ids = np.asarray(image, dtype=np.int64)
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    marked = np.asarray(queried, dtype=np.bool_)
    correlation = rank_correlation(x, y)
    keep = np.flatnonzero(marked)[:most]
    others = np.flatnonzero(~marked)
    room = max(0, most - len(keep))
    if len(others) > room:
        others = np.random.default_rng(seed).choice(others, room, replace=False)
    drawn = np.sort(np.concatenate([keep, others]))
    return ScatterInfo(ids[drawn], x[drawn], y[drawn], marked[drawn], correlation, len(ids), names)


def scatter_figure(info: ScatterInfo, theme: Theme) -> go.Figure:
    """Each image of the pool; above the diagonal its dynamics are less settled than its final prediction."""
    top = float(max(info.x.max(initial=0.1), info.y.max(initial=0.1))) * 1.04
    return _scatter(info, theme, ("Prediction entropy", "Dynamics entropy"), -0.02 * top, top)


def exact_figure(info: ScatterInfo, theme: Theme) -> go.Figure:
    """Each image of the pool: the margin that the module predicts, and the exact one; equal on the diagonal."""
    least = float(min(info.x.min(initial=0.0), info.y.min(initial=0.0)))
    return _scatter(info, theme, ("Margin predicted by the TD module", "Exact margin"), least - 0.03, 1.02)


def _scatter(info: ScatterInfo, theme: Theme, titles: tuple[str, str], low: float, high: float) -> go.Figure:
    figure = look.base_figure(theme, x=titles[0], y=titles[1], height=430)
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={"color": theme.grid, "width": 1.5},
        hoverinfo="skip",
        showlegend=False,
    )
    for name, images, size in (("remaining", ~info.queried, 5), ("asked", info.queried, 8)):
        if images.any():
            figure.add_trace(
                trace_of(len(info.image))(
                    x=info.x[images].astype(np.float32),
                    y=info.y[images].astype(np.float32),
                    customdata=info.image[images].astype(np.int32),
                    name=name.capitalize(),
                    mode="markers",
                    marker={"color": GROUP_COLOURS[name], "size": size, "opacity": 0.75},
                    hovertemplate=f"image %{{customdata}}, {name}<br>{info.names[0]} %{{x:.2f}}, "
                    f"{info.names[1]} %{{y:.2f}}<extra></extra>",
                )
            )
    figure.update_layout(dragmode="pan")
    figure.update_xaxes(range=[low, high], nticks=6)
    figure.update_yaxes(range=[low, high], nticks=6)
    return figure


class AgreementInfo(NamedTuple):
    """How alike E estimators are: overlap of the batches they would query now, rank correlation of their orders."""

    estimators: tuple[str, ...]  # (E,), names
    overlap: Float64  # (E, E), share of common images in batches of ``batch``
    correlation: Float64  # (E, E), Spearman's, signed so that 1 is the same order of querying
    batch: int
    pool: int  # images to choose from

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per pair."""
        titles = [ESTIMATORS[name].title for name in self.estimators]
        rows, columns = np.triu_indices(len(titles), 1)
        return {
            "estimator": [titles[row] for row in rows],
            "other estimator": [titles[column] for column in columns],
            f"share of {self.batch} images in common": self.overlap[rows, columns].tolist(),
            "rank correlation": self.correlation[rows, columns].tolist(),
        }


def agreement_info(scores: Mapping[str, ArrayLike], batch: int) -> AgreementInfo:
    """Compare estimators on one pool: ``scores`` maps names of ESTIMATORS to values (N,)."""
    urgency = {name: ESTIMATORS[name].urgency(np.asarray(values, dtype=np.float64)) for name, values in scores.items()}
    size = min([batch, *(len(values) for values in urgency.values())])
    values = np.array(list(urgency.values()))  # (E, N)
    chosen = [set(np.argsort(-of_estimator, kind="stable")[:size].tolist()) for of_estimator in values]
    count = len(values)
    overlap = np.eye(count)
    for i in range(count):
        for j in range(i):
            overlap[i, j] = overlap[j, i] = len(chosen[i] & chosen[j]) / max(size, 1)
    return AgreementInfo(tuple(scores), overlap, rank_correlations(values), size, values.shape[1])


def agreement_figure(info: AgreementInfo, theme: Theme) -> go.Figure:
    """A square per pair: how many of the next batch they share."""
    figure = look.base_figure(theme, height=330, legend=False)
    names = [ESTIMATORS[name].words.capitalize().replace(" ", "<br>") for name in info.estimators]
    figure.add_heatmap(
        x=names,
        y=names,
        z=info.overlap.astype(np.float32),
        customdata=info.correlation.astype(np.float32),
        zmin=0,
        zmax=1,
        colorscale=palettes.sequential(theme),
        showscale=False,
        xgap=3,
        ygap=3,
        hovertemplate="%{y} and %{x}<br>%{z:.0%} of the next batch in common<br>rank correlation "
        "%{customdata:.2f}<extra></extra>",
    )
    shares = [[f"{share:.0%}" for share in row] for row in info.overlap]
    figure.add_trace(look.heat_numbers(theme, names, names, info.overlap, shares))
    figure.update_yaxes(autorange="reversed", showgrid=False, tickfont={"color": theme.text})
    figure.update_xaxes(showgrid=False, side="bottom", tickfont={"color": theme.text}, tickangle=0)
    return figure


class ByClassInfo(NamedTuple):
    """One estimator by the predicted class: C classes, five quantiles."""

    estimator: str
    classes: tuple[ClassStyle, ...]  # (C,)
    images: Int64  # (C,)
    quantiles: Float64  # (C, 5): 5 %, 25 %, 50 %, 75 %, 95 %

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per class."""
        names = ("5 %", "lower quarter", "median", "upper quarter", "95 %")
        return {
            "class": [style.name for style in self.classes],
            "images": self.images.tolist(),
            **{name: self.quantiles[:, column].tolist() for column, name in enumerate(names)},
        }


def by_class_info(
    estimator: str, classes: Sequence[ClassStyle], images: ArrayLike, quantiles: ArrayLike, *, most: int = 30
) -> ByClassInfo:
    """Quantiles (C, 5) per class; the ``most`` least certain classes, least certain first."""
    counts, spread = np.asarray(images, dtype=np.int64), np.asarray(quantiles, dtype=np.float64).reshape(-1, 5)
    order = np.argsort(-ESTIMATORS[estimator].urgency(spread[:, 2]), kind="stable")[:most]
    return ByClassInfo(estimator, tuple(classes[position] for position in order), counts[order], spread[order])


def by_class_figure(info: ByClassInfo, theme: Theme) -> go.Figure:
    """A box per class, the least certain at the top."""
    figure = look.base_figure(
        theme, x=ESTIMATORS[info.estimator].title, height=90 + 30 * len(info.classes), legend=False
    )
    for style, images, (low, lower, middle, upper, high) in zip(info.classes, info.images, info.quantiles, strict=True):
        figure.add_box(
            y=[palettes.short(style.name, 18)],
            orientation="h",
            lowerfence=[low],
            q1=[lower],
            median=[middle],
            q3=[upper],
            upperfence=[high],
            name=palettes.short(style.name),
            width=0.6,
            line={"color": style.colour, "width": 1.8},
            fillcolor=palettes.faded(style.colour, 0.25),
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=[middle],
            y=[palettes.short(style.name, 18)],
            mode="markers",
            marker={"color": style.colour, "size": 6},
            hovertemplate=f"{palettes.short(style.name)}: {images:,} images<br>median {middle:.2f}, "
            f"half of them {lower:.2f} to {upper:.2f}<extra></extra>",
        )
    figure.update_yaxes(autorange="reversed", type="category", tickfont={"color": theme.text}, showgrid=False)
    return figure
