"""Gallery: every image, to find, choose and change many at once. The work is done by the component and its routes."""

from __future__ import annotations

import streamlit as st

from tidal_core.labelling.desk import desk_of
from tidal_core.ui import looking
from tidal_core.ui.address import DYNAMICS_PAGE
from tidal_core.ui.gallery import gallery
from tidal_core.ui.remembered import typed_name
from tidal_core.ui.runtime import annotator, current_project, get_studio, is_named

# The images get the room.
st.html(
    "<style>.stMainBlockContainer { padding: 3.75rem clamp(0.75rem, 3vw, 2.5rem) 0; max-width: none; }"
    ".stMainBlockContainer h1 { font-size: 1.5rem; padding: 0 0 0.35rem; }</style>"
)

project = current_project()
seen = looking.state_of(project)  # before anything is drawn: what changes on the way is seen as new
st.title("Gallery")
if project.store.images.count():
    opened = gallery(
        project,
        project_id=desk_of(project).project_id(),
        token=get_studio().token,
        annotator=annotator(),
        typed=is_named(typed_name()),
        version="-".join(map(str, seen)),
    )
    if opened is not None:
        st.switch_page(DYNAMICS_PAGE, query_params={"image": str(opened), "view": "life"})
else:
    looking.empty_state(project, "all images of this project")
looking.watch(project, seen)
