"""How all pages look beyond what ``.streamlit/config.toml`` can say: one style sheet, and a side that gives way.

``studio.css`` is the style sheet. On a narrow screen the sidebar covers the page; Streamlit closes it after a page was
chosen only where the browser calls itself a phone's.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from tidal_core.figures.palettes import theme_of

_GIVE_WAY = """
export default function ({ data }) {
  const before = window.tidalPage;
  window.tidalPage = data.page;
  if (before === undefined || before === data.page || window.innerWidth > 768) return;
  const side = document.querySelector('[data-testid="stSidebar"][data-collapsed="false"]');
  side?.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
}
"""


@cache
def _sheet() -> str:
    return Path(__file__).with_name("studio.css").read_text(encoding="utf-8")


@cache
def _gives_way() -> Any:
    return st.components.v2.component("tidal_side", js=_GIVE_WAY)


def appearance() -> None:
    """Put the style sheet into the page; draws nothing."""
    theme = theme_of(st.context.theme.type)
    st.html(f"<style>:root {{--tidal-on-primary: {theme.background}; }}\n{_sheet()}</style>")


def give_way(page: str) -> None:
    """Close the sidebar of a narrow screen once another page than before is shown; belongs into the sidebar."""
    _gives_way()(key="side", data={"page": page}, height=1)
