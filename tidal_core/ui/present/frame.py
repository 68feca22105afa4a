"""One screen on the page: its size, its keys, its address, and drawing it anew when its data have changed."""

from __future__ import annotations

import uuid
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from tidal_core.access.people import only_owners
from tidal_core.projects import Project
from tidal_core.text import literal
from tidal_core.ui import address
from tidal_core.ui.present.page import Act, Page, Screen
from tidal_core.ui.present.screens import SCREENS
from tidal_core.ui.runtime import person
from tidal_core.ui.streamlit_internals import told_by_component

HERE = Path(__file__).parent
FOOT = "→ or space: next · ←: back · f: full screen · Esc: leave"
_SMALLEST = 600  # pixels of height that a screen is made for
_USUAL = 720  # until the browser has told
_HEIGHT_KEY, _TOLD_KEY, _EVENT_KEY = "present-height", "present-told", "present-event"


def show(project: Project) -> None:
    """The screen that the address names, or that a key has led to."""
    place = address.SCREENS.index(address.chosen("present", project.slug))
    screen = SCREENS[address.SCREENS[place]]
    seen = screen.version(project)  # before anything is drawn: what changes on the way is seen as new
    page = screen.page(project, int(0.6 * max(_height(), _SMALLEST)))
    st.html(f"<style>{_sheet()}</style>")
    with st.container(key="present"):
        _keys(project, place, page)
        st.title(page.title, anchor=False)
        if page.sentence:
            st.markdown(page.sentence)
        with st.container(key="present-exhibit"):
            if page.exhibit is not None:
                page.exhibit()
        _foot(project, place, page)
    _watch(project, screen, seen)


@st.fragment(run_every=1.0)
def _watch(project: Project, screen: Screen, seen: tuple[object, ...]) -> None:
    """Draw the screen again when what it shows has changed. Draws nothing."""
    if screen.version(project) != seen:
        st.rerun(scope="app")


def _height() -> int:
    return int(st.session_state.get(_HEIGHT_KEY, _USUAL))


@cache
def _sheet() -> str:
    return (HERE / "present.css").read_text(encoding="utf-8")


@cache
def _component() -> Any:
    script = (HERE / "keys.js").read_text(encoding="utf-8")
    return st.components.v2.component("tidal_present_keys", html="<div hidden data-listens-for></div>", js=script)


def _keys(project: Project, place: int, page: Page) -> None:
    """Listen to keys; each act of what is on the screen is done once."""
    key = f"present-keys-{project.slug}"
    event = st.session_state.setdefault(_EVENT_KEY, uuid.uuid4().hex)

    def went() -> None:
        name = told_by_component(key, "went")
        if name in address.SCREENS:
            address.choose("present", project.slug, name)

    def acted() -> None:
        sent = told_by_component(key, "act")
        if isinstance(sent, dict) and sent.get("event") == st.session_state[_EVENT_KEY]:
            for act in page.acts:
                if act.key == sent.get("act"):
                    _do(act)

    def sized() -> None:
        height = told_by_component(key, "height")
        if isinstance(height, int | float) and 0 < height < 20_000:
            st.session_state[_HEIGHT_KEY] = int(height)

    def left() -> None:
        st.session_state["present-left"] = True

    _component()(
        key=key,
        data={
            "screens": list(address.SCREENS),
            "screen": address.SCREENS[place],
            "told": st.session_state.get(_TOLD_KEY, 0),
            "acts": {act.key: act.key for act in page.acts},
            "event": event,
            "height": st.session_state.get(_HEIGHT_KEY, 0),
        },
        height=1,
        on_went_change=went,
        on_act_change=acted,
        on_height_change=sized,
        on_left_change=left,
    )
    if st.session_state.pop("present-left", False):
        st.switch_page(address.LABEL_PAGE, query_params={"project": project.slug})


def _go(project: Project, place: int) -> None:
    """A step by a button; the keys count from there."""
    address.choose("present", project.slug, address.SCREENS[place])
    st.session_state[_TOLD_KEY] = st.session_state.get(_TOLD_KEY, 0) + 1


def _do(act: Act) -> None:
    st.session_state[_EVENT_KEY] = uuid.uuid4().hex
    person().require(act.role, "do this")
    refused = act.do()
    if refused:
        st.toast(literal(refused))


def _foot(project: Project, place: int, page: Page) -> None:
    who = person()
    with st.container(key="present-foot", gap="small"):
        if page.acts:
            with st.container(horizontal=True, key="present-act"):
                for act in page.acts:
                    st.button(
                        f"{act.label} ({act.key})",
                        key=f"present-act-{project.slug}-{address.SCREENS[place]}-{act.key}",
                        type="primary" if act is page.acts[0] else "secondary",
                        disabled=not who.role.may(act.role),
                        help=None if who.role.may(act.role) else only_owners("do this", who),
                        on_click=_do,
                        args=(act,),
                    )
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", wrap=False):
            st.caption(
                f"{place + 1} of {len(SCREENS)} · {literal(project.title)}" + (f" · {page.note}" if page.note else "")
            )
            with st.container(horizontal=True, width="content", vertical_alignment="center", wrap=False):
                st.caption(FOOT, width="content")
                _step(project, place, -1, "chevron_left", "Back")
                _step(project, place, 1, "chevron_right", "Next")
                st.page_link(address.LABEL_PAGE, label="Leave", icon=":material/close:", width="content")


def _step(project: Project, place: int, by: int, icon: str, words: str) -> None:
    st.button(
        words,
        icon=f":material/{icon}:",
        key=f"present-step-{by}",
        type="tertiary",
        disabled=not 0 <= place + by < len(SCREENS),
        on_click=_go,
        args=(project, place + by),
    )
