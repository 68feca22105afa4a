"""Label: the page people sit in front of. The work is done by the labelling component and its routes."""

import streamlit as st

from tidal_core.labelling.desk import desk_of
from tidal_core.text import literal
from tidal_core.ui import after_round, welcome
from tidal_core.ui.autopilot_view import autopilot_button, autopilot_panel
from tidal_core.ui.labeller import labeller
from tidal_core.ui.plain import plain_labeller
from tidal_core.ui.remembered import typed_name
from tidal_core.ui.runtime import annotator, current_project, get_studio, is_named

# The image gets the room: less of Streamlit's margin above and below than other pages have.
st.html("<style>.stMainBlockContainer { padding-top: 3.75rem; padding-bottom: 1rem; max-width: 100rem; }</style>")

project = current_project()
desk = desk_of(project)
if welcome.is_new(project):
    welcome.welcome()
welcome.next_step(project)
autopilot_panel(project)

if st.query_params.get("plain") == "1":
    if not welcome.is_new(project):
        st.title("Label")
    st.caption("Plain widgets: one answer at a time, for screen readers and for browsers without scripts.")
    st.caption(f"You are {literal(annotator())}. Your name is stored with each answer; it stands at the side.")
    plain_labeller(desk, annotator())
    if st.button("Use the fast labeller", key="fast"):
        del st.query_params["plain"]
        st.rerun()
else:
    labeller(
        slug=project.slug,
        project_id=desk.project_id(),
        token=get_studio().token,
        annotator=annotator(),
        typed=is_named(typed_name()),
        titled=not welcome.is_new(project),
    )
    if st.button("Use plain widgets instead", key="plain", type="tertiary"):
        st.query_params["plain"] = "1"
        st.rerun()
autopilot_button(project)
after_round.after_round(project)
