"""Experiments: strategies compared where the labels are known."""

from __future__ import annotations

import streamlit as st

from tidal_core.ui import experiments_form as form
from tidal_core.ui import experiments_view as view
from tidal_core.ui.owners import here, may_change

st.title("Experiments")
st.caption(
    "Which strategy needs the fewest labels? Known labels stand in for a person; training, scoring and choosing images "
    "work as in the studio. Runs continue in the background; after a restart, press “Go on”."
)
if here("compare strategies"):
    form.start_form()
form.ways_of_asking()
experiment = view.choose()
if experiment is not None:
    view.progress(experiment)
    view.compare(experiment)
    if may_change():
        view.removal(experiment)
