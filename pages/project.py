"""Project: new projects, images in, classes, settings, labels out."""

from __future__ import annotations

import streamlit as st

from tidal_core.text import literal
from tidal_core.ui import address, class_parts, import_view, table_downloads
from tidal_core.ui import project_parts as parts
from tidal_core.ui.model_downloads import model_downloads
from tidal_core.ui.runtime import current_project
from tidal_core.ui.speed_view import speed_settings

project = current_project()
seen = import_view.job_state(project)  # before anything is drawn: what changes on the way is seen as new
st.title("Project")
st.caption(f"{literal(project.title)} · {literal(str(project.folder))}")

images, classes, settings, export, new = address.tabs(project.slug)
with images:
    import_view.counts(project)
    import_view.import_form(project)
    import_view.import_status(project, seen)
with classes:
    class_parts.class_editor(project)
with settings:
    parts.settings_form(project)
    speed_settings(project)
with export:
    table_downloads.report_download(project)
    table_downloads.label_downloads(project)
    st.page_link("pages/predictions.py", label="Predictions of every image", icon=":material/fact_check:")
    model_downloads(project)
with new:
    import_view.new_project_form()
