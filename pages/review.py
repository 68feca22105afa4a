"""Review: labels that are probably wrong, to keep or to change by one key."""

from __future__ import annotations

import streamlit as st

from tidal_core.ui import looking, review_view
from tidal_core.ui.runtime import current_project

project = current_project()
seen = looking.state_of(project)  # before anything is drawn: what changes on the way is seen as new
st.title("Review")
st.caption("Labels that are probably wrong: keep them, or change them.")
review_view.show(project)
looking.watch(project, seen)
