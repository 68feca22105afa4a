"""A page's first figure is there before the rest of the page is sent.

A browser draws figures on one thread, and shows none of those that it was sent together before the last of them is
ready. So a page sends its first figure alone, a component without a picture tells when it is drawn, and the page runs
again, whole. What was read and drawn for the first figure is kept by then (``looking``, Streamlit's own cache).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_VISIT = "visit"  # the page that is looked at, and of what its first figure is drawn


def begin_visit(page: str) -> None:
    """For the front door, before each run of a page: a new visit where it is another page than before."""
    if page != st.session_state.get(_VISIT, ("", ()))[0]:
        st.session_state[_VISIT] = page, frozenset()


def first_figure_stands(figure: str, of: str = "") -> bool:
    """Whether the page may go on below its first ``figure`` (its key), which was sent just before.

    If not, the page (or its fragment) is to end there, and runs again by itself once that is drawn. ``of``: what the
    figure shows, on a page that shows one thing after the other. To be asked once in a run.
    """
    page, drawn = st.session_state.get(_VISIT, ("", frozenset()))
    if of in drawn or not st.context.headers:  # without a browser nobody would tell
        return True

    def tell() -> None:
        st.session_state[_VISIT] = page, st.session_state[_VISIT][1] | {of}

    _component()(key="first-figure", data={"figure": figure}, on_drawn_change=tell, height=1)
    return False


@cache
def _component() -> Any:
    return st.components.v2.component(
        "tidal_first_figure", js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
    )
