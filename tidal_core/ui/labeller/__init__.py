"""The labelling component: plain html, css and js files, read once and mounted by ``labeller``. No build step."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
# One module for the browser, in this order: each part uses what stands before it.
PARTS = (
    "shared", "transport", "outbox", "pictures", "single", "panel", "grid", "class_forms", "popovers", "main", "keys",
)  # fmt: skip
STYLES = (HERE.parent / "controls.css", HERE / "labeller.css")


def script() -> str:
    """The component's JavaScript as one module."""
    return "\n".join((HERE / f"{part}.js").read_text(encoding="utf-8") for part in PARTS)


@cache
def _component() -> Any:
    return st.components.v2.component(
        "tidal_labeller",
        html=(HERE / "labeller.html").read_text(encoding="utf-8"),
        css="\n".join(path.read_text(encoding="utf-8") for path in STYLES),
        js=script(),
    )


def labeller(*, slug: str, project_id: str, token: str, annotator: str, typed: bool, titled: bool) -> None:
    """Mount the labelling component on a page.

    ``project_id`` tells projects of one name apart: it keys the answers that a browser has not sent yet. The token is
    handed to this page's script only; a new one (after a restart) reaches the component without a reload.
    ``typed``: whether a person gave the annotator's name; if not, the one that the browser remembers goes before.
    ``titled``: whether the page has no other main heading than the component's, which only screen readers meet.
    """
    _component()(
        key=f"labeller-{slug}",
        data={
            "base": "",
            "slug": slug,
            "project": project_id,
            "token": token,
            "annotator": annotator,
            "typed": typed,
            "titled": titled,
        },
    )
