"""The life of one image: its curves in one round, observed and predicted areas, and its values over the rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from tidal_core.figures import look, palettes
from tidal_core.figures.palettes import DYNAMICS, FINAL, ClassStyle, Theme
from tidal_core.method import dynamics
from tidal_core.method.estimators import entropy, lead, log_of
from tidal_core.records import Float64, Int64

OTHERS = ClassStyle(-1, "all other classes", "#8a959d")


class LifeInfo(NamedTuple):
    """One image in one round: T epochs, the K classes worth showing, the label first."""

    epoch: Int64  # (T,)
    classes: tuple[ClassStyle, ...]  # (K,); the last may stand for all others
    curves: Float64  # (T, K), p^(t)(c | x)
    observed: Float64  # (K,), p-bar: the area under each curve
    predicted: Float64 | None  # (K,), what the TD module predicted for it; None when it was never queried
    first_learnt: int  # epoch; 0 when never learnt
    forgotten_at: Int64  # epochs at which the label was lost again
    h_bar: float  # of the whole observed p-bar, nats
    m_bar: float  # of the whole observed p-bar; NaN with one class
    h_bar_predicted: float  # NaN without a prediction
    m_bar_predicted: float
    errors: Float64  # (T,), EL2N at each epoch
    window: str  # which epochs p-bar averages
    role: str  # what the first class is: "label", or "prediction" for an image without a label
    changes: int  # how often another class had the highest probability than at the epoch before
    last: ClassStyle  # the class with the highest probability at the last epoch

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per epoch, one column per class."""
        return {
            "epoch": self.epoch.tolist(),
            **{f"p({style.name})": self.curves[:, column].tolist() for column, style in enumerate(self.classes)},
            "EL2N": self.errors.tolist(),
        }


def life_info(
    epoch: ArrayLike,
    p: ArrayLike,
    classes: Sequence[ClassStyle],
    label: int,
    *,
    predicted: ArrayLike | None = None,
    predicted_top: int | None = None,
    top: int = 4,
    second_half: bool = False,
    role: str = "label",
    window_of_p_bar: ArrayLike | None = None,
) -> LifeInfo:
    """The life of one image in one round.

    ``p`` is (T, C), ``classes`` names its columns, ``label`` is a column: the image's label or, with the ``role``
    "prediction", the class that the model predicts. ``window_of_p_bar`` (T,) are the epochs that p-bar averages where
    they are not all nor the second half of the rows. ``predicted`` (C,) is the TD module's p-bar,
    ``predicted_top`` the class that the classifier predicts (M-bar is its lead; by default p-bar's largest). Shown are
    the label and the ``top`` classes that rose highest, the rest as one curve. Raises InputError without an epoch.
    """
    curves = np.asarray(p, dtype=np.float64)  # (T, C)
    if window_of_p_bar is not None:
        observed = dynamics.area(curves[np.asarray(window_of_p_bar, dtype=np.bool_)])  # (C,)
    else:
        observed = dynamics.area(curves, second_half=second_half)  # (C,)
    guess = None if predicted is None else np.asarray(predicted, dtype=np.float64)
    height = curves.max(axis=0)  # (C,)
    if guess is not None:
        height = np.maximum(height, guess)
    height[label] = np.inf
    order = np.argsort(-height, kind="stable")
    shown, rest = order[: top + 1], order[top + 1 :]
    styles = [classes[column] for column in shown]

    def gathered(values: Float64) -> Float64:
        """(..., C) to (..., K)."""
        parts = [values[..., shown]]
        if len(rest):
            parts.append(values[..., rest].sum(axis=-1, keepdims=True))
        return np.concatenate(parts, axis=-1)

    view = dynamics.label_view(curves[:, None, :], [label])
    right = view.correct[:, 0]  # (T,)
    epochs = np.asarray(epoch, dtype=np.int64)
    learnt = dynamics.forgetting(view.correct)
    h_bar, m_bar = _entropy_and_margin(observed, int(curves[-1].argmax()))
    h_bar_predicted, m_bar_predicted = _entropy_and_margin(guess, predicted_top)
    return LifeInfo(
        epoch=epochs,
        classes=tuple([*styles, OTHERS] if len(rest) else styles),
        curves=gathered(curves),
        observed=gathered(observed),
        predicted=None if guess is None else gathered(guess),
        first_learnt=0 if learnt.never_learnt[0] else int(epochs[learnt.first_learnt[0] - 1]),
        forgotten_at=epochs[1:][right[:-1] & ~right[1:]],
        h_bar=h_bar,
        m_bar=m_bar,
        h_bar_predicted=h_bar_predicted,
        m_bar_predicted=m_bar_predicted,
        errors=dynamics.el2n(curves, np.full(len(curves), label)),
        window="the second half of the epochs" if second_half else "all epochs",
        role=role,
        changes=int(np.count_nonzero(np.diff(curves.argmax(axis=1)))),
        last=classes[int(curves[-1].argmax())],
    )


