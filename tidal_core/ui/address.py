"""What of a page's state stands in its address, and the one way in which it is kept there.

The address names the project and what the page shows, and nothing else. A step to an image is written with
``st.query_params``: Back takes it back. Everything else (project, view, tab, the gallery's filter, the moment of a
replay) is corrected in its place by a component without a picture: Streamlit would make an entry in the browser's
history of each, and Back would seem to do nothing.

The address is listened to when a page is entered, and when Back or Forward leads to another entry of the same page; in
between the widgets know better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import streamlit as st

from tidal_core.ui.runtime import GO_TO_KEY, PROJECT_KEY, known_slugs
from tidal_core.ui.streamlit_internals import told_by_component

LABEL_PAGE, DYNAMICS_PAGE, TRAINING_PAGE = "pages/label.py", "pages/dynamics.py", "pages/training.py"
PROJECT_PAGE, PROGRESS_PAGE, THEORY_PAGE = "pages/project.py", "pages/progress.py", "pages/theory.py"
FRONT = "label"  # the page at "/", too
VIEWS = {"life": "Life of an image", "map": "Data map", "groups": "Groups", "aside": "Flags and skips"}
VIEW_KEY = "view-choice"
TABS = ("Images", "Classes", "Settings", "Export", "New project")
_COMPONENT_KEY = "address"
_PAGE_KEY, _ENTERED_KEY, _UNKNOWN_KEY = "page", "page-was-entered", "unknown-page"


class Choice(NamedTuple):
    """What a page shows of several, by a widget of its own."""

    name: str  # in the address
    options: tuple[str, ...]  # the first one unless chosen: it does not stand in the address


SCREENS = ("collection", "first", "round", "unsure", "next", "gain", "mistake", "finish")
CHOICES = {
    "dynamics": Choice("view", tuple(VIEWS)),
    "project": Choice("tab", TABS),
    "present": Choice("screen", SCREENS),
}
TEXTS = {"gallery": ("where", "is", "label", "predicted", "by", "sort", "as"), "replay": ("round", "epoch")}
"""By page, the parameters that are whatever a person chose there; "" unless chosen, and not in the address then."""
LONGEST_TEXT = 2_000  # characters
STEPS = {FRONT: "plain", "dynamics": "image"}
"""By page, the parameter that is a step of its own."""


def tabs(slug: str) -> Sequence[Any]:
    """The tabs of the page Project, of each project's own: a new project shows its images, and the import."""
    return st.tabs(TABS, key=choice_key("project", slug), on_change="rerun")


def show_image(image_id: int) -> None:
    """Show the life of an image on the page Dynamics, which is on the screen: from a callback, or before a rerun."""
    if st.session_state.get(VIEW_KEY) != "life":
        st.session_state[VIEW_KEY] = "life"
    if st.query_params.get("image") != str(image_id):
        st.query_params["image"] = str(image_id)


def _key(path: str, slug: str) -> str:
    return VIEW_KEY if path == "dynamics" else f"{path}-tabs-{slug}"


