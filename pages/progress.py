"""Progress: is it working, and is it enough?"""

from __future__ import annotations

import streamlit as st

from tidal_core.ui import enough_view, looking, progress_view, trust_view
from tidal_core.ui.first_figure import first_figure_stands
from tidal_core.ui.measured import not_yet, tested
from tidal_core.ui.runtime import current_project

project = current_project()
seen = looking.state_of(project)  # before anything is drawn: what changes on the way is seen as new
st.title("Progress")
st.caption("How accurate the model is, and whether you can stop labelling.")
done = looking.done_rounds(project)
if not done:
    looking.empty_state(project, "the accuracy of the model, and what more labels would bring")
else:
    measured = tested(project, done)
    if measured is None:
        st.info(not_yet(project, done))
    else:
        progress_view.summary(project, done, measured)
        progress_view.accuracy(project, done, measured)
    if measured is None or first_figure_stands("accuracy"):
        enough_view.enough(project, done, measured)
        progress_view.advice(project, done, measured)
        if measured is not None:
            progress_view.classes(project, measured.rounds[-1], measured.part)
            trust_view.calibration(project, measured.rounds[-1], measured.part)
        trust_view.quality(project, done)
        trust_view.pool_quality(project, done)
looking.watch(project, seen)
