"""Replay: the rounds again, epoch by epoch, to play, to send as a link and to take along as a file."""

from __future__ import annotations

import streamlit as st

from tidal_core.labelling.desk import desk_of
from tidal_core.ui import looking, replay_downloads
from tidal_core.ui.blind import may_look
from tidal_core.ui.replay import replay
from tidal_core.ui.runtime import current_project, get_studio

project = current_project()
seen = looking.state_of(project)  # before anything is drawn: what changes on the way is seen as new
st.title("Replay")
st.caption("How the model learnt, round by round: its curves, the data map, what it asked for, how accurate it became.")
done = looking.done_rounds(project)
if not done:
    looking.empty_state(project, "the rounds, to be played again")
elif may_look(project, "Replay", titled=True):
    replay(
        project,
        project_id=desk_of(project).project_id(),
        token=get_studio().token,
        version=f"{done[-1].id}-{done[-1].created_at.isoformat()}-{len(project.store.classes.history())}",
    )
    replay_downloads.replay_downloads(project)
looking.watch(project, seen)
