"""Whether Plotly can draw by WebGL in the browser that looks, which clouds of many points need."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from tidal_core.ui.streamlit_internals import told_by_component

_LACKS = "browser-lacks-webgl"


def lacks_webgl() -> bool:
    """Whether this browser has told that it has none."""
    return bool(st.session_state.get(_LACKS))


def ask_for_webgl(key: str) -> None:
    """Let the browser tell where it has none; the page, or its fragment, then runs again. ``key``: of the figure."""
    mounted = f"{key}-graphics"

    def tell() -> None:
        st.session_state[_LACKS] = bool(told_by_component(mounted, "lacks"))

    _component()(key=mounted, on_lacks_change=tell, height=1)


@cache
def _component() -> Any:
    return st.components.v2.component(
        "tidal_graphics", js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
    )
