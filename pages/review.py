"""Review: labels that are probably wrong, and those that people disagree on, to keep or to change by one key."""

from __future__ import annotations

import streamlit as st

from tidal_core.ui import agreement_view, looking, review_view
from tidal_core.ui.runtime import current_project

project = current_project()
seen = looking.state_of(project)  # before anything is drawn: what changes on the way is seen as new
st.title("Review")
part = st.segmented_control(
    "What to look at",
    ["Doubtful labels", "Agreement"],
    default="Doubtful labels",
    required=True,
    label_visibility="collapsed",
    key=f"review-part-{project.slug}",
)
if part == "Agreement":
    st.caption("What several people said of the same images, without seeing each other's answers.")
    agreement_view.show(project)
else:
    st.caption("Labels that are probably wrong: keep them, or change them.")
    review_view.show(project)
looking.watch(project, seen)