def _entropy_and_margin(p_bar: Float64 | None, top: int | None) -> tuple[float, float]:
    """H-bar and M-bar (the lead of class ``top``, by default the largest) of one p-bar (C,); NaN for what is not."""
    if p_bar is None:
        return float("nan"), float("nan")
    log_p = log_of(p_bar)[None]  # (1, C)
    chosen = np.array([p_bar.argmax() if top is None else top])
    return float(entropy(log_p)[0]), float(lead(log_p, chosen)[0]) if len(p_bar) > 1 else float("nan")


def life_figure(info: LifeInfo, theme: Theme) -> go.Figure:
    """The curves of one image, its label's filled down to zero: the filled area is p-bar."""
    figure = look.base_figure(theme, x="Epoch", y="Probability", height=380)
    x = info.epoch.astype(np.int32)
    mode = "lines+markers" if len(x) < 4 else "lines"
    for column, style in reversed(list(enumerate(info.classes))):
        is_label = column == 0
        figure.add_scatter(
            x=x,
            y=info.curves[:, column].astype(np.float32),
            name=palettes.short(style.name) + (f" ({info.role})" if is_label else ""),
            mode=mode,
            legendrank=column,
            fill="tozeroy" if is_label else None,
            fillcolor=palettes.faded(style.colour, 0.18),
            line={
                "color": style.colour,
                "width": 3 if is_label else 1.8,
                "dash": "dot" if style is OTHERS else "solid",
            },
            hovertemplate=f"{palettes.short(style.name)} %{{y:.1%}}<extra></extra>",
        )
    _mark_events(figure, info, theme)
    figure.update_layout(hovermode="x unified")
    figure.update_yaxes(range=[0, 1.04], **look.PERCENT)
    figure.update_xaxes(range=[x[0] - 0.5, x[-1] + 0.5], **look.WHOLE)
    return figure


def _mark_events(figure: go.Figure, info: LifeInfo, theme: Theme) -> None:
    """Where the label was first learnt and where it was forgotten, on the label's curve."""
    heights = dict(zip(info.epoch.tolist(), info.curves[:, 0].tolist(), strict=True))
    if info.role != "label":
        return
    marks = [
        ("First learnt", [info.first_learnt] if info.first_learnt else [], "star", theme.text),
        ("Forgotten", info.forgotten_at.tolist(), "x", "#ab2f2c"),
    ]
    for name, epochs, symbol, colour in marks:
        if epochs:
            figure.add_scatter(
                x=epochs,
                y=[heights[epoch] for epoch in epochs],
                name=name,
                mode="markers",
                marker={"symbol": symbol, "size": 11, "color": colour, "line": {"width": 1, "color": theme.background}},
                hovertemplate=f"{name.lower()}<extra></extra>",
            )


