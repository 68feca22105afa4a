"""Can it be believed: what the TD module predicts against what is observed, and probabilities against what is right."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from tidal_core.figures import progress as figures
from tidal_core.figures.words import progress as words
from tidal_core.method import stopping
from tidal_core.method.calibration import calibration_error, fitted_temperature, reliability
from tidal_core.method.estimators import log_of
from tidal_core.projects import Project
from tidal_core.records import Float64, Int64, RoundRecord, class_positions
from tidal_core.rounds.calibrated import FIT_FROM, UNBIASED
from tidal_core.store.metrics import Metric
from tidal_core.text import literal
from tidal_core.ui import charts, looking
from tidal_core.ui.forms import table

QUALITY = "How well are training dynamics predicted?"
QUALITY_HELP = (
    "For the images that a round chose: the training dynamics observed once the model trained on them, compared with "
    "two guesses made when they were chosen: by the TD module, a small network that learns to predict training "
    "dynamics, and by the final prediction. Divergence "
    "(Kullback-Leibler, in nats) is 0 for a perfect guess; lower is better. Bars are 95 % intervals of the mean, from "
    "30 images on."
)
POOL_QUALITY = "How well are all images predicted?"
POOL_QUALITY_HELP = (
    "In these rounds only the head of the model trained, so the training dynamics of every image are known, also of "
    "those that nobody has labelled. Divergence (Kullback-Leibler, in nats) of two guesses from them, the TD module's "
    "and the final prediction; 0 is a perfect guess. Hover for the rank correlation of the module's margins with the "
    "exact ones: 1 means that it would choose the same images."
)
CALIBRATION = "Can the probabilities be believed?"
CALIBRATION_HELP = (
    "Of all images that the model gives 80 %, eight in ten should be right. The calibration error is how far the two "
    "are apart on average, on images that it never trained on: 0 % is perfect; with few images it is some per cent by "
    "chance alone. (Naeini et al. 2015)"
)
LEAST_CALIBRATED = 20


@st.cache_data(max_entries=200, show_spinner=False)
def _quality(_project: Project, round_id: int, key: str, after: int, order: tuple[int, ...]) -> stopping.Quality | None:
    foresight = _project.store.views.foresight(round_id)
    if len(foresight.observed) < 3:
        return None
    orders = {record.id: record.class_ids for record in _project.store.rounds.all()}
    observed_of = [orders[int(number)] for number in foresight.observed_rounds]
    observed_ids = [ids or known for ids, known in zip(foresight.observed_classes, observed_of, strict=True)]
    asked_ids = [ids or order for ids in foresight.predicted_classes]
    return stopping.quality(
        stopping.dense(foresight.observed, observed_ids, order),
        stopping.dense(foresight.predicted, asked_ids, order),
        stopping.dense(foresight.final, asked_ids, order),
    )


def quality(project: Project, done: list[RoundRecord]) -> None:
    """How well each round foresaw the dynamics of what it asked."""
    by_round = [
        (record, _quality(project, record.id, looking.key_of(project, record), done[-1].id, record.class_ids))
        for record in done
    ]
    usable = [(record.id, value) for record, value in by_round if value is not None]
    if not usable:
        charts.heading(QUALITY, QUALITY_HELP, "quality")
        st.caption(
            "Not available yet: label at least three images that a round chose, and let the next round train on them."
        )
        return
    info = figures.quality_info([one for one, _ in usable], [value for _, value in usable])
    theme = charts.page_theme()
    charts.chart(
        QUALITY, QUALITY_HELP, "quality", lambda: (info, figures.quality_figure(info, theme)), words.quality_told(info)
    )


def pool_quality(project: Project, done: list[RoundRecord]) -> None:
    """How well each round's TD module predicts the exact dynamics of all images, over the rounds and by class."""
    metrics = {name: _of_pool(project, name) for name in ("td_divergence", "final_divergence", "td_margin_correlation")}
    rounds = [record.id for record in done if record.id in metrics["td_divergence"]]
    if not rounds:
        return
    info = figures.pool_quality_info(
        rounds,
        [metrics["td_divergence"][number].n for number in rounds],
        *([getattr(metrics[name].get(number), "value", math.nan) for number in rounds] for name in metrics),
    )
    theme = charts.page_theme()
    charts.chart(
        POOL_QUALITY,
        POOL_QUALITY_HELP,
        "pool-quality",
        lambda: (info, figures.pool_quality_figure(info, theme)),
        words.pool_quality_told(info),
    )
    newest = next(record for record in done if record.id == rounds[-1])
    styles = looking.class_styles(project, newest)
    by_class = {
        metric.class_id: metric
        for metric in project.store.metrics.of_round(rounds[-1])
        if metric.split == "pool" and metric.name == "td_divergence" and metric.class_id in styles
    }
    if by_class:
        worst = max(by_class.values(), key=lambda metric: metric.value)
        best = min(by_class.values(), key=lambda metric: metric.value)
        st.caption(
            f"In round {rounds[-1]} by predicted class: closest for {literal(styles[best.class_id or 0].name)} "
            f"({best.value:.2f}, {best.n:,} images), farthest for {literal(styles[worst.class_id or 0].name)} "
            f"({worst.value:.2f}, {worst.n:,} images)."
        )
        looking.say_names(project, newest)


