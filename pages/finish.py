"""Finish: let the model label what it can be trusted with, and know what is left for people."""

from __future__ import annotations

import streamlit as st

from tidal_core.ui import finish_view, looking
from tidal_core.ui.runtime import current_project

project = current_project()
seen = looking.state_of(project)  # before anything is drawn: what changes on the way is seen as new
st.title("Finish")
st.caption("Let the model label the images that it can be trusted with.")
if looking.done_rounds(project):
    finish_view.finish(project)
else:
    looking.empty_state(project, "the images that the model can label for you")
looking.watch(project, seen)
