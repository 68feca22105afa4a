"""The person's name, remembered by the browser itself: it is there again after a reload, in every project.

A component without a picture keeps it in the browser's localStorage. No cookie; nothing but this studio's own pages in
this browser can read it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

from tidal_core.ui.streamlit_internals import told_by_component

TYPED_NAME_KEY = "typed-name"
LONGEST_NAME = 60
_COMPONENT_KEY = "remembered-name"

# The labelling component reads the same place (ui/labeller/main.js): its first key must carry the right name.
_SCRIPT = """
const PLACE = "tidal:name";
export default function ({ data, setTriggerValue }) {
  try {
    if (data.typed) localStorage.setItem(PLACE, data.typed);
    else if (data.typed === "") localStorage.removeItem(PLACE);
    else if (localStorage.getItem(PLACE)) setTriggerValue("name", localStorage.getItem(PLACE));
  } catch {
    // A browser that keeps nothing: the name lasts for this page.
  }
}
"""


@cache
def _component() -> Any:
    return st.components.v2.component("tidal_remembered", js=_SCRIPT)


def typed_name() -> str | None:
    """The name that a person typed, now or at an earlier visit; "" after it was emptied, None where none was typed."""
    name = st.session_state.get(TYPED_NAME_KEY)
    return None if name is None else clean_name(str(name))


def clean_name(name: str) -> str:
    """A name on one line, not longer than answers keep."""
    return " ".join(name.split())[:LONGEST_NAME]


def remember_name(field: str) -> None:
    """Keep the typed name in the browser, or take it from there into the text field of key ``field``."""

    def recall() -> None:
        name = told_by_component(_COMPONENT_KEY, "name")
        if isinstance(name, str) and (cleaned := clean_name(name)):
            st.session_state[TYPED_NAME_KEY] = st.session_state[field] = cleaned

    _component()(key=_COMPONENT_KEY, data={"typed": typed_name()}, height=1, on_name_change=recall)
