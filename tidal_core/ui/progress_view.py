"""Is it working, and is it enough: accuracy with a forecast, classes, confusions, the module's foresight, advice."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from tidal_core.figures import progress as figures
from tidal_core.figures.words import progress as words
from tidal_core.method import stopping
from tidal_core.projects import Project
from tidal_core.records import Int64, RoundRecord, class_positions
from tidal_core.rounds import again
from tidal_core.ui import charts, looking
from tidal_core.ui import measured as measuring
from tidal_core.ui.forecasts import DEFAULT_TARGET, forecast_in_words, target_key
from tidal_core.ui.measured import Tested
from tidal_core.ui.pool_view import open_life
from tidal_core.ui.rounds_view import ACCURACY, ACCURACY_HELP
from tidal_core.ui.runtime import annotator
from tidal_core.ui.thumbnails import thumbnails

TARGETS = (0.7, 0.8, 0.85, 0.9, 0.92, 0.95, 0.97, 0.98, 0.99)
PER_CLASS = "Class by class"
PER_CLASS_HELP = (
    "The share of each class that is predicted correctly, with the 95 % interval; hardest first. A wide interval means "
    "that few images of the class are kept to measure accuracy."
)
CONFUSIONS = "Which classes are confused"
CONFUSIONS_HELP = (
    "Rows: the label. Columns: the predicted class. Numbers count the images kept to measure accuracy. Click a cell to "
    "see its images."
)
FORECAST_HELP = (
    "A curve error = floor + scale x labels^-exponent is fitted to the rounds and continued; its 80 % band comes from "
    "200 fits, as if other images had measured the rounds. No number is shown while it is too uncertain."
)


def summary(project: Project, done: list[RoundRecord], measured: Tested) -> None:
    """The newest numbers in a row."""
    info = measuring.info(project, measured.rounds, measured)
    gain = _gain(measured)
    with st.container(horizontal=True):
        if len(info.accuracy):
            st.metric(
                "Accuracy",
                f"{info.accuracy[-1]:.1%}",
                f"{info.low[-1]:.0%} to {info.high[-1]:.0%}" if measured.is_comparable else "an estimate",
                delta_color="off",
                delta_arrow="off",
                help=ACCURACY_HELP,
                width=180,
            )
        if not math.isnan(info.balanced[-1]):
            st.metric(
                "Balanced accuracy",
                f"{info.balanced[-1]:.1%}",
                f"{info.balanced_low[-1]:.0%} to {info.balanced_high[-1]:.0%}",
                delta_color="off",
                delta_arrow="off",
                help="The mean over the classes of the share that is right: a rare class counts as much as a common "
                "one. Below: the 95 % interval.",
                width=200,
            )
        st.metric("Labels trained on", f"{done[-1].labels:,}", width=170)
        if gain is not None:
            low, high = 100 * gain.accuracy.low, 100 * gain.accuracy.high
            st.metric(
                f"Gain from the last {gain.labels:,} labels",
                f"{100 * gain.accuracy.value:+.1f} points",
                f"{low:+.1f} to {high:+.1f}",
                delta_color="off",
                delta_arrow="off",
                help="How much accuracy the last labels brought, in percentage points, with its 95 % interval "
                "(Newcombe). If the interval includes 0, it may be chance.",
                width=240,
            )
    st.caption(measuring.in_words(measured))


def _gain(measured: Tested | None) -> stopping.Gain | None:
    """What the last labels brought; None where the rounds were judged by images that cannot be compared."""
    if measured is None or not measured.is_comparable:
        return None
    return stopping.gain_of_last(*measured.comparable)


def accuracy(project: Project, done: list[RoundRecord], measured: Tested) -> None:
    """Accuracy over labels, with the forecast to a target where the rounds can be compared."""
    info = measuring.info(project, done, measured)
    since = measured.rounds[measured.comparable_from].id
    told = words.accuracy_told(info, comparable=measured.is_comparable, since=since)
    if not measured.is_comparable:
        theme = charts.page_theme()
        charts.chart(ACCURACY, ACCURACY_HELP, "accuracy", lambda: (info, figures.accuracy_figure(info, theme)), told)
        st.markdown(":material/schedule: No forecast: each round is judged by other images, which were chosen.")
        return
    target = st.select_slider(
        "Target accuracy",
        TARGETS,
        value=DEFAULT_TARGET,
        format_func=lambda share: f"{share:.0%}",
        key=target_key(project),
        width=420,
        help=FORECAST_HELP,
    )
    forecast = stopping.forecast(*measured.comparable, float(target))
    theme = charts.page_theme()
    charts.chart(
        ACCURACY, ACCURACY_HELP, "accuracy", lambda: (info, figures.accuracy_figure(info, theme, forecast)), told
    )
    st.markdown(forecast_in_words(forecast, float(target)))


def advice(project: Project, done: list[RoundRecord], measured: Tested | None) -> None:
    """Signs that it may be enough, each with its rule. A sign that is not there is no failure, and gets no cross."""
    last = done[-1]
    left = project.store.views.pool_mean(last.id, "td_entropy")
    share = None if left is None or len(last.class_ids) < 2 else left / math.log(len(last.class_ids))
    changed = None if len(done) < 2 else project.store.predictions.changed_share(last.id, done[-2].id)
    gain, is_little = None, None
    if measured is not None and measured.is_comparable:
        series = measured.comparable
        gain, is_little = stopping.gain_of_half(*series), stopping.is_little_gain(*series)
    advised = stopping.advise(gain, is_little, share, changed)
    icon = {"you can stop": "check_circle", "nearly there": "timelapse", "go on": "play_circle"}
    st.markdown(f"## :material/{icon.get(advised.verdict, 'hourglass_empty')}: {advised.sentence}")
    columns = st.columns(3)
    for column, rule in zip(columns, advised.rules, strict=True):
        mark = {True: ":material/check: ", False: ":material/trending_up: ", None: ":material/more_horiz: "}[rule.holds]
        with column.container(border=True, height="stretch"):
            st.markdown(f"{mark}**{rule.name}**")
            st.markdown(rule.measured)
            st.caption(f"A sign to stop: {rule.threshold}.")


def _counts(project: Project, record: RoundRecord, part: str) -> Int64:
    truth, predicted, n = project.store.predictions.confusion(record.id, part)
    size = len(record.class_ids)
    known = np.isin(truth, record.class_ids) & np.isin(predicted, record.class_ids)
    counts = np.zeros((size, size), dtype=np.int64)
    at = (class_positions(classes[known], record.class_ids) for classes in (truth, predicted))
    counts[*at] = n[known]
    return counts


@st.fragment
def classes(project: Project, record: RoundRecord, part: str) -> None:
    """Recall per class, and the confusions with their images."""
    styles = looking.styles_of(project, record)
    counts = _counts(project, record, part)
    theme = charts.page_theme()
    left, right = st.columns(2, gap="large")
    with left:
        each = figures.per_class_info(styles, counts)
        charts.chart(
            PER_CLASS,
            PER_CLASS_HELP,
            "per-class",
            lambda: (each, figures.per_class_figure(each, theme)),
            words.per_class_told(each),
        )
        if len(each.classes) < len(styles):
            st.caption(f"{len(each.classes)} of {len(styles)} classes: the hardest with images to measure accuracy.")
    with right:
        info = figures.confusion_info(styles, counts)
        figure = figures.confusion_figure(info, theme)
        charts.heading(CONFUSIONS, CONFUSIONS_HELP, "confusions", lambda: (info, figure))
        charts.say(words.confusion_told(info))
        selection = charts.draw(figure, CONFUSIONS, f"confusions-{project.slug}-{record.id}", select=True)
        if info.left_out:
            st.caption(f"The {len(info.classes)} most confused classes; {info.left_out} more are not shown.")
    looking.say_names(project, record)
    picked = charts.picked(selection)
    if not picked:
        return
    truth, predicted = (int(class_id) for class_id in picked[0])
    names = {style.id: style.name for style in styles}
    hidden = again.hidden_from(project, annotator())
    images = [
        image_id
        for image_id in project.store.predictions.cell(record.id, part, truth, predicted)
        if image_id not in hidden
    ]
    st.markdown("**Label and predicted class:**" if truth == predicted else "**Label → predicted class:**")
    st.text(f"{names[truth]} → {names[predicted]}: {len(images)} images, most certain first")
    open_life(thumbnails(project, images, f"cell-{truth}-{predicted}"))