def areas_figure(info: LifeInfo, theme: Theme) -> go.Figure:
    """For each class the observed area p-bar beside what the TD module predicts."""
    figure = look.base_figure(theme, x="Mean probability over epochs", height=90 + 46 * len(info.classes))
    names = [palettes.short(style.name, 18) for style in info.classes]
    colours = [style.colour for style in info.classes]
    figure.add_bar(
        y=names,
        x=info.observed.astype(np.float32),
        orientation="h",
        name="Observed",
        marker={"color": colours, "cornerradius": 3},
        hovertemplate="%{y}<br>observed %{x:.1%}<extra></extra>",
    )
    if info.predicted is not None:
        figure.add_bar(
            y=names,
            x=info.predicted.astype(np.float32),
            orientation="h",
            name="Predicted by the TD module",
            marker={
                "color": [palettes.faded(colour, 0.25) for colour in colours],
                "line": {"color": colours, "width": 1.5},
                "cornerradius": 3,
            },
            hovertemplate="%{y}<br>predicted %{x:.1%}<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_xaxes(range=[0, 1.02], nticks=6, **look.PERCENT)
    figure.update_yaxes(autorange="reversed", type="category", tickfont={"color": theme.text})
    return figure


class RoundsOfImageInfo(NamedTuple):
    """One image over the rounds; arrays are (R,), NaN where a round has no value."""

    round: Int64
    module: Float64  # the TD module's prediction of the label's area
    final: Float64  # the classifier's probability of the label at the end of the round
    observed: Float64  # the area observed while it was trained on
    labelled_after: int | None  # the last round before its label

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per round."""
        return {
            "round": self.round.tolist(),
            "training dynamics predicted by the TD module": self.module.tolist(),
            "final prediction": self.final.tolist(),
            "training dynamics observed": self.observed.tolist(),
        }


def rounds_of_image_info(
    rounds: ArrayLike, module: ArrayLike, final: ArrayLike, observed: ArrayLike, labelled_after: int | None
) -> RoundsOfImageInfo:
    """One image over the rounds, each (R,)."""
    return RoundsOfImageInfo(
        np.asarray(rounds, dtype=np.int64),
        np.asarray(module, dtype=np.float64),
        np.asarray(final, dtype=np.float64),
        np.asarray(observed, dtype=np.float64),
        labelled_after,
    )


def rounds_of_image_figure(info: RoundsOfImageInfo, theme: Theme) -> go.Figure:
    """What each round made of the image's label: predicted dynamics, final prediction and observed dynamics."""
    figure = look.base_figure(theme, x="Round", y="Probability of its label", height=300)
    series: list[tuple[str, Float64, str, dict[str, Any], dict[str, Any]]] = [
        (
            "Predicted dynamics",
            info.module,
            DYNAMICS,
            {"dash": "dot", "width": 2},
            {"symbol": "circle-open", "size": 9},
        ),
        ("Final prediction", info.final, FINAL, {"width": 2}, {"symbol": "circle", "size": 7}),
        ("Observed dynamics", info.observed, DYNAMICS, {"width": 2.5}, {"symbol": "diamond", "size": 9}),
    ]
    for name, values, colour, line, marker in series:
        if not np.isnan(values).all():
            figure.add_scatter(
                x=info.round,
                y=values,
                name=name,
                mode="lines+markers",
                line={"color": colour, **line},
                marker={"color": colour, **marker},
                hovertemplate=f"{name.lower()} %{{y:.1%}}<extra></extra>",
            )
    if info.labelled_after is not None:
        figure.add_vline(
            x=info.labelled_after + 0.5,
            line={"color": theme.muted, "width": 1, "dash": "dash"},
            annotation={
                "text": "labelled",
                "font": {"size": 12, "color": theme.muted},
                "y": 0.02,
                "yanchor": "bottom",
                "xanchor": "left",
            },
        )
    figure.update_layout(hovermode="x unified")
    figure.update_yaxes(range=[0, 1.04], **look.PERCENT)
    figure.update_xaxes(dtick=1 if len(info.round) <= 12 else None, tickformat=",d")
    return figure
