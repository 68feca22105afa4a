"""Predictions: what the newest model says of each image, as a table to look through and to take away."""

from __future__ import annotations

import streamlit as st

from tidal_core.ui import looking, predictions_view
from tidal_core.ui.runtime import current_project

project = current_project()
seen = looking.state_of(project)  # before anything is drawn: what changes on the way is seen as new
st.title("Predictions")
st.caption("What the model says of each image.")
done = looking.done_rounds(project)
if done:
    predictions_view.predictions(project, done)
else:
    looking.empty_state(project, "the class that the model predicts for every image")
looking.watch(project, seen)
