"""Project: new projects, images in, classes, settings, labels out."""

from __future__ import annotations

import streamlit as st

from tidal_core.ui import project_parts as parts
from tidal_core.ui.model_downloads import model_downloads
from tidal_core.ui.runtime import current_project

project = current_project()
st.title("Project")
st.caption(f"{project.title} · {project.folder}")

images, classes, settings, export, new = st.tabs(["Images", "Classes", "Settings", "Export", "New project"])
with images:
    parts.counts(project)
    parts.import_form(project)
    parts.import_status(project)
with classes:
    parts.class_editor(project)
with settings:
    parts.settings_form(project)
with export:
    parts.export_downloads(project)
    model_downloads(project)
with new:
    parts.new_project_form()
