"""Figures of the paper's two theorems and of its motivating experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.figures.cloud import trace_of
from tidal_core.figures.look import PERCENT, base_figure
from tidal_core.figures.palettes import CLASS_COLOURS, Theme, faded, short
from tidal_core.method import theory
from tidal_core.method.theory import GROUPS, Elasticity
from tidal_core.records import Bools, Float32, Float64, Int64

EASY, HARD, OTHER = CLASS_COLOURS[3], CLASS_COLOURS[9], CLASS_COLOURS[7]
GROUP_COLOURS = (EASY, HARD, OTHER)
ENTROPY, MARGIN = CLASS_COLOURS[4], CLASS_COLOURS[6]
RINGS = 12  # of the differential equation on each path
MAJOR, MINOR = CLASS_COLOURS[0], CLASS_COLOURS[9]
BINS = 40
NUMBER = "%{y:.3f}<extra>%{fullData.name}</extra>"
COUNT = "%{x}: %{y:,d}<extra>%{fullData.name}</extra>"


class PathsInfo(NamedTuple):
    """Theorem 1 over P recorded steps; the last axis of (P, 3) is easy, hard, other class."""

    time: Float64  # (P,) t = m h
    mean: Float64  # (P, 3) over the runs
    low: Float64  # 5 % of the runs lie below
    high: Float64  # 5 % lie above
    exact: Float64  # (I + hA)^m X(0)
    continuous: Float64  # exp(At) X(0)
    difference: Float64  # (P,) how much faster easy samples rise, from (20) at the exact mean
    closed: Float64  # (P,) the same by the closed form (21)
    share_left: float  # of the samples, those seen at X <= 0
    runs: int

    @property
    def largest_gap(self) -> float:
        """How far (20) lies from the exact mean at the end, as a share of it."""
        return float(np.max(np.abs(self.continuous[-1] - self.exact[-1]) / self.exact[-1]))

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per recorded step."""
        columns: dict[str, Sequence[Any]] = {"t": self.time.tolist()}
        for column, group in enumerate(GROUPS):
            columns[f"{group}: mean of the runs"] = self.mean[:, column].tolist()
            columns[f"{group}: 5 % below"] = self.low[:, column].tolist()
            columns[f"{group}: 5 % above"] = self.high[:, column].tolist()
            columns[f"{group}: exact mean"] = self.exact[:, column].tolist()
            columns[f"{group}: differential equation"] = self.continuous[:, column].tolist()
        return columns | {
            "easy rises faster by, equations (20)": self.difference.tolist(),
            "by the closed form (21)": self.closed.tolist(),
        }


def paths_info(setting: Elasticity, runs: int, steps: int, seed: int = 0) -> PathsInfo:
    """Simulate and set beside it what the theory says."""
    paths = theory.simulate(setting, runs=runs, steps=steps, seed=seed, points=80)
    time = np.asarray(paths.steps * setting.h, np.float64)
    exact = theory.exact_mean(setting, paths.steps)
    slopes = theory.inequality(setting, exact)
    low, high = np.asarray(np.quantile(paths.logits, (0.05, 0.95), axis=0), np.float64)
    return PathsInfo(
        time,
        paths.mean,
        low,
        high,
        exact,
        theory.continuous(setting, time),
        slopes.difference,
        slopes.closed,
        paths.share_left,
        runs,
    )