@cache
def _component() -> Any:
    return st.components.v2.component("tidal_address", js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"))


def listen(url_path: str) -> None:
    """Note whether the page at ``url_path`` was just entered, and take the project of the address then.

    Before anything is drawn.
    """
    path = url_path or FRONT
    before = st.session_state.get(_PAGE_KEY)
    st.session_state[_PAGE_KEY] = path
    st.session_state[_ENTERED_KEY] = before != path
    if before == path:
        return
    st.session_state.pop(_UNKNOWN_KEY, None)
    if before is None and not url_path:
        st.session_state[_UNKNOWN_KEY] = _name_of_no_page(st.context.url or "")
    # A browser that comes back to a studio that was started again brings its choice of a project along.
    if before is not None or PROJECT_KEY not in st.session_state:
        _take_project(st.query_params.get(PROJECT_KEY, ""))


def choice_key(path: str, slug: str) -> str:
    """The key of the widget by which a page chooses; it has what the address says if the page was just entered."""
    key = _key(path, slug)
    if key not in st.session_state:
        st.session_state[key] = _asked(path)
    return key


def chosen(path: str, slug: str) -> str:
    """What a page shows that has no widget to choose by: of the address if it was just entered, else as it was."""
    key = _key(path, slug)
    if st.session_state.get(_ENTERED_KEY, True) and CHOICES[path].name in st.query_params:
        st.session_state.pop(key, None)
    return str(st.session_state[choice_key(path, slug)])


def choose(path: str, slug: str, option: str) -> None:
    """Show another one of what the page can show, from the next time that it is drawn."""
    st.session_state[_key(path, slug)] = option


def _asked(path: str) -> str:
    choice = CHOICES[path]
    asked = st.query_params.get(choice.name, "") if st.session_state.get(_ENTERED_KEY, True) else ""
    return asked if asked in choice.options else choice.options[0]


def texts(path: str, slug: str) -> tuple[Mapping[str, str], int]:
    """The texts of a page by name, and a number that changes where the address, and not the page, has led to them."""
    key = _texts_key(path, slug)
    is_entered = st.session_state.get(_ENTERED_KEY, True)
    asked = {name: st.query_params.get(name, "") if is_entered else "" for name in TEXTS[path]}
    if key not in st.session_state or any(asked.values()):
        keep_texts(path, slug, asked, led=True)
    kept: tuple[Mapping[str, str], int] = st.session_state[key]
    return kept


def keep_texts(path: str, slug: str, given: Mapping[str, object], *, led: bool = False) -> None:
    """Note what was chosen on a page, whatever was sent; ``led``: not on the page, but by the address."""
    key = _texts_key(path, slug)
    _, times = st.session_state.get(key, ({}, 0))
    cleaned = {name: str(given.get(name) or "")[:LONGEST_TEXT] for name in TEXTS[path]}
    st.session_state[key] = cleaned, times + led


def _texts_key(path: str, slug: str) -> str:
    return f"{path}-texts-{slug}"


def _take_project(slug: str) -> None:
    if slug in known_slugs():
        st.session_state[GO_TO_KEY] = slug


def unknown_page() -> str:
    """The page that the address named at first and that is not there, until another one is chosen; "" for none."""
    return str(st.session_state.get(_UNKNOWN_KEY, ""))


def _name_of_no_page(url: str) -> str:
    """What a browser asked for that is shown the page at the front."""
    path = urlsplit(url).path.strip("/")
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    name = path.removeprefix(base).strip("/")
    return "" if name == FRONT else name


def address_of(path: str, slug: str) -> str:
    """The parameters of a page for a project, as they are written after the question mark."""
    parameters = {PROJECT_KEY: slug}
    if path in CHOICES:
        choice = CHOICES[path]
        chosen = st.session_state.get(_key(path, slug)) or _asked(path)
        if chosen != choice.options[0]:
            parameters[choice.name] = chosen
    if path in TEXTS:
        parameters |= {name: text for name, text in texts(path, slug)[0].items() if text}
    step = STEPS.get(path)
    if step is not None and step in st.query_params:
        parameters[step] = st.query_params[step]
    return urlencode(parameters)


def remember(url_path: str, slug: str) -> None:
    """Keep the page's state in the browser's address."""
    path = url_path or FRONT

    def went() -> None:
        search = told_by_component(_COMPONENT_KEY, "went")
        if not isinstance(search, str):
            return
        parameters = {name: values[-1] for name, values in parse_qs(search.removeprefix("?")).items()}
        _take_project(parameters.get(PROJECT_KEY, ""))
        if path in CHOICES:
            choice = CHOICES[path]
            asked = parameters.get(choice.name, "")
            key = _key(path, st.session_state.get(GO_TO_KEY, slug))
            st.session_state[key] = asked if asked in choice.options else choice.options[0]
        if path in TEXTS:
            keep_texts(path, st.session_state.get(GO_TO_KEY, slug), parameters, led=True)

    _component()(
        key=_COMPONENT_KEY,
        data={"address": address_of(path, slug), "paths": [url_path] if url_path else ["", FRONT]},
        height=1,
        on_went_change=went,
    )
