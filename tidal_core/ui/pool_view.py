"""The pool of unlabelled images on a page: the extremes, snapshot against dynamics, agreement, classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.figures import uncertainty as figures
from tidal_core.figures.words import uncertainty as words
from tidal_core.projects import Project
from tidal_core.records import Bools, ImageRecord, RoundRecord, class_positions
from tidal_core.ui import charts, looking
from tidal_core.ui.address import DYNAMICS_PAGE
from tidal_core.ui.thumbnails import thumbnails

ROUNDS_SHOWN = 12
EXTREMES = 12

SCATTER = "Final prediction against training dynamics"
SCATTER_HELP = (
    "Each point is an unlabelled image. Right: the final prediction is uncertain. Up: the training dynamics that the "
    "TD module, a small network trained for that, predicts are uncertain. "
    "Images far above the line look settled at the end but are not: only training "
    "dynamics find them. Click a point to see the image."
)
EXACT = "Predicted against exact dynamics"
EXACT_HELP = (
    "Each point is an unlabelled image. Right: the margin that the TD module, a small network trained for that, "
    "predicts for its training dynamics. "
    "Up: the margin of its exact dynamics, known because only the head of the model trained. On the line the module is "
    "right. Click a point to see the image."
)
AGREEMENT = "Do the scores choose the same images?"
AGREEMENT_HELP = (
    "How many images of the next batch two scores have in common. Hover for the rank correlation: 1 means the same "
    "order of all images, 0 means unrelated orders."
)
BY_CLASS = "By predicted class"
BY_CLASS_HELP = (
    "The spread of the score among unlabelled images of each class: the box holds the middle half, the line is the "
    "median, the whiskers reach from 5 % to 95 %. The least settled classes come first."
)


def has(table: dict[str, Any], name: str) -> bool:
    """Whether a round scored its pool by this estimator."""
    values = np.ma.asarray(table[name])
    return len(values) == 0 or bool(values.count())


def extremes(project: Project, record: RoundRecord, table: dict[str, Any], estimator: str) -> None:
    """The least and the most certain images of the pool; a click opens a life."""
    values = np.asarray(table[estimator])
    order = np.argsort(-ESTIMATORS[estimator].urgency(values), kind="stable")
    ids = np.asarray(table["image_id"])
    ends = np.concatenate([order[:EXTREMES], order[::-1][:EXTREMES]])
    by_id = dict(zip(ids[ends].tolist(), values[ends].tolist(), strict=True))

    def caption(image: ImageRecord) -> str:
        return f"{by_id[image.id]:.2f}"

    title = "Least and most certain images"
    st.markdown(f"## {title}", help=f"By the {ESTIMATORS[estimator].words}. Click one to see its curves.")
    for end, places in (("Least certain", order[:EXTREMES]), ("Most certain", order[::-1][:EXTREMES])):
        st.caption(end)
        picked = thumbnails(
            project,
            ids[places].tolist(),
            f"extremes-{end}-{estimator}",
            captions=caption,
        )
        open_life(picked)


def open_life(image_id: int | None) -> None:
    """Go to the life of an image, if one was picked."""
    if image_id is not None:
        st.switch_page(DYNAMICS_PAGE, query_params={"image": str(image_id), "view": "life"})


def scatter(project: Project, record: RoundRecord, table: dict[str, Any]) -> None:
    """Snapshot entropy against dynamics entropy."""
    if not has(table, "td_entropy"):
        return
    info = figures.scatter_info(
        table["image_id"], table["entropy"], table["td_entropy"], _asked(project, record, table)
    )
    figure = figures.scatter_figure(info, charts.page_theme())
    charts.heading(SCATTER, SCATTER_HELP, "scatter", lambda: (info, figure))
    charts.say(words.scatter_told(info))
    _draw_scatter(figure, SCATTER, f"scatter-{project.slug}-{record.id}")


def exact(project: Project, record: RoundRecord, table: dict[str, Any]) -> None:
    """The module's margin against the exact one, where that is known."""
    if len(table["image_id"]) == 0 or not has(table, "exact_margin") or not has(table, "td_margin"):
        return
    info = figures.scatter_info(
        table["image_id"],
        table["td_margin"],
        table["exact_margin"],
        _asked(project, record, table),
        names=("predicted margin", "exact margin"),
    )
    figure = figures.exact_figure(info, charts.page_theme())
    charts.heading(EXACT, EXACT_HELP, "exact", lambda: (info, figure))
    charts.say(words.exact_told(info))
    _draw_scatter(figure, EXACT, f"exact-{project.slug}-{record.id}")


def _asked(project: Project, record: RoundRecord, table: dict[str, Any]) -> Bools:
    """(N,) whether each image of the pool was asked out of this round's ranking, or is in its next batch."""
    ranks = np.ma.filled(np.ma.asarray(table["rank"]), 0)
    answered = np.isin(table["image_id"], project.store.views.asked(record.id))
    asked: Bools = answered | ((ranks > 0) & (ranks <= project.settings.labels_per_round))
    return asked


def _draw_scatter(figure: go.Figure, title: str, key: str) -> None:
    """A scatter of the pool, and the image that is clicked."""
    selection = charts.draw(figure, title, key, select=True)
    picked = charts.picked(selection)
    opened = f"{key}-opened"
    if picked and st.session_state.get(opened) != picked[0]:
        st.session_state[opened] = picked[0]
        open_life(int(picked[0]))


def agreement(project: Project, table: dict[str, Any], known: list[str]) -> None:
    """Overlap of the next batches."""
    if len(known) < 2:
        return
    batch = project.settings.labels_per_round
    info = figures.agreement_info({name: np.asarray(table[name]) for name in known}, batch)
    theme = charts.page_theme()
    charts.chart(
        AGREEMENT,
        AGREEMENT_HELP,
        "agreement",
        lambda: (info, figures.agreement_figure(info, theme)),
        words.agreement_told(info),
    )


def by_class(project: Project, record: RoundRecord, table: dict[str, Any], estimator: str) -> None:
    """Spread of an estimator per predicted class."""
    styles = looking.styles_of(project, record)
    positions = class_positions(np.asarray(table["predicted"], dtype=np.int64), record.class_ids)
    values = np.asarray(table[estimator], dtype=np.float64)
    present = np.unique(positions)
    spread = [np.quantile(values[positions == position], [0.05, 0.25, 0.5, 0.75, 0.95]) for position in present]
    images = [int((positions == position).sum()) for position in present]
    info = figures.by_class_info(estimator, [styles[position] for position in present], images, spread)
    theme = charts.page_theme()
    charts.chart(
        BY_CLASS,
        BY_CLASS_HELP,
        "by-class",
        lambda: (info, figures.by_class_figure(info, theme)),
        words.by_class_told(info),
    )
    looking.say_names(project, record)
