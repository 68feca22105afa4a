"""Dynamics: the life of one image, the map of all, the curves of groups, what was set aside."""

from __future__ import annotations

import streamlit as st

from tidal_core.errors import NotFound
from tidal_core.projects import Project
from tidal_core.records import ImageRecord
from tidal_core.text import literal
from tidal_core.ui import groups, life, looking, set_aside
from tidal_core.ui.address import VIEWS, choice_key, show_image
from tidal_core.ui.runtime import current_project
from tidal_core.ui.thumbnails import thumbnails


def asked_image(project: Project) -> ImageRecord | None:
    """The image of the address; says so when there is none of this number."""
    text = st.query_params.get("image", "")
    if not text:
        return None
    try:
        return project.store.images.get(int(text))
    except (NotFound, ValueError, OverflowError):
        st.warning(f"There is no image {literal(repr(text[:40]))} in this project. Search for one below.")
        return None


def find(project: Project) -> ImageRecord | None:
    """The image to show: searched for, in the address, or the one that the model changed its mind about most."""

    find_key, searched_key = f"find-{project.slug}", f"searched-{project.slug}"

    def searched() -> None:
        st.session_state[searched_key] = st.session_state[find_key].strip()

    st.text_input(
        "Find an image",
        key=find_key,
        placeholder="Image number or part of the file name",
        icon=":material/search:",
        on_change=searched,
        width=420,
    )
    text = st.session_state.get(searched_key, "")
    if text:
        matches = project.store.images.find(text, limit=24)
        if not matches:
            st.info("No image has this number or name.")
        elif len(matches) == 1 or str(matches[0].id) == text:
            st.session_state[searched_key] = ""
            show_image(matches[0].id)
            st.rerun()
        else:
            st.caption(f"{len(matches)} images; click one" if len(matches) < 24 else "The first 24 images; click one")
            picked = thumbnails(project, [image.id for image in matches], "matches")
            if picked is not None:
                st.session_state[searched_key] = ""
                show_image(picked)
                st.rerun()
    return asked_image(project) or groups.most_variable(project)


def show_life(project: Project) -> None:
    image = find(project)
    if image is None:
        looking.empty_state(project, "how the model learnt an image, epoch by epoch")
        return
    if "image" not in st.query_params and looking.done_rounds(project):
        st.caption("This is the image whose prediction changed most. Search for any other.")
    life.show(project, image)


project = current_project()
seen = looking.state_of(project)  # before anything is drawn: what changes on the way is seen as new
st.title("Dynamics")
st.caption("How the model's predictions changed while it trained, image by image.")
view = st.segmented_control(
    "View",
    list(VIEWS),
    required=True,
    format_func=VIEWS.__getitem__,
    key=choice_key("dynamics", project.slug),
    label_visibility="collapsed",
)
if view == "life":
    show_life(project)
elif view == "aside":
    set_aside.set_aside(project)
elif not looking.done_rounds(project):
    looking.empty_state(project, "a map of all labelled images" if view == "map" else "the curves of groups of images")
elif view == "map":
    groups.data_map(project)
else:
    groups.bands(project)
looking.watch(project, seen)
