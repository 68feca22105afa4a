"""One class on the Project page: what it is, in words and images, and a new pass over its images."""

from __future__ import annotations

import streamlit as st

from tidal_core.errors import InputError
from tidal_core.labelling.about_class import about_class, choose_example
from tidal_core.labelling.splitting import images_of, split_off
from tidal_core.projects import Project
from tidal_core.records import ClassRecord
from tidal_core.store.class_rules import LONGEST_DESCRIPTION
from tidal_core.text import literal
from tidal_core.ui.forms import attempt, attempt_in_callback, show_refused
from tidal_core.ui.owners import for_owners, may_change, owners
from tidal_core.ui.runtime import annotator, get_studio
from tidal_core.ui.thumbnails import thumbnails


def describe(project: Project, record: ClassRecord, key: str) -> None:
    """Description and example images, as the Label page shows them with the key ``,``."""
    place, text_key = f"about-class-{project.slug}", f"{key}-{record.id}-description"
    st.text_area(
        "Description", record.description, key=text_key, max_chars=LONGEST_DESCRIPTION, height=90,
        placeholder="What tells it from the others",
        help="Shown on the Label page, beside the image, with the key , (comma).",
        on_change=_describe, args=(project, record, text_key, place),
    )  # fmt: skip
    about = about_class(project, record.id)
    st.caption(f"Example images: {about.how}")
    if about.images:
        ids = [image.id for image in about.images]
        picked = thumbnails(project, ids, f"examples-{record.id}")
        if record.examples:
            if picked is not None and may_change():
                attempt_in_callback(
                    place, lambda: choose_example(project, record.id, picked, False, author=annotator())
                )
                st.rerun()
            st.caption("Click one to take it away. The page of an image (Dynamics) makes it an example of its class.")
        else:
            st.caption("Choose others on the page of an image (Dynamics).")
    show_refused(place)


@for_owners
def _describe(project: Project, record: ClassRecord, key: str, place: str) -> None:
    text = str(st.session_state[key])
    attempt_in_callback(
        place,
        lambda: project.store.classes.change(record.id, shown=record, description=text, author=annotator()),
    )


def example_button(project: Project, image_id: int, label: int) -> None:
    """Let a person choose an image to show what its class is; ``label`` is the class that it was given."""
    classes = project.store.classes
    record = classes.get(classes.standing([label])[0])
    if not record.is_in_use:
        return
    is_one, name = image_id in record.examples, literal(record.name)
    if owners.button(
        f"No longer an example of {name}" if is_one else f"Show it as an example of {name}",
        icon=":material/star:" if is_one else ":material/star_border:",
        key=f"example-{project.slug}-{image_id}-{record.id}-{is_one}",
        width="stretch",
        help="Examples are shown on the Label page with the key , (comma).",
    ):
        done = attempt(lambda: choose_example(project, record.id, image_id, not is_one, author=annotator()))
        if done is not None:
            st.rerun()


def split(project: Project, record: ClassRecord, key: str) -> None:
    """Send the images of a class to a new pass: chosen first, confirmed with their number second."""
    place, where_key, open_key = f"split-{project.slug}", f"{key}-{record.id}-where", f"{key}-{record.id}-split"
    with st.expander("Split it: ask its images again"):
        st.caption(
            "For a class that turned out to be two: add the new class, then let people say again which is which. The "
            "images lose this label and are asked next; the old labels stay in the history, and undoing this below "
            "gives them again, except where somebody has answered since."
        )
        where = st.text_input(
            "Only images that fulfil a condition", key=where_key, placeholder="All of them; or margin<0.2",
            help="As in the gallery; docs/conditions.md has all words.",
        )  # fmt: skip
        owners.button("Ask again", key=f"{open_key}-ask", on_click=_open, args=(open_key,))
        if st.session_state.get(open_key):
            try:
                n = len(images_of(project.store, record.id, where))
            except InputError as error:
                st.error(literal(str(error)))
                n = 0
            else:
                st.markdown(
                    f"**{n:,} image{'' if n == 1 else 's'}** of {literal(record.name)} will be asked again. Their "
                    "labels are not trained on until then."
                )
            with st.container(horizontal=True):
                owners.button(
                    "Ask these again", key=f"{open_key}-yes", type="primary", disabled=not n,
                    on_click=_split, args=(project, record, where, open_key, place),
                )  # fmt: skip
                owners.button("Cancel", key=f"{open_key}-no", on_click=_close, args=(open_key,))
        show_refused(place)


def _open(key: str) -> None:
    st.session_state[key] = True


def _close(key: str) -> None:
    st.session_state[key] = False


def _split(project: Project, record: ClassRecord, where: str, open_key: str, place: str) -> None:
    _close(open_key)
    done = attempt_in_callback(place, lambda: split_off(project.store, record.id, where, author=annotator()))
    if done is not None:
        get_studio().worker.wake()
        st.toast(f"{done.images:,} image{'' if done.images == 1 else 's'} will be asked again.")