def _of_pool(project: Project, name: str) -> dict[int, Metric]:
    return {metric.round_id: metric for metric in project.store.metrics.series(name, "pool")}


@st.cache_data(max_entries=40, show_spinner=False)
def _held_out(_project: Project, round_id: int, part: str, key: str, labels_version: str) -> tuple[Float64, Int64]:
    """log p (N, C) and label positions (N,) of the images that a round was measured on; dense over its classes."""
    record = _project.store.rounds.get(round_id)
    order = list(record.class_ids)
    p, class_ids, labels = _project.store.predictions.held_out(round_id, part)
    positions = class_positions(labels, record.class_ids)
    columns = class_positions(np.array(_project.store.classes.standing(order)), record.class_ids)
    rows = stopping.merged(stopping.dense(p, class_ids, order), columns)[positions >= 0]
    return log_of(rows).astype(np.float64), positions[positions >= 0]


def calibration(project: Project, record: RoundRecord, part: str) -> None:
    """Whether the probabilities that the pages show mean what they say."""
    log_p, labels = _held_out(
        project, record.id, part, looking.key_of(project, record), looking.labels_version(project)
    )
    charts.heading(CALIBRATION, CALIBRATION_HELP, "calibration")
    if len(labels) < LEAST_CALIBRATED:
        st.caption(
            f"Not available yet: {len(labels):,} images measure accuracy; probabilities are judged from "
            f"{LEAST_CALIBRATED} images on."
        )
        return
    error = calibration_error(log_p, labels)
    temperature = fitted_temperature(log_p, labels)
    confidence = float(np.exp(log_p.max(axis=1)).mean())
    right = int((log_p.argmax(axis=1) == labels).sum())
    charts.say(words.calibration_told(confidence, right, len(labels)))
    with st.container(horizontal=True):
        st.metric("Calibration error", f"{error:.0%}", help=CALIBRATION_HELP, width=180)
        st.metric("It says, on average", f"{confidence:.0%}", width=170)
        st.metric("It is right", f"{right / len(labels):.0%}", width=140)
        st.metric(
            "Temperature that fits",
            f"{temperature:.2f}",
            help="What the model's outputs would have to be divided by for its probabilities to fit best: above 1 it "
            "is too sure, below 1 not sure enough. It changes no prediction.",
            width=190,
        )
    bins = reliability(log_p, labels)
    table(
        [
            {"It says": f"{claimed:.0%}", "It is right": f"{correct:.0%}", "Images": int(n)}
            for claimed, correct, n in zip(bins.confidence, bins.accuracy, bins.n_images, strict=True)
        ]
    )
    if part in UNBIASED and len(labels) >= FIT_FROM:
        st.caption(
            "The probabilities of suggestions and sheets on the page Label are shown with this temperature; figures "
            "and the choice of images use the model's own."
        )
    else:
        st.caption(
            f"Probabilities are shown as the model gives them: a temperature is used from {FIT_FROM} images on that "
            "were not chosen by a strategy."
        )
