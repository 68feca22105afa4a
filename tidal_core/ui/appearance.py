"""How all pages look beyond what ``.streamlit/config.toml`` can say: one style sheet, ``studio.css``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st

from tidal_core.figures.palettes import theme_of


@cache
def _sheet() -> str:
    return Path(__file__).with_name("studio.css").read_text(encoding="utf-8")


def appearance() -> None:
    """Put the style sheet into the page; draws nothing."""
    theme = theme_of(st.context.theme.type)
    st.html(f"<style>:root {{--tidal-on-primary: {theme.background}; }}\n{_sheet()}</style>")
