"""Project: new projects, images in, classes, settings, labels out."""

from __future__ import annotations

import streamlit as st

from tidal_core.text import literal
from tidal_core.ui import address, class_parts, import_view, table_downloads
from tidal_core.ui import project_parts as parts
from tidal_core.ui.forms import class_list
from tidal_core.ui.model_downloads import model_downloads
from tidal_core.ui.owners import here, may_change
from tidal_core.ui.runtime import current_project
from tidal_core.ui.speed_view import speed_settings

project = current_project()
seen = import_view.job_state(project)  # before anything is drawn: what changes on the way is seen as new
st.title("Project")
st.caption(literal(project.title) + (f" · {literal(str(project.folder))}" if may_change() else ""))

images, classes, settings, export, new = address.tabs(project.slug)
with images:
    import_view.counts(project)
    if here("import images"):
        import_view.import_form(project)
    import_view.import_status(project, seen)
with classes:
    if here("change classes"):
        class_parts.class_editor(project)
    else:
        class_list(project)
with settings:
    if here("change settings"):
        parts.settings_form(project)
        speed_settings(project)
with export:
    if here("export labels and models"):
        table_downloads.report_download(project)
        table_downloads.label_downloads(project)
    st.page_link("pages/predictions.py", label="Predictions of every image", icon=":material/fact_check:")
    if may_change():
        model_downloads(project)
with new:
    if here("make new projects"):
        import_view.new_project_form()
