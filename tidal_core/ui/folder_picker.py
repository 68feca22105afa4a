"""Choose a folder of the computer that runs the studio by going into it, from the home folder on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from tidal_core.images.reading import SUFFIXES
from tidal_core.text import literal

ENTRIES_AT_MOST = 20_000  # looked at in one folder: a second on a slow disk


@dataclass(frozen=True)
class Inside:
    """What is in a folder, hidden things left out."""

    folders: tuple[str, ...] = ()
    images: int = 0
    problem: str = ""  # why it cannot be listed, for people
    is_whole: bool = True  # False: there is more than was looked at


def look_inside(folder: Path) -> Inside:
    """List a folder; never raises for one that is shut or gone."""
    folders: list[str] = []
    images = seen = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                seen += 1
                if seen > ENTRIES_AT_MOST:
                    break
                if entry.name.startswith(".") or not entry.name.isprintable():
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif Path(entry.name).suffix.lower() in SUFFIXES:
                    images += 1
    except OSError as error:
        return Inside(problem=error.strerror or str(error))
    return Inside(tuple(sorted(folders, key=str.casefold)), images, is_whole=seen <= ENTRIES_AT_MOST)


def folder_picker(field: str) -> None:
    """A box to browse in; the folder that is chosen goes into the text field of key ``field``. Not inside a form."""
    folder_key, inside_key = f"{field}-folder", f"{field}-inside"
    folder = Path(st.session_state.get(folder_key) or Path.home())

    def go(to: Path) -> None:
        st.session_state[folder_key] = str(to)

    def enter() -> None:
        name = st.session_state[inside_key]
        if name is not None:
            go(folder / name)
        st.session_state[inside_key] = None

    def use() -> None:
        st.session_state[field] = str(folder)

    with st.popover("Browse folders", icon=":material/folder_open:"):
        inside = look_inside(folder)
        st.markdown(f"**{literal(str(folder))}**")
        if inside.problem:
            st.warning(f"This folder cannot be opened: {literal(inside.problem)}.")
        else:
            more = "" if inside.is_whole else ", and more"
            st.caption(f"Images here: {inside.images:,}. Folders here: {len(inside.folders):,}{more}.")
        st.selectbox(
            "Go into",
            inside.folders,
            index=None,
            key=inside_key,
            on_change=enter,
            disabled=not inside.folders,
            placeholder="Choose a folder" if inside.folders else "No folders in here",
        )
        with st.container(horizontal=True):
            st.button("Up", key=f"{field}-up", on_click=go, args=(folder.parent,), disabled=folder == folder.parent)
            st.button("Home", key=f"{field}-home", on_click=go, args=(Path.home(),))
            st.button(
                "Use this folder", key=f"{field}-use", on_click=use, type="primary", disabled=bool(inside.problem)
            )
