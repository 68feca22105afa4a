"""What a new user sees first: what this is, the three ways on, and on every page view the next step of a project."""

from __future__ import annotations

import streamlit as st

from tidal_core.projects import Project
from tidal_core.server.studio import DEMO
from tidal_core.ui.address import PROJECT_PAGE, THEORY_PAGE

NAME = "TiDAL Studio"
SENTENCE = "Sort your images into classes: a model learns while you label, and asks for those it needs most."


def is_new(project: Project) -> bool:
    """Whether nobody has answered anything in the demo yet: who looks at it is new here."""
    return project.slug == DEMO and project.store.answers.last_seq() == 0


def welcome() -> None:
    """Name, sentence, three ways on; above the demo, which is the second of them."""
    with st.container(key="welcome", gap="xsmall"):
        st.title(NAME, anchor=False)
        st.markdown(SENTENCE)
        with st.container(horizontal=True, gap="small"):
            st.page_link(
                PROJECT_PAGE,
                label="Label your own photos",
                icon=":material/add_photo_alternate:",
                query_params={"tab": "New project"},
            )
            st.page_link(THEORY_PAGE, label="What is this?", icon=":material/help:")
            st.markdown("or try it here: **which digit is it? Press its key.**", width="content")


def next_step(project: Project) -> None:
    """What is missing before anything can be labelled, with the way there; nothing where labelling can go on."""
    if not project.store.images.count():
        st.info("This project has no images yet.", icon=":material/add_photo_alternate:")
        st.page_link(PROJECT_PAGE, label="Add images", icon=":material/folder_open:")
    elif not project.store.classes.all():
        st.info("The images are here; the classes to choose from are missing.", icon=":material/category:")
        st.page_link(PROJECT_PAGE, label="Add classes", icon=":material/category:", query_params={"tab": "Classes"})
