"""Uncertainty: what the model is unsure of, by its final prediction and by its training dynamics, round by round."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tidal_core.estimator_facts import COMPARED_ESTIMATORS, ESTIMATORS
from tidal_core.figures import uncertainty as figures
from tidal_core.figures.words import uncertainty as words
from tidal_core.ui import charts, looking, pool_view
from tidal_core.ui.first_figure import first_figure_stands
from tidal_core.ui.runtime import current_project

RIDGE_HELP = (
    "The distribution of the score over the images, one ridge for each round. Blue: already labelled. Magenta: chosen "
    "by this round (in the newest round also the next batch). Grey: the rest. Each group is scaled to its own size, so "
    "that small groups can be seen. "
)

project = current_project()
seen = looking.state_of(project)  # before anything is drawn: what changes on the way is seen as new
st.title("Uncertainty")
st.caption("Which images are unsettled, by the final prediction and by the training dynamics.")
done = looking.done_rounds(project)
if not done:
    looking.empty_state(project, "how unsure the model is of every image")
else:
    newest = done[-1]
    table = looking.pool_table(project, newest.id, looking.key_of(project, newest))
    known = [name for name in COMPARED_ESTIMATORS if pool_view.has(table, name)]
    if not known:
        st.info("This project has a single class, so there is no uncertainty to show. Add another on the Project page.")
        st.stop()
    names = {name: ESTIMATORS[name].title for name in known}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        estimator = st.segmented_control(
            "Score",
            known,
            default=known[0],
            required=True,
            format_func=names.__getitem__,
            key=f"estimator-{project.slug}",
        )
    estimator = str(estimator or known[0])
    theme = charts.page_theme()
    shown = done[-pool_view.ROUNDS_SHOWN :]
    low, high = ESTIMATORS[estimator].bounds(len(newest.class_ids))
    ridge = figures.ridge_info(
        estimator,
        [record.id for record in shown],
        list(figures.GROUP_NAMES),
        looking.histograms(project, shown, estimator),
        low,
        high,
    )
    charts.chart(
        f"{names[estimator]}, round by round",
        RIDGE_HELP + ESTIMATORS[estimator].help,
        f"ridge-{estimator}",
        lambda: (ridge, figures.ridge_figure(ridge, theme)),
        words.ridge_told(ridge),
    )
    if len(np.asarray(table["image_id"])) == 0:
        st.info("Every image is labelled, so there is no uncertainty to show.")
        st.stop()
    if first_figure_stands(f"ridge-{estimator}"):
        pool_view.extremes(project, newest, table, estimator)
        left, right = st.columns(2, gap="large")
        with left:
            pool_view.scatter(project, newest, table)
            pool_view.exact(project, newest, table)
        with right:
            pool_view.agreement(project, table, known)
            pool_view.by_class(project, newest, table, estimator)
looking.watch(project, seen)
