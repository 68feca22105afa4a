"""Keys of the page Review: one component that listens for the image on the screen, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from tidal_core.projects import Project

CLASS = "class-"  # and a class id: the act of giving that class


@cache
def _component() -> Any:
    script = Path(__file__).with_name("review_keys.js").read_text(encoding="utf-8")
    return st.components.v2.component("tidal_review_keys", html="<div hidden data-listens-for></div>", js=script)


def name_of(key: str) -> str:
    """What a key is called on a button."""
    return "Space" if key == " " else key


def with_classes(project: Project, keys: Mapping[str, str]) -> dict[str, str]:
    """What each key does, those of a page (``keys``: key to act) first; a class's own key is the class's."""
    of_classes = {record.key: f"{CLASS}{record.id}" for record in project.store.classes.all() if record.key}
    return {key: act for key, act in keys.items() if key not in of_classes} | of_classes


def listen(
    key: str,
    *,
    event: str,
    keys: Mapping[str, str],
    undo: str,
    is_asked: bool,
    can_undo: bool,
    alt: str,
    pressed: Callable[[str, str], None],
) -> None:
    """Call ``pressed`` with the act of a key, of ``keys``, and the ``event`` that it is for.

    Once for an event; and not before the picture of the text ``alt`` is painted, if there is one. ``undo``: the act
    that Ctrl+Z is for, too, heard while ``can_undo``; all others are heard while ``is_asked``.
    """
    heard_now = {name: act for name, act in keys.items() if (can_undo if act == undo else is_asked)}

    def heard() -> None:
        sent = st.session_state[key].get("act")
        if isinstance(sent, dict) and isinstance(sent.get("act"), str):
            pressed(sent["act"], str(sent.get("event")))

    _component()(
        key=key,
        data={"event": event, "keys": heard_now, "undo": undo if can_undo else "", "alt": alt},
        height=1,
        on_act_change=heard,
    )
