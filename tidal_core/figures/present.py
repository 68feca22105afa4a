"""Figures that only the presenter's view has: between which classes the model wavers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from tidal_core.figures import look, palettes
from tidal_core.figures.palettes import DYNAMICS, FINAL, ClassStyle, Theme
from tidal_core.records import Float64


class SharesInfo(NamedTuple):
    """The likeliest classes of one image: K classes, the likeliest first."""

    classes: tuple[ClassStyle, ...]  # (K,)
    final: Float64  # (K,), the final prediction
    dynamics: Float64 | None  # (K,), the predicted training dynamics; None without the TD module

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per class."""
        columns: dict[str, Sequence[Any]] = {
            "class": [style.name for style in self.classes],
            "final prediction": self.final.tolist(),
        }
        if self.dynamics is not None:
            columns["training dynamics"] = self.dynamics.tolist()
        return columns


def shares_info(classes: Sequence[ClassStyle], final: ArrayLike, dynamics: ArrayLike | None) -> SharesInfo:
    """What the final prediction and the training dynamics (K,) give to the likeliest classes."""
    return SharesInfo(
        tuple(classes),
        np.asarray(final, dtype=np.float64),
        None if dynamics is None else np.asarray(dynamics, dtype=np.float64),
    )


def shares_figure(info: SharesInfo, theme: Theme) -> go.Figure:
    """For each class a bar of the final prediction and one of the training dynamics."""
    figure = look.base_figure(theme, x="Probability", height=90 + 60 * len(info.classes))
    names = [palettes.short(style.name, 18) for style in info.classes]
    for title, values, colour in (
        ("Final prediction", info.final, FINAL),
        ("While it learns", info.dynamics, DYNAMICS),
    ):
        if values is not None:
            figure.add_bar(
                y=names,
                x=values.astype(np.float32),
                orientation="h",
                name=title,
                marker={"color": colour, "cornerradius": 4},
                hovertemplate=f"%{{y}}<br>{title.lower()} %{{x:.1%}}<extra></extra>",
            )
    figure.update_layout(barmode="group", bargap=0.3)
    figure.update_xaxes(range=[0, 1.02], nticks=6, **look.PERCENT)
    figure.update_yaxes(autorange="reversed", type="category", tickfont={"color": theme.text})
    return figure
