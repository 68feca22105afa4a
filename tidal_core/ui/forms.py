"""Small helpers for pages: choices in words, errors shown where they happen, tables that can be saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st

from tidal_core.errors import TidalError
from tidal_core.projects import Project
from tidal_core.text import literal, spreadsheet_row

T = TypeVar("T")


def choice(label: str, words: Mapping[str, str], now: str, *, key: str | None = None, help: str | None = None) -> str:
    """A select box over the keys of ``words``, shown in their words; the chosen key."""
    keys = list(words)
    index = keys.index(now) if now in keys else 0
    picked = st.selectbox(label, keys, index=index, format_func=lambda k: words[k], key=key, help=help)
    return picked or now


def attempt_in_callback(place: str, action: Callable[[], T]) -> T | None:
    """As ``attempt`` in a callback; the reason is shown where the page calls ``show_refused`` for the same place."""
    try:
        return action()
    except TidalError as error:
        note_refused(place, str(error))
        return None


def note_refused(place: str, reason: str) -> None:
    """Keep why a callback could not do something until the page is drawn; ``show_refused`` shows it."""
    st.session_state.setdefault(f"{place}-refused", []).append(reason)


def show_refused(place: str) -> None:
    """What callbacks could not do for a place since the page was drawn last, once."""
    for reason in st.session_state.pop(f"{place}-refused", []):
        st.error(literal(reason))


def attempt(action: Callable[[], T]) -> T | None:
    """The action's answer, or None after showing why it could not be done."""
    try:
        return action()
    except TidalError as error:
        st.error(literal(str(error)))
        return None


def class_list(project: Project) -> None:
    """The classes in use, to read: for those who may not change them."""
    labelled = project.store.answers.counts_by_class()
    rows = [
        {"Class": record.name, "Key": record.key or "", "Labels": labelled.get(record.id, 0)}
        for record in project.store.classes.all()
    ]
    if rows:
        table(rows, width="stretch")
    else:
        st.info("No classes yet.")


def table(rows: Sequence[Mapping[str, Any]], **options: Any) -> None:
    """A table on a page. Its tool bar saves it as CSV, as it is: so no cell may be one that a spreadsheet runs."""
    safe = [dict(zip(row, spreadsheet_row(map(_on_one_line, row.values())), strict=True)) for row in rows]
    st.dataframe(safe, hide_index=True, **options)


def _on_one_line(cell: Any) -> Any:
    return " ".join(cell.splitlines()) if isinstance(cell, str) else cell
