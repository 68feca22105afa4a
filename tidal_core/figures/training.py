"""Figures of one round while it trains, and of all rounds side by side. Numbers first, drawing second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from tidal_core.figures import look
from tidal_core.figures.palettes import DYNAMICS, FINAL, Theme
from tidal_core.records import Float64, Int64


class RoundInfo(NamedTuple):
    """The epochs of one round so far; every array is (T,)."""

    epoch: Int64
    epochs: int  # of the whole round
    class_loss: Float64
    td_loss: Float64 | None  # None without the TD module
    accuracy: Float64
    learning_rate: Float64
    images_per_second: Float64

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per epoch."""
        columns: dict[str, Sequence[Any]] = {
            "epoch": self.epoch.tolist(),
            "loss of the classifier": self.class_loss.tolist(),
            "accuracy on the labelled images": self.accuracy.tolist(),
            "learning rate": self.learning_rate.tolist(),
            "images per second": self.images_per_second.tolist(),
        }
        if self.td_loss is not None:
            columns["loss of the TD module"] = self.td_loss.tolist()
        return columns


def round_info(
    epoch: ArrayLike,
    epochs: int,
    class_loss: ArrayLike,
    td_loss: Sequence[float | None] | ArrayLike,
    accuracy: ArrayLike,
    learning_rate: ArrayLike,
    images_per_second: ArrayLike,
) -> RoundInfo:
    """The numbers of one round, each (T,); ``td_loss`` may hold None or NaN throughout."""
    td = np.array([np.nan if loss is None else loss for loss in td_loss], dtype=np.float64)  # type: ignore[union-attr]
    return RoundInfo(
        epoch=np.asarray(epoch, dtype=np.int64),
        epochs=int(epochs),
        class_loss=np.asarray(class_loss, dtype=np.float64),
        td_loss=None if np.isnan(td).all() else td,
        accuracy=np.asarray(accuracy, dtype=np.float64),
        learning_rate=np.asarray(learning_rate, dtype=np.float64),
        images_per_second=np.asarray(images_per_second, dtype=np.float64),
    )


def _span(info: RoundInfo) -> list[float]:
    """The epochs that the axis shows: all of them, and of a long round no more than four times what is there.

    It doubles, so that it stands still while it fills.
    """
    shown = 8
    while shown < min(2 * len(info.epoch), info.epochs):
        shown *= 2
    return [0.5, max(min(shown, info.epochs), 1) + 0.5]


def learnt_figure(info: RoundInfo, theme: Theme) -> go.Figure:
    """The share of the labelled images that the model gets right, over the epochs."""
    figure = look.base_figure(theme, x="Epoch", y="Labelled images that are right", height=300, legend=False)
    figure.add_scatter(
        x=info.epoch.astype(np.int32),
        y=info.accuracy.astype(np.float32),
        mode="lines+markers" if len(info.epoch) < 8 else "lines",
        line={"color": theme.primary, "width": 2.4},
        hovertemplate="epoch %{x}: %{y:.1%} of the labelled images correct<extra></extra>",
    )
    figure.update_xaxes(range=_span(info), **look.WHOLE)
    figure.update_yaxes(range=[0, 1.02], **look.PERCENT)
    return figure


def round_figure(info: RoundInfo, theme: Theme) -> go.Figure:
    """Losses, accuracy on the labelled images and learning rate over the epochs of one round, one above the other."""
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.07, row_heights=[0.45, 0.33, 0.22])
    look.dress(figure, theme, height=520)
    mode = "lines+markers" if len(info.epoch) < 8 else "lines"

    def line(row: int, name: str, values: Float64, colour: str, hover: str, **more: Any) -> None:
        figure.add_scatter(
            x=info.epoch.astype(np.int32),
            y=values.astype(np.float32),
            name=name,
            mode=mode,
            line={"color": colour, "width": 2.2, **more.pop("line", {})},
            hovertemplate=hover + "<extra></extra>",
            row=row,
            col=1,
            **more,
        )

    line(1, "Classifier", info.class_loss, FINAL, "classifier %{y:.3f}")
    if info.td_loss is not None:
        line(1, "TD module", info.td_loss, DYNAMICS, "TD module %{y:.3f}", line={"dash": "dot"})
    line(2, "Accuracy", info.accuracy, theme.primary, "%{y:.1%} of the labelled images correct", showlegend=False)
    line(3, "Learning rate", info.learning_rate, theme.muted, "learning rate %{y:.2g}", showlegend=False)

    for row, title in enumerate(("Loss", "Accuracy", "Rate"), start=1):
        figure.update_yaxes(look.axis(theme, title, rangemode="tozero", nticks=5), row=row, col=1)
        figure.update_xaxes(look.axis(theme, "", range=_span(info), **look.WHOLE), row=row, col=1)
    figure.update_xaxes(title_text="Epoch", row=3, col=1)
    figure.update_yaxes(range=[0, 1.02], row=2, col=1, **look.PERCENT)
    figure.update_yaxes(tickformat=".1~g", row=3, col=1, nticks=3)
    figure.update_layout(hovermode="x unified")
    return figure


class DurationsInfo(NamedTuple):
    """How long each round took; every array is (R,)."""

    round: Int64
    labels: Int64
    seconds: Float64
    state: tuple[str, ...]  # "done", "failed", "cancelled" or an active state

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per round."""
        return {
            "round": self.round.tolist(),
            "labels": self.labels.tolist(),
            "seconds": self.seconds.round(2).tolist(),
            "state": self.state,
        }


def durations_info(rounds: ArrayLike, labels: ArrayLike, seconds: ArrayLike, states: Sequence[str]) -> DurationsInfo:
    """The durations of rounds; NaN seconds for one that has not begun."""
    return DurationsInfo(
        np.asarray(rounds, dtype=np.int64),
        np.asarray(labels, dtype=np.int64),
        np.asarray(seconds, dtype=np.float64),
        tuple(states),
    )


def durations_figure(info: DurationsInfo, theme: Theme) -> go.Figure:
    """A bar per round, coloured by how it ended."""
    figure = look.base_figure(theme, x="Round", y="Seconds", height=240)
    ends = {"done": ("Done", theme.primary), "failed": ("Failed", "#ab2f2c"), "cancelled": ("Cancelled", theme.muted)}
    state = np.array(info.state)
    for name, (title, colour) in {**ends, "": ("Running", "#bfac06")}.items():
        rounds = state == name if name else ~np.isin(state, list(ends))
        if rounds.any():
            figure.add_bar(
                x=info.round[rounds],
                y=info.seconds[rounds],
                name=title,
                marker={"color": colour, "cornerradius": 3},
                customdata=info.labels[rounds],
                hovertemplate=f"round %{{x}}: {title.lower()}<br>%{{y:.1f}} s, %{{customdata:,}} labels<extra></extra>",
            )
    figure.update_layout(barmode="overlay", bargap=0.35)
    if len(state):
        span = [info.round.min() - 0.6, info.round.max() + 0.6]
        figure.update_xaxes(tickformat=",d", dtick=1 if len(state) <= 12 else None, range=span, showgrid=False)
    figure.update_yaxes(rangemode="tozero", nticks=5)
    return figure
