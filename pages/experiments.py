"""Experiments: strategies compared where the labels are known."""

from __future__ import annotations

import streamlit as st

from tidal_core.ui import experiments_form as form
from tidal_core.ui import experiments_view as view

st.title("Experiments")
st.caption(
    "Does asking by training dynamics pay? Known labels stand in for a person; training, scoring and asking are the "
    "studio's own. Runs go on in the background, and where they were after a restart."
)
form.start_form()
form.ways_of_asking()
experiment = view.choose()
if experiment is not None:
    view.progress(experiment)
    view.compare(experiment)
