"""What people set aside: flagged questions and skipped images, with reason and note, to look at and to take back."""

from __future__ import annotations

import uuid

import streamlit as st

from tidal_core.labelling.desk import desk_of
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, AnswerMode, ImageRecord, StoredAnswer
from tidal_core.rounds import again
from tidal_core.text import literal
from tidal_core.ui.address import show_image
from tidal_core.ui.forms import note_refused, show_refused
from tidal_core.ui.runtime import annotator, get_studio
from tidal_core.ui.thumbnails import picture

KINDS = {"all": "All", "flag": "Flags", "skip": "Skips"}
SHOWN_AT_ONCE = 30
_THUMBNAIL = 96  # pixels


def set_aside(project: Project) -> None:
    """Flags and skips that stand, newest first, each with its image and its buttons."""
    place = f"set-aside-{project.slug}"
    show_refused(place)
    shown = st.segmented_control(
        "Show", list(KINDS), default="all", required=True, format_func=KINDS.__getitem__, key=f"{place}-kind"
    )
    hidden = again.hidden_from(project, annotator())
    entries = [
        entry
        for entry in project.store.answers.set_aside()
        if shown in ("all", entry.answer.kind.value) and entry.answer.image_id not in hidden
    ]
    if not entries:
        st.info(
            "Nothing is set aside. On the page Label, f flags an image for discussion and s skips it with a "
            "reason; both are listed here."
        )
        return
    most = st.session_state.get(f"{place}-most", SHOWN_AT_ONCE)
    st.caption(f"{len(entries):,} in all, the newest first.")
    images = {image.id: image for image in project.store.images.many(e.answer.image_id for e in entries[:most])}
    for entry in entries[:most]:
        _row(project, images[entry.answer.image_id], entry, place)
    if len(entries) > most and st.button("Show more", key=f"{place}-more"):
        st.session_state[f"{place}-most"] = most + SHOWN_AT_ONCE
        st.rerun()


def in_words(answer: Answer) -> str:
    """Why an image was set aside, as Markdown."""
    if answer.kind is AnswerKind.FLAG:
        return f":material/flag: **Flagged**: {literal(answer.note)}" if answer.note else ":material/flag: **Flagged**"
    return f":material/skip_next: **Skipped**: {literal(answer.reason or 'no reason')}"


def _row(project: Project, image: ImageRecord, entry: StoredAnswer, place: str) -> None:
    answer = entry.answer
    key = f"{place}-{answer.event_id}"
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        thumbnail = picture(project, image, _THUMBNAIL)
        if thumbnail is not None:
            st.image(thumbnail[0], width=_THUMBNAIL, alt=f"Image {image.id}")
        with st.container(gap="small"):
            st.markdown(in_words(answer))
            when = f"{entry.answered_at:%d %b %Y, %H:%M} UTC"
            shown_name = desk_of(project).names().of(image.name)
            called = f"{literal(shown_name)} (image {image.id})" if shown_name else f"Image {image.id}"
            st.caption(f"{called} · {literal(answer.annotator)} · {when}")
        st.button("Look at it", key=f"{key}-look", on_click=show_image, args=(image.id,), icon=":material/show_chart:")
        st.button("Undo", key=f"{key}-undo", on_click=_take_back, args=(project, answer, place), icon=":material/undo:")


def _take_back(project: Project, answer: Answer, place: str) -> None:
    undo = answer.undone(uuid.uuid4().hex, annotator=annotator(), mode=AnswerMode.REVIEW)
    refused = desk_of(project).record([undo])[0].refused
    if refused:
        note_refused(place, refused)
    get_studio().worker.wake()
