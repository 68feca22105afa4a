"""Race: a strategy against random asking, side by side, live."""

from __future__ import annotations

import streamlit as st

from tidal_core.ui import race_view as view
from tidal_core.ui.runtime import current_project

# A presenter's page: more of it is seen at once than of others.
st.html("<style>.stMainBlockContainer { padding-top: 3.75rem; padding-bottom: 1rem; max-width: 100rem; }</style>")

project = current_project()
st.title("Race")
st.caption("Does it pay to ask well? Two models learn from the same first labels; one of them asks at random.")
experiment = view.choose(project)
if experiment is not None:
    view.live(project, experiment)
