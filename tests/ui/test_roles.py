"""Every widget that does something, and every callback, in the source: the owners', or listed for everybody."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tidal_core.access.people import Person, Role
from tidal_core.access.sessions import Access
from tidal_core.errors import NotAllowed
from tidal_core.server.studio import Studio
from tidal_core.ui.owners import Owners
from tidal_core.ui.runtime import get_studio, person

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "pages").glob("*.py"), *(ROOT / "tidal_core/ui").rglob("*.py"), ROOT / "app.py"])
THEMSELVES = ROOT / "tidal_core/ui/owners.py"

ACTING = {
    "button", "form_submit_button", "download_button", "file_uploader", "data_editor", "chat_input", "camera_input",
    "audio_input",
}  # fmt: skip
"""Widgets that do something by themselves; others act by a callback (``on_change``) alone."""

EVERYBODY = {
    # labelling
    "ui/plain.py _label": "labels", "ui/plain.py _skip": "labels", "ui/plain.py _flag": "labels",
    "ui/plain.py _undo": "labels", "ui/life.py button Save": "labels an image", "ui/set_aside.py _take_back": "labels",
    "ui/review_view.py _act": "labels", "ui/review_keys.py heard": "labels, by key",
    "ui/agreement_view.py _act": "settles what one has answered oneself",
    "ui/present/frame.py _do": "asks for the role of the act itself",
    "ui/present/frame.py acted": "by key, the same",
    # what this page shows
    "ui/review_view.py <lambda>": "look again", "ui/review_view.py go_on": "look at more",
    "ui/present/frame.py went": "another screen", "ui/present/frame.py sized": "the window's height",
    "ui/present/frame.py left": "leaves the screen", "ui/present/frame.py _go": "another screen",
    "ui/groups.py show_image": "looks at an image", "ui/set_aside.py show_image": "looks at an image",
    "ui/set_aside.py button Show more": "a longer list", "ui/class_parts.py _set": "opens a question",
    "ui/autopilot_view.py _open": "opens a panel", "ui/address.py went": "another view of the page",
    "ui/gallery/__init__.py chosen": "keeps the filter in the address",
    "ui/gallery/__init__.py <lambda>": "opens an image", "ui/replay/__init__.py rested": "keeps the moment",
    "ui/thumbnails.py <lambda>": "picks an image", "ui/theory_view.py choose_preset": "moves sliders",
    "ui/theory_view.py name_preset": "names what the sliders are", "pages/dynamics.py searched": "looks for an image",
    "pages/label.py button Use the fast labeller": "the other way to label",
    "pages/label.py button Use plain widgets instead": "the other way to label",
    "ui/charts.py download_button Interactive web page": "saves the figure that is on the screen",
    "ui/charts.py download_button Numbers as CSV": "saves the figure that is on the screen",
    "ui/graphics.py tell": "what the browser can draw",
    "ui/charts.py <lambda>": "tells that somebody zoomed", "ui/first_figure.py tell": "tells that a figure is drawn",
    "ui/class_history.py download_button f'Classes as {kind.upper()}'": "the list of classes, which everybody sees",
    # this browser
    "ui/sidebar.py leave_project": "another project", "ui/sidebar.py _keep_name": "the name, without a login",
    "ui/remembered.py recall": "the name, without a login", "ui/fetching.py __setitem__": "does not ask again",
    # within a form that is drawn for owners alone (``owners.here``): fills a text field
    "ui/folder_picker.py go": "walks folders", "ui/folder_picker.py enter": "walks folders",
    "ui/folder_picker.py use": "fills the field",
}  # fmt: skip
"""What everybody who is signed in may do, as "file what", and why."""


@dataclass(frozen=True)
class Action:
    """A widget that does something: where, and what it does, by its callback or its label."""

    place: str
    what: str
    guarded: bool

    @property
    def name(self) -> str:
        return f"{self.place} {self.what}"


def actions(path: Path, source: str | None = None) -> Iterator[Action]:
    """Every action of a file."""
    tree = ast.parse(source if source is not None else path.read_text(encoding="utf-8"))
    place = str(path.relative_to(ROOT)).removeprefix("tidal_core/")
    guarded = {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        and any(isinstance(each, ast.Name) and each.id == "for_owners" for each in function.decorator_list)
    }
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        of_owners = _is_owners(call.func)
        callbacks = [
            keyword.value
            for keyword in call.keywords
            if (keyword.arg or "").startswith("on_") and not isinstance(keyword.value, ast.Constant)
        ]
        for callback in callbacks:
            name = _name_of(callback)
            yield Action(place, name, of_owners or name in guarded)
        kind = _name_of(call.func)
        if kind in ACTING and not callbacks and isinstance(call.func, ast.Attribute):
            label = call.args[0] if call.args else None
            said = label.value if isinstance(label, ast.Constant) else ast.unparse(label) if label else ""
            yield Action(place, f"{kind} {said}", of_owners)


def _is_owners(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "owners"
    )


def _name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Lambda):
        return "<lambda>"
    return (
        node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ast.unparse(node)
    )


ALL = [action for path in SOURCES if path != THEMSELVES for action in actions(path)]


def test_every_widget_that_does_something_is_the_owners_or_listed_for_everybody() -> None:
    open_to_all = {action.name for action in ALL if not action.guarded}

    assert open_to_all - EVERYBODY.keys() == set(), "owners.button, @for_owners, or a line in EVERYBODY with its reason"
    assert EVERYBODY.keys() - open_to_all == set(), "no such action any more"


def test_what_changes_a_project_takes_an_owner() -> None:
    """The list itself, where a mistake would matter most."""
    guarded = {action.name for action in ALL if action.guarded}

    assert {
        "pages/training.py button Train now", "pages/training.py button Cancel this round",
        "ui/class_parts.py _change_classes", "ui/class_parts.py _add_classes", "ui/class_parts.py _answer",
        "ui/import_view.py file_uploader Or upload files", "ui/project_parts.py _save_settings",
        "ui/table_downloads.py download_button Download the report", "ui/finish_view.py _undo",
        "ui/experiments_form.py button Start", "ui/autopilot_view.py attempt_in_callback", "ui/fetching.py allow",
    } <= guarded  # fmt: skip


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("st.button('Delete all')", "pages/new.py button Delete all"),
        ("column.button(label, on_click=remove)", "pages/new.py remove"),
        ("st.toggle('Train', on_change=project.train)", "pages/new.py train"),
        ("st.components.v2.component('x')(on_act_change=acted)", "pages/new.py acted"),
        ("st.data_editor(rows)", "pages/new.py data_editor rows"),
        ("st.file_uploader('Photos')", "pages/new.py file_uploader Photos"),
    ],
)
def test_a_new_action_is_found_until_somebody_has_said_whose_it_is(source: str, found: str) -> None:
    (action,) = actions(ROOT / "pages/new.py", source)

    assert (action.name, action.guarded) == (found, False)


def test_a_declared_action_counts_as_guarded() -> None:
    source = "@for_owners\ndef remove(): ...\nst.button('a', on_click=remove)\nowners.button('b', on_click=other)"

    assert [action.guarded for action in actions(ROOT / "pages/new.py", source)] == [True, True]


def test_every_widget_of_the_owners_keeps_streamlit_s_name() -> None:
    names = {name for name in vars(Owners) if not name.startswith("_")}

    assert all(hasattr(st, name) for name in names)


# --- what the helper does


class Known(Access):
    """Everybody is one person."""

    def __init__(self, who: Person | None) -> None:
        self.who = who

    def person(self, cookies: str) -> Person | None:
        return self.who


SCRIPT = """
import streamlit as st
from tidal_core.ui.owners import here, owners
st.session_state.setdefault("done", [])
pressed = owners.button("Train now", key="now")
owners.button("Remove", key="remove", on_click=st.session_state.done.append, args=("removed",))
owners.download_button("Download", lambda: b"", "a.csv", "text/csv", key="download")
shown = here("change classes")
st.write(f"pressed {pressed}, shown {shown}, done {st.session_state.done}")
"""


def seen_by(studio: Studio, who: Person | None) -> AppTest:
    studio.access = Known(who)
    return AppTest.from_string(SCRIPT).run()


@pytest.fixture
def studio() -> Iterator[Studio]:
    st.cache_resource.clear()
    made = get_studio()
    yield made
    made.close()
    st.cache_resource.clear()


def test_an_owner_s_buttons_do_what_they_say(studio: Studio) -> None:
    view = seen_by(studio, Person("Olga", Role.OWNER))

    view.button(key="remove").click().run()
    assert view.markdown[-1].value == "pressed False, shown True, done ['removed']"
    view.button(key="now").click().run()
    assert view.markdown[-1].value == "pressed True, shown True, done ['removed']"


def test_an_annotator_s_are_greyed_with_the_reason(studio: Studio) -> None:
    view = seen_by(studio, Person("Ann", Role.ANNOTATOR))

    assert all(view.button(key=key).disabled for key in ("now", "remove", "download"))
    assert "Only an owner can do this. You are signed in as Ann, an annotator" in view.button(key="now").help
    assert "Only an owner can change classes" in view.info[0].value


def test_a_press_that_a_browser_sends_all_the_same_does_nothing(studio: Studio) -> None:
    """The page was drawn for an owner who is none any more: the widgets are not greyed in that browser."""
    for key in ("now", "remove"):
        view = seen_by(studio, Person("Olga", Role.OWNER))
        pressed = view.button(key=key).click()
        studio.access = Known(Person("Olga", Role.ANNOTATOR))
        view = pressed.run()
        assert view.session_state["done"] == []
        assert bool(view.toast) is (key == "remove")
        assert not any("pressed True" in each.value for each in view.markdown)


def test_who_is_not_signed_in_any_more_sees_no_page(studio: Studio) -> None:
    view = seen_by(studio, None)

    assert view.exception
    assert not view.button
    with pytest.raises(NotAllowed, match="Your sign-in has ended"):
        person()
