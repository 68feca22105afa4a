"""What of a page's state stands in its address: read where a page is entered, written without what is not its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from tests.helpers.gates import WAIT_SECONDS
from tests.helpers.tiny import tiny_project
from tidal_core.server.studio import Studio
from tidal_core.text import literal

ROOT = Path(__file__).parents[2]


@pytest.fixture
def left(studio: Studio) -> Studio:
    tiny_project(8, test=0, name="left").close()
    return studio


SCRIPT = """
import streamlit as st
from tidal_core.ui import address
slug = st.session_state.get("slug", "left")
address.listen("{path}")
if "{path}" in address.CHOICES:
    st.segmented_control("Choice", address.CHOICES["{path}"].options, key=address.choice_key("{path}", slug))
st.text(address.address_of("{path}" or address.FRONT, slug))
"""


def entered(path: str, **query: str) -> AppTest:
    """A page with nothing but its choice, as it is entered by an address."""
    test = AppTest.from_string(SCRIPT.format(path=path), default_timeout=WAIT_SECONDS)
    for key, value in query.items():
        test.query_params[key] = value
    test.run()
    assert not test.exception, test.exception
    return test


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("progress", {"view": "life", "image": "7", "tab": "Settings", "x": "1"}, "project=left"),
        ("dynamics", {"view": "map", "tab": "Settings"}, "project=left&view=map"),
        ("dynamics", {"view": "nonsense", "image": "3"}, "project=left&image=3"),
        ("project", {"tab": "New project", "view": "map"}, "project=left&tab=New+project"),
        ("", {"plain": "1", "image": "7"}, "project=left&plain=1"),
    ],
)
def test_the_address_keeps_what_is_the_pages_own_and_nothing_else(
    left: Studio, path: str, query: dict[str, str], expected: str
) -> None:
    assert entered(path, project="left", **query).text[0].value == expected


def test_what_is_chosen_on_a_page_stands_in_its_address_without_a_step(left: Studio) -> None:
    test = entered("dynamics", project="left", view="map")

    test.segmented_control[0].set_value("groups").run()

    assert test.run().text[0].value == "project=left&view=groups"
    assert test.query_params["view"] == "map"  # Streamlit would make an entry in the browser's history of a change


def test_a_tab_of_the_address_is_open_and_another_project_begins_with_its_images(left: Studio) -> None:
    tiny_project(8, test=0, name="right").close()
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
    app.query_params.update(project="left", tab="Classes")
    app.switch_page("pages/project.py").run()
    assert app.session_state["project-tabs-left"] == "Classes"

    test = entered("project", project="left", tab="Classes")
    test.session_state["slug"] = "right"
    assert test.run().text[0].value == "project=right"


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://127.0.0.1:8501/no*where?project=left", "no*where"),
        ("http://127.0.0.1:8501/", ""),
        ("http://127.0.0.1:8501/label", ""),
    ],
)
def test_a_page_in_the_address_that_is_not_there_is_said(
    left: Studio, monkeypatch: pytest.MonkeyPatch, url: str, named: str
) -> None:
    monkeypatch.setattr(ContextProxy, "url", url)

    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS).run()

    assert [literal(repr(named)) in warning.value for warning in app.warning] == [True] * bool(named)


def test_what_a_page_keeps_as_texts_stands_in_its_address_until_another_project_is_shown(left: Studio) -> None:
    tiny_project(8, test=0, name="right").close()
    test = entered("gallery", project="left", where="labelled", sort="-id", view="map")
    assert test.text[0].value == "project=left&where=labelled&sort=-id"

    test.session_state["slug"] = "right"

    assert test.run().text[0].value == "project=right"


def test_the_page_knows_its_texts_better_than_the_address_until_the_address_leads_to_others(left: Studio) -> None:
    script = (
        SCRIPT.format(path="gallery")
        + """
from tidal_core.ui.address import keep_texts, texts
if st.button("change"):
    keep_texts("gallery", "left", {"where": "skipped", "sort": None, "label": 3, "x": "y"})
st.text(str(texts("gallery", "left")))
"""
    )
    test = AppTest.from_string(script, default_timeout=WAIT_SECONDS)
    test.query_params["where"] = "labelled"
    first = test.run().text[1].value

    test.button[0].click().run()
    changed = test.run().text[1].value

    empty = "'predicted': '', 'by': '', 'sort': '', 'as': ''}"
    assert "'where': 'labelled', 'is': '', 'label': ''" in first
    assert changed.startswith("({'where': 'skipped', 'is': '', 'label': '3', " + empty)
    assert first.rsplit(",", 1)[1] == changed.rsplit(",", 1)[1], "the page itself led to it"
