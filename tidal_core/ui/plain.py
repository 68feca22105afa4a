"""Labelling with Streamlit's own widgets: for screen readers, for browsers that refuse scripts, for tests.

The same desk serves it, so leases, audit images and undo work as in the component. One answer is one rerun: this is
the safe way, not the fast one. An answer names the image its button was drawn for.
"""

from __future__ import annotations

import uuid

import streamlit as st

from tidal_core.errors import ImageUnreadable
from tidal_core.images.pixels import PixelStore
from tidal_core.images.previews import SCREEN_SIZE, preview
from tidal_core.labelling.desk import Asked, Desk
from tidal_core.records import Answer, AnswerKind, AnswerMode, Shown
from tidal_core.store.class_rules import LONGEST_NAME
from tidal_core.text import literal
from tidal_core.ui.forms import attempt_in_callback, show_refused
from tidal_core.ui.owners import owners

REASONS = ("unclear", "not in the list", "bad image")
_TAB = "plain-tab"
BUTTONS_AT_MOST = 30


def plain_labeller(desk: Desk, annotator: str) -> None:
    """Draw the next image with a button for each class, skip, flag and undo."""
    tab = st.session_state.setdefault(_TAB, f"plain-{uuid.uuid4().hex[:12]}")
    sentence = st.session_state.get(_sentence_of(desk))
    if sentence:
        st.caption(sentence)
    asked = desk.next(tab, 1, annotator=annotator)
    if not asked:
        st.info("Every image is labelled or open in another tab.", icon=":material/check_circle:")
    else:
        _one(desk, asked[0], tab, annotator)
    done: list[Answer] = st.session_state.get(_done_of(desk), [])
    key = f"plain-{desk.project.slug}-undo-{done[-1].event_id if done else ''}"
    st.button("Undo", key=key, disabled=not done, on_click=_undo, args=(desk, tab, done))


def _sentence_of(desk: Desk) -> str:
    """Where the last sentence about an answer in this project is kept."""
    return f"plain-said-{desk.project.slug}"


def _done_of(desk: Desk) -> str:
    """Where the answers of this browser in this project are kept, to undo them."""
    return f"plain-done-{desk.project.slug}"


def _one(desk: Desk, asked: Asked, tab: str, annotator: str) -> None:
    image = asked.image
    # A press that comes late, from a page drawn before, must not answer what stands in its place now.
    key = f"plain-{desk.project.slug}-{image.id}"
    try:
        body, _ = preview(image, SCREEN_SIZE, desk.project.previews)
    except ImageUnreadable:
        body = PixelStore(desk.project.pixels).png(image.pixel_row)
    shown_name = desk.names().of(image.name)
    alt = f"The image to label, {shown_name}" if shown_name else "The image to label"
    st.image(body, width=max(224, min(image.width, 720)), alt=alt)
    if shown_name:
        st.text(shown_name)  # names are text, never markup
    classes = desk.project.store.classes.all()
    if not classes:
        st.info("There are no classes yet: add some on the Project page.", icon=":material/category:")
    elif len(classes) <= BUTTONS_AT_MOST:
        with st.container(horizontal=True):
            for record in classes:
                st.button(
                    literal(record.name),
                    key=f"{key}-{record.id}",
                    on_click=_label,
                    args=(desk, asked, tab, annotator, record.id, record.name),
                )
    else:
        names = {record.id: record.name for record in classes}
        chosen = st.selectbox("Class", list(names), index=None, format_func=names.__getitem__, key=key)
        if chosen is not None:
            st.button(
                "Answer",
                type="primary",
                key=f"{key}-answer-{chosen}",
                on_click=_label,
                args=(desk, asked, tab, annotator, chosen, names[chosen]),
            )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        new_key = f"{key}-new-class"
        st.text_input("Another class", key=new_key, max_chars=LONGEST_NAME, placeholder="Its name")
        owners.button(
            "Add it and answer", key=f"{key}-add", on_click=_add_class, args=(desk, asked, tab, annotator, new_key)
        )
    show_refused(f"plain-class-{desk.project.slug}")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        reason = st.selectbox("Reason to skip", REASONS, key=f"{key}-reason", width=220)
        st.button("Skip", key=f"{key}-skip", on_click=_skip, args=(desk, asked, tab, annotator, reason))
        note = st.text_input("Note for a discussion", key=f"{key}-note", max_chars=500)
        st.button("Flag", key=f"{key}-flag", on_click=_flag, args=(desk, asked, tab, annotator, note))


def _called(desk: Desk, asked: Asked) -> str:
    """An image in a sentence, as Markdown."""
    return literal(desk.names().of(asked.image.name) or f"Image {asked.image.id}")


def _answer(asked: Asked, kind: AnswerKind, annotator: str) -> dict[str, object]:
    return {
        "event_id": uuid.uuid4().hex,
        "kind": kind,
        "image_id": asked.image.id,
        "annotator": annotator,
        "mode": AnswerMode.WIDGETS,
        "suggestion_shown": Shown.NEVER,
        "round_id": asked.round_id,
        "purpose": asked.purpose,
    }


def _record(desk: Desk, answer: Answer, tab: str, said: str) -> None:
    outcome = desk.record([answer], tab)[0]
    st.session_state[_sentence_of(desk)] = said if outcome.refused is None else literal(outcome.refused)
    if outcome.refused is None and answer.kind is not AnswerKind.UNDO:
        st.session_state[_done_of(desk)] = [*st.session_state.get(_done_of(desk), []), answer]


def _label(desk: Desk, asked: Asked, tab: str, annotator: str, class_id: int, name: str) -> None:
    answer = Answer(**_answer(asked, AnswerKind.LABEL, annotator), class_id=class_id)  # type: ignore[arg-type]
    _record(desk, answer, tab, f"{_called(desk, asked)}: {literal(name)}")


def _add_class(desk: Desk, asked: Asked, tab: str, annotator: str, key: str) -> None:
    """A class that is missing, and the answer with it."""
    name = str(st.session_state.get(key) or "")
    added = attempt_in_callback(
        f"plain-class-{desk.project.slug}", lambda: desk.project.store.classes.add([name], author=annotator)
    )
    if added:
        _label(desk, asked, tab, annotator, added[0].id, added[0].name)


def _skip(desk: Desk, asked: Asked, tab: str, annotator: str, reason: str) -> None:
    answer = Answer(**_answer(asked, AnswerKind.SKIP, annotator), reason=reason)  # type: ignore[arg-type]
    _record(desk, answer, tab, f"{_called(desk, asked)}: skipped, {reason}")


def _flag(desk: Desk, asked: Asked, tab: str, annotator: str, note: str) -> None:
    answer = Answer(**_answer(asked, AnswerKind.FLAG, annotator), note=note.strip() or None)  # type: ignore[arg-type]
    _record(desk, answer, tab, f"{_called(desk, asked)}: flagged")


def _undo(desk: Desk, tab: str, done: list[Answer]) -> None:
    last = done[-1]
    undo = last.undone(uuid.uuid4().hex, annotator=last.annotator, mode=AnswerMode.WIDGETS)
    st.session_state[_done_of(desk)] = done[:-1]
    _record(desk, undo, tab, "Undone; the image is shown again.")
