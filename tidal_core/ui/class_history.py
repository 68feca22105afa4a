"""The history of the classes on the Project page, and their list as a file."""

from __future__ import annotations

import functools

import streamlit as st

from tidal_core.labelling.splitting import undo_change
from tidal_core.projects import Project
from tidal_core.records import ClassEvent, ClassEventKind
from tidal_core.store import class_lists
from tidal_core.store.class_words import event_in_words
from tidal_core.text import literal
from tidal_core.ui.forms import attempt, attempt_in_callback, show_refused
from tidal_core.ui.owners import owners
from tidal_core.ui.runtime import annotator, get_studio

SHOWN = 30


def history(project: Project) -> None:
    """Every change, the newest first, with who made it and when, and the button that takes it back."""
    events = project.store.classes.history()
    place = f"class-history-{project.slug}"
    with st.expander(f"History of the classes: {len(events):,} change{'' if len(events) == 1 else 's'}"):
        if not events:
            st.caption("Nothing was changed yet.")
        names = {record.id: record.name for record in project.store.classes.all(include_retired=True)}
        for event in events[: -SHOWN - 1 : -1]:
            with st.container(horizontal=True, vertical_alignment="center"):
                with st.container(width="stretch", gap=None):
                    said = literal(event_in_words(event, names, events))
                    st.markdown(said if event.stands else f"~~{said}~~ (undone)")
                    who = f"{literal(event.author)} · " if event.author else ""
                    st.caption(f"{who}{event.happened_at:%d %b %Y, %H:%M} UTC")
                if event.stands and event.kind is not ClassEventKind.START:
                    owners.button(
                        "Undo", key=f"{place}-{event.seq}", on_click=_undo, args=(project, event, place),
                        help="Takes this change back, if no later one stands in the way.",
                    )  # fmt: skip
        if len(events) > SHOWN:
            st.caption(f"The last {SHOWN} of {len(events):,}.")
    show_refused(place)


def _undo(project: Project, event: ClassEvent, place: str) -> None:
    if attempt_in_callback(place, lambda: undo_change(project.store, event.seq, author=annotator())) is not None:
        get_studio().worker.wake()


def files(project: Project) -> None:
    """The list of classes out, as JSON or CSV, and in, with what it would change before anything is changed."""
    records, slug = project.store.classes.all(), project.slug
    with st.expander("The list of classes as a file"):
        with st.container(horizontal=True):
            for kind in class_lists.FORMATS:
                st.download_button(
                    f"Classes as {kind.upper()}",
                    functools.partial(class_lists.to_text, records, kind),
                    f"{slug}-classes.{kind}",
                    key=f"classes-out-{slug}-{kind}",
                    disabled=not records,
                    on_click="ignore",
                )
        key = f"classes-in-{slug}-{st.session_state.get(f'classes-in-{slug}', 0)}"
        (given,) = owners.file_uploader("Take in a list of classes", type=list(class_lists.FORMATS), key=key)[:1] or [
            None
        ]
        if given is None:
            st.caption(
                "With the columns name, key, colour, description; only name is needed. Classes of the same name get "
                "what the file says, others are added, none is taken away."
            )
        else:
            _preview(project, given.name, given.getvalue())
        show_refused(f"classes-in-{slug}")


def _preview(project: Project, name: str, content: bytes) -> None:
    def read() -> tuple[class_lists.ListedClasses, list[str]]:
        listed = class_lists.from_bytes(content, class_lists.kind_of(name))
        return listed, class_lists.plan_in_words(project.store.classes.all(include_retired=True), listed)

    found = attempt(read)
    if found is None:
        return
    listed, lines = found
    st.markdown("\n".join(["This would be changed:", "", *(f"- {literal(line)}" for line in lines)]))
    owners.button(
        "Take in this list",
        type="primary",
        key=f"classes-in-{project.slug}-yes",
        on_click=_take,
        args=(project, listed, name),
    )


def _take(project: Project, listed: class_lists.ListedClasses, name: str) -> None:
    place = f"classes-in-{project.slug}"
    done = attempt_in_callback(
        place,
        lambda: project.store.classes.take_list(
            lambda known: class_lists.planned(known, listed), author=annotator(), source=name
        ),
    )
    if done is not None:
        st.session_state[place] = st.session_state.get(place, 0) + 1  # an empty field
        st.toast("The classes are as the list says. The history below can undo it.")