def paths_figure(info: PathsInfo, theme: Theme) -> go.Figure:
    """Averaged logits with the band of the middle 90 % of runs; dashes: exact mean; rings: differential equation."""
    figure = base_figure(theme, x="Time t", y="Logit of the true class", height=420)
    time = info.time.astype(np.float32)
    every_nth = slice(None, None, max(1, len(time) // RINGS))
    for column, (group, colour) in enumerate(zip(GROUPS, GROUP_COLOURS, strict=True)):
        _band(figure, time, info.low[:, column], info.high[:, column], colour)
        figure.add_scatter(
            x=time,
            y=info.mean[:, column].astype(np.float32),
            name=group,
            legendgroup=group,
            mode="lines",
            line={"color": colour, "width": 6},
            hovertemplate=f"{group}, mean of {info.runs:,} runs<br>t %{{x:.2f}}, logit %{{y:.3f}}<extra></extra>",
        )
    for name, values, steps, look in (
        ("exact mean", info.exact, slice(None), {"line": {"color": theme.text, "dash": "dash", "width": 1.3}}),
        (
            "differential equation",
            info.continuous,
            every_nth,
            {"marker": {"color": theme.text, "symbol": "circle-open", "size": 8, "line": {"width": 1.3}}},
        ),
    ):
        for column, group in enumerate(GROUPS):
            figure.add_scatter(
                x=time[steps],
                y=values[steps, column].astype(np.float32),
                name=name,
                legendgroup=name,
                showlegend=column == 0,
                mode="lines" if "line" in look else "markers",
                hovertemplate=f"{group}, {name}<br>t %{{x:.2f}}, logit %{{y:.3f}}<extra></extra>",
                **look,
            )
    figure.update_xaxes(range=[0, float(time[-1]) * 1.01])
    return figure


def speed_figure(info: PathsInfo, theme: Theme) -> go.Figure:
    """How much faster easy samples rise, by the equations and by (21): one line on the other."""
    figure = base_figure(theme, x="Time t", y="Easy rises faster by", height=260)
    time = info.time.astype(np.float32)
    for values, name, line in (
        (info.difference, "equations (20)", {"color": EASY, "width": 5}),
        (info.closed, "closed form (21)", {"color": theme.text, "width": 1.5, "dash": "dash"}),
    ):
        figure.add_scatter(
            x=time, y=values.astype(np.float32), name=name, mode="lines", line=line, hovertemplate=NUMBER
        )
    figure.update_yaxes(rangemode="tozero")
    return figure


class AreasInfo(NamedTuple):
    """Theorem 2: two curves that end alike."""

    epochs: Int64  # (T,)
    fast: theory.LearningCurve
    slow: theory.LearningCurve
    classes: int
    s: Float64  # (S,) areas from 0 to 1
    entropy: Float64  # (S,) H of them, (23)
    margin: Float64  # (S,) M of them, (24)

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per epoch."""
        return {"epoch": self.epochs.tolist(), "fast": self.fast.p.tolist(), "slow": self.slow.p.tolist()}


def areas_info(end: float, area_one: float, area_other: float, classes: int) -> AreasInfo:
    """Two curves that end at ``end`` with these areas, and H and M for all areas."""
    slow, fast = (
        theory.curve_with_area(end=end, area=area, classes=classes) for area in sorted((area_one, area_other))
    )
    s = np.linspace(0, 1, 201)
    epochs = np.arange(1, len(fast.p) + 1)
    return AreasInfo(
        epochs, fast, slow, classes, s, theory.closed_entropy(s, classes), theory.closed_margin(s, classes)
    )


def areas_figure(info: AreasInfo, theme: Theme) -> go.Figure:
    """The two curves over the epochs, each with the area below it."""
    figure = base_figure(theme, x="Epoch", y="Probability of the true class", height=340)
    for curve, name, colour in ((info.fast, "learnt early", EASY), (info.slow, "learnt late", HARD)):
        figure.add_scatter(
            x=info.epochs.astype(np.float32),
            y=curve.p.astype(np.float32),
            name=f"{name}: area {curve.area:.2f}, entropy {curve.entropy:.2f}, margin {curve.margin:.2f}",
            mode="lines",
            line={"color": colour, "width": 2.5},
            fill="tozeroy",
            fillcolor=faded(colour, 0.14),
            hovertemplate=f"{name}<br>epoch %{{x:.0f}}: %{{y:.1%}}<extra></extra>",
        )
    figure.update_yaxes(range=[0, 1.02], **PERCENT)
    return figure


def range_figure(info: AreasInfo, theme: Theme) -> go.Figure:
    """H and M over the area, where H falls (all of it right of 1/C), and where the two curves lie."""
    figure = base_figure(theme, x="Area below the curve of the true class", y="Entropy (nats) and margin", height=360)
    figure.add_vrect(x0=1 / info.classes, x1=1, fillcolor=faded(theme.primary, 0.08), line_width=0, layer="below")
    highest, lowest = max(1.0, float(info.entropy.max())), float(info.margin.min())
    marks = ((1 / info.classes, f"1/C = {1 / info.classes:.2g}", 1.0), (0.5, "1/2", 0.92))
    for x, text, height in marks[: 1 if info.classes == 2 else 2]:
        figure.add_vline(x=x, line={"color": theme.muted, "dash": "dot", "width": 1})
        figure.add_annotation(
            x=x,
            y=height,
            yref="paper",
            text=text,
            showarrow=False,
            xanchor="left",
            yanchor="top",
            font={"size": 12, "color": theme.muted},
        )
    for values, name, colour in ((info.entropy, "entropy H (23)", ENTROPY), (info.margin, "margin M (24)", MARGIN)):
        figure.add_scatter(
            x=info.s.astype(np.float32),
            y=values.astype(np.float32),
            name=name,
            mode="lines",
            line={"color": colour, "width": 2.5},
            hovertemplate=f"{name}<br>%{{y:.3f}} at an area of %{{x:.2f}}<extra></extra>",
        )
    for curve, colour, name in ((info.fast, EASY, "learnt early"), (info.slow, HARD, "learnt late")):
        figure.add_scatter(
            x=[curve.area, curve.area],
            y=[curve.entropy, curve.margin],
            name=name,
            mode="markers",
            marker={"color": colour, "size": 10, "line": {"color": theme.background, "width": 1.5}},
            hovertemplate=f"{name}<br>%{{y:.3f}} at an area of %{{x:.2f}}<extra></extra>",
        )
    figure.update_xaxes(range=[0, 1.01])
    # Room above for the names of the marks.
    figure.update_yaxes(range=[lowest - 0.05 * highest, 1.25 * highest])
    return figure


class SeparationInfo(NamedTuple):
    """The motivating experiment (Figures 2 and 8): N training images, E epochs, C classes."""

    minor: Bools  # (N,)
    counts: Int64  # (C,) training images
    class_names: tuple[str, ...]
    major_classes: int
    accuracy: Float64  # (E, 2) of major and minor training images at each epoch
    scores: dict[str, Float64]  # (N,) by the estimator's name
    auroc: dict[str, float]  # minor against major, by the estimator's name

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per training image."""
        return {
            "minor class": self.minor.tolist(),
            **{ESTIMATORS[name].title: values.tolist() for name, values in self.scores.items()},
        }


def separation_info(
    minor: NDArray[Any],
    counts: Int64,
    class_names: tuple[str, ...],
    accuracy: Float64,
    scores: dict[str, Float64],
    auroc: dict[str, float],
) -> SeparationInfo:
    """The numbers of the motivating experiment: ``minor`` (N,) is true for images of the rarer half of the classes."""
    return SeparationInfo(
        np.asarray(minor, dtype=bool), counts, class_names, (len(counts) + 1) // 2, accuracy, scores, auroc
    )


def label_figure(info: SeparationInfo, theme: Theme) -> go.Figure:
    """Training images per class, as Figure 8a."""
    figure = base_figure(theme, y="Training images", height=260)
    position = np.arange(len(info.counts))
    for classes, name, colour in (
        (position < info.major_classes, "common classes", MAJOR),
        (position >= info.major_classes, "rare classes", MINOR),
    ):
        names = [short(info.class_names[c]) for c in position[classes]]
        figure.add_bar(
            x=names, y=info.counts[classes].astype(np.float32), name=name, marker_color=colour, hovertemplate=COUNT
        )
    figure.update_xaxes(type="category")
    return figure


def learning_figure(info: SeparationInfo, theme: Theme) -> go.Figure:
    """Accuracy of major and minor training images over the epochs, as Figures 8b and c."""
    figure = base_figure(theme, x="Epoch", y="Training accuracy", height=260)
    epochs = np.arange(1, len(info.accuracy) + 1, dtype=np.float32)
    for column, (name, colour) in enumerate((("common classes", MAJOR), ("rare classes", MINOR))):
        values = info.accuracy[:, column].astype(np.float32)
        figure.add_scatter(x=epochs, y=values, name=name, mode="lines", line={"color": colour, "width": 2.5})
        figure.data[-1].hovertemplate = f"{name}<br>epoch %{{x:.0f}}: %{{y:.1%}}<extra></extra>"
    figure.update_yaxes(range=[0, 1.02], **PERCENT)
    return figure


def histogram_figure(info: SeparationInfo, estimator: str, theme: Theme) -> go.Figure:
    """How one estimator is spread over major and minor images, each group scaled to its own size, as Figure 2."""
    figure = base_figure(theme, x=ESTIMATORS[estimator].title, y="Share of the group", height=280)
    values = info.scores[estimator]
    edges = np.linspace(values.min(), max(values.max(), values.min() + 1e-9), BINS + 1)
    for images, name, colour in ((~info.minor, "common classes", MAJOR), (info.minor, "rare classes", MINOR)):
        share = np.histogram(values[images], edges)[0] / max(1, images.sum())
        figure.add_bar(
            x=((edges[1:] + edges[:-1]) / 2).astype(np.float32),
            y=share.astype(np.float32),
            width=float(edges[1] - edges[0]),
            name=name,
            marker={"color": faded(colour, 0.6), "line": {"width": 0}},
            hovertemplate="%{y:.1%} near %{x:.3f}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_yaxes(**PERCENT)
    return figure


def scatter_figure(info: SeparationInfo, theme: Theme, x: str = "entropy", y: str = "td_entropy") -> go.Figure:
    """Each training image: its final prediction against its training dynamics."""
    figure = base_figure(theme, x=ESTIMATORS[x].title, y=ESTIMATORS[y].title, height=380)
    for images, name, colour in ((~info.minor, "common classes", MAJOR), (info.minor, "rare classes", MINOR)):
        figure.add_trace(
            trace_of(len(info.minor))(
                x=info.scores[x][images].astype(np.float32),
                y=info.scores[y][images].astype(np.float32),
                name=name,
                mode="markers",
                marker={"color": colour, "size": 4, "opacity": 0.5},
                hovertemplate="%{x:.3f}, %{y:.3f}<extra>%{fullData.name}</extra>",
            )
        )
    return figure


def _band(figure: go.Figure, x: Float32, low: Float64, high: Float64, colour: str) -> None:
    figure.add_scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([high, low[::-1]]).astype(np.float32),
        mode="lines",
        fill="toself",
        fillcolor=faded(colour, 0.15),
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
