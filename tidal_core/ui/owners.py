"""Who looks at a page, and what takes an owner: asked when a page is drawn, and again when something is to be done.

A widget with an effect beyond labelling and looking is one of ``owners`` (``owners.button`` for ``st.button``): it is
greyed out for annotators and says why, and its callback is not called for them, whatever their browser sends. A
callback of another widget has the decorator ``for_owners``. ``tests/ui/test_roles.py`` finds every widget and every
callback, and asks of each whether it is one of the two or stands in its list of what everybody may do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import streamlit as st

from tidal_core.access.people import Person, Role, only_owners
from tidal_core.text import literal
from tidal_core.ui.runtime import person

P = ParamSpec("P")
T = TypeVar("T")
_USUAL = "do this"


def may_change(who: Person | None = None) -> bool:
    """Whether whoever looks at this page is an owner."""
    return (who or person()).role.may(Role.OWNER)


def here(what: str) -> bool:
    """Whether a part of a page is for whoever looks; says who may ``what`` where it is not."""
    who = person()
    if not may_change(who):
        st.info(literal(only_owners(what, who)), icon=":material/lock:")
    return may_change(who)


def for_owners(action: Callable[P, T]) -> Callable[P, T | None]:
    """A callback that does nothing but say why when it is not an owner who causes it. Raises NotAllowed for nobody."""

    @functools.wraps(action)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T | None:
        who = person()
        if not may_change(who):
            st.toast(literal(only_owners(_USUAL, who)), icon=":material/lock:")
            return None
        return action(*args, **kwargs)

    return checked


class Owners:
    """Widgets of Streamlit whose effect takes an owner."""

    def button(self, label: str, **options: Any) -> bool:
        """``st.button``; never pressed by an annotator."""
        return bool(st.button(label, **_greyed(options))) and may_change()

    def form_submit_button(self, label: str, **options: Any) -> bool:
        """``st.form_submit_button``; never pressed by an annotator."""
        return bool(st.form_submit_button(label, **_greyed(options))) and may_change()

    def toggle(self, label: str, value: bool, **options: Any) -> bool:
        """``st.toggle``."""
        return bool(st.toggle(label, value, **_greyed(options)))

    def slider(self, label: str, low: int, high: int, value: int, **options: Any) -> int:
        """``st.slider`` over whole numbers."""
        return int(st.slider(label, low, high, value, **_greyed(options)))

    def number_input(self, label: str, low: int, high: int, value: int, **options: Any) -> int:
        """``st.number_input`` over whole numbers."""
        return int(st.number_input(label, low, high, value, **_greyed(options)))

    def file_uploader(self, label: str, **options: Any) -> list[Any]:
        """``st.file_uploader`` of several files; none from an annotator."""
        files: Iterable[Any] = st.file_uploader(label, accept_multiple_files=True, **_greyed(options)) or ()
        return list(files) if may_change() else []

    def download_button(self, label: str, data: Callable[[], bytes], file_name: str, mime: str, **options: Any) -> None:
        """``st.download_button``; an annotator's page has no address of the file."""
        if may_change():
            st.download_button(label, data, file_name, mime, on_click="ignore", **options)
        else:
            st.button(label, **_greyed(options))


owners = Owners()


def _greyed(options: dict[str, Any]) -> dict[str, Any]:
    """A widget's options: shut to annotators with the reason, callbacks checked for everybody."""
    who = person()
    checked = {
        name: for_owners(value) if name.startswith("on_") and callable(value) else value
        for name, value in options.items()
    }
    if may_change(who):
        return checked
    return {**checked, "disabled": True, "help": only_owners(_USUAL, who)}
