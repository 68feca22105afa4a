"""A line on the page Label after a round has ended, and the way to "Have I done enough?".

It asks for itself, one small query each time, and never on the way of an answer. What it says needs the figures' rooms,
which are slow to load: nothing is said before the page has been there for a while, and they are loaded then.
"""

from __future__ import annotations

import streamlit as st

from tidal_core.projects import Project
from tidal_core.records import RoundState
from tidal_core.ui.address import PROGRESS_PAGE

POLL_SECONDS = 10.0


@st.fragment(run_every=POLL_SECONDS)
def after_round(project: Project) -> None:
    """Draw it, from the second run on."""
    key = f"after-round-{project.slug}"
    if not st.session_state.get(key):
        st.session_state[key] = True
        return
    record = project.store.rounds.latest(RoundState.DONE)
    if record is None:
        return
    from tidal_core.ui import looking
    from tidal_core.ui.enough_view import ENOUGH, line_after_round

    line = line_after_round(project, looking.key_of(project, record))
    st.caption(f"Round {record.id} has ended. {line}")
    st.page_link(PROGRESS_PAGE, label=ENOUGH, icon=":material/trending_up:", query_params={"project": project.slug})
