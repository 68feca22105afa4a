"""A figure on a page: its title with an explanation one hover away, the drawing, and its downloads.

The camera in the figure's own tool bar saves PNG or SVG in the browser; the menu beside the title saves the figure as
a web page of its own and its numbers as CSV, both made only when asked for. No button may stand in a polled fragment
(clicks get lost there), so such a figure draws itself with ``draw`` and has its menu outside.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import plotly.graph_objects as go
import streamlit as st

from tidal_core.figures.cloud import needs_webgl, without_webgl
from tidal_core.figures.look import titled
from tidal_core.figures.palettes import Info, Theme, theme_of
from tidal_core.figures.words import Told
from tidal_core.text import SpreadsheetRows
from tidal_core.ui import graphics
from tidal_core.ui.streamlit_internals import told_by_component

Mode = Literal["points", "box", "lasso"]
Build = Callable[[], tuple[Info, go.Figure]]


LIVE_SECONDS = 3.0  # between two drawings of a live figure


class _Live(NamedTuple):
    """The two drawings of a live figure."""

    version: tuple[tuple[object, ...], str]  # what it shows, and the theme it was drawn in
    drawn: float
    newest: go.Figure
    before: go.Figure
    front: int  # the slot of the newest


def page_theme() -> Theme:
    """The colours of the theme that this browser shows."""
    return theme_of(st.context.theme.type)


def heading(title: str, explanation: str, key: str, build: Build | None = None, *, level: int = 2) -> None:
    """The title of a figure, its explanation on hover, and the menu of downloads if ``build`` can make it again.

    ``level`` is 3 where the figure belongs to a chapter that has a heading of its own.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"{key}-heading"):
        st.markdown(f"{'#' * level} {title}", help=explanation or None, width="content")
        if build is not None:
            with st.popover("", icon=":material/download:", type="tertiary", help="Save this figure or its numbers"):
                _downloads(title, key, build)


def _downloads(title: str, key: str, build: Build) -> None:
    name = file_name(title)
    st.segmented_control(
        "Picture",
        ["PNG", "SVG"],
        default="PNG",
        required=True,
        key=f"{key}-format",
        help="The format that the camera button above the figure saves.",
    )
    st.download_button(
        "Interactive web page",
        lambda: as_html(title, build()[1]),
        f"{name}.html",
        "text/html",
        on_click="ignore",
        key=f"{key}-html",
        icon=":material/html:",
    )
    st.download_button(
        "Numbers as CSV",
        lambda: as_csv(build()[0]),
        f"{name}.csv",
        "text/csv",
        on_click="ignore",
        key=f"{key}-csv",
        icon=":material/table:",
    )


def draw(
    figure: go.Figure, title: str, key: str, *, select: bool = False, modes: tuple[Mode, ...] = ("points",)
) -> Any:
    """The figure itself; returns the selection if ``select``."""
    if needs_webgl(figure):
        if graphics.lacks_webgl():
            figure = _without_webgl(figure)
        else:
            graphics.ask_for_webgl(key)
    config: dict[str, Any] = {
        "displaylogo": False,
        "modeBarButtonsToRemove": ["select2d", "autoScale2d", *([] if "lasso" in modes else ["lasso2d"])],
        "toImageButtonOptions": {
            "format": str(st.session_state.get(f"{key}-format") or "PNG").lower(),
            "filename": file_name(title),
            "scale": 2,
        },
    }
    if not select:
        return st.plotly_chart(figure, theme=None, key=key, config=config, alt=title)
    return st.plotly_chart(
        figure, theme=None, key=key, config=config, alt=title, on_select="rerun", selection_mode=modes
    )


def _without_webgl(figure: go.Figure) -> go.Figure:
    plain, shown, points = without_webgl(figure)
    if shown < points:
        st.caption(
            f"This browser has no WebGL, so {shown:,} of {points:,} points are drawn, some of every place. To see all, "
            "turn on *graphics acceleration* in the browser's settings and reload the page, or use another browser."
        )
    return plain


def draw_live(build: Callable[[], go.Figure], title: str, key: str, version: tuple[object, ...]) -> None:
    """A figure that grows while it is looked at, without flicker.

    Streamlit takes a changed figure out of the page and puts a new one in, with nothing between. So two lie on top of
    each other: the new one in front, the one before behind it, until the new one is painted. ``version`` says what is
    drawn and, at its end, how far it has come: when that is new, it is shown LIVE_SECONDS after the one before at the
    earliest, because a browser that draws takes its time from the training. Into one that somebody has zoomed into
    nothing is drawn until it shows the whole again: it would take what they look at away.
    """
    theme, now = page_theme(), time.monotonic()
    state = st.session_state.get(f"{key}-slots")
    if state is not None and state.version[0][:-1] != version[:-1]:
        state = None  # of another round, or project
    is_looked_at = state is not None and bool(told_by_component(f"{key}-zoom", "zoomed"))
    is_new = state is None or (state.version != (version, theme.name) and not is_looked_at)
    if state is None or (is_new and (now - state.drawn >= LIVE_SECONDS or state.version[1] != theme.name)):
        figure = build()
        figure.update_layout(paper_bgcolor=theme.background)
        before, front = (figure, 0) if state is None else (state.newest, 1 - state.front)
        state = _Live((version, theme.name), now, figure, before, front)
        st.session_state[f"{key}-slots"] = state
    newest, before, front = state.newest, state.before, state.front
    with st.container(key=key):
        for slot in (0, 1):
            with st.container(key=f"{key}-{slot}"):
                draw(newest if slot == front else before, title, f"{key}-figure-{slot}")
        st.html(
            # A column of the whole width: Streamlit's boxes take the width they are given, a figure would have none.
            f"<style>.st-key-{key} {{ display: grid; grid-template-columns: minmax(0, 1fr); }}"
            f".st-key-{key} > * {{ grid-area: 1 / 1; min-width: 0; width: 100%; justify-self: stretch; }}"
            f".st-key-{key} > :has(.st-key-{key}-{front}) {{ z-index: 1; }}</style>"
        )
    _live_zoom()(key=f"{key}-zoom", data={"figure": key}, on_zoomed_change=lambda: None, height=1)
    if is_looked_at:
        st.caption("The figure stands still while you look closer. Double-click it to see all of it, and what is new.")


@cache
def _live_zoom() -> Any:
    script = Path(__file__).with_name("live_zoom.js").read_text(encoding="utf-8")
    return st.components.v2.component("tidal_live_zoom", js=script)


def chart(
    title: str, explanation: str, key: str, build: Build, told: Told | None = None, *, level: Literal[2, 3] = 2
) -> None:
    """A figure with everything around it, for places that are not polled."""
    heading(title, explanation, key, build, level=level)
    if told is not None:
        say(told)
    draw(build()[1], title, key)


def say(told: Told) -> None:
    """Above a figure: what to look at, and what it means here."""
    with st.container(gap=None):
        st.caption(told.look)
        st.markdown(told.here)


def picked(selection: Any) -> list[Any]:
    """The custom data of the points that are selected in a figure."""
    points = (selection or {}).get("selection", {}).get("points", [])
    return [point["customdata"] for point in points if "customdata" in point]


def file_name(title: str) -> str:
    """A title as a file name."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in title.lower()).split())


def as_csv(info: Info) -> bytes:
    """The numbers of a figure for spreadsheets: UTF-8 with a mark at its start, and no cell that one would run."""
    table = info.table()
    text = io.StringIO()
    rows = SpreadsheetRows(text)
    rows.writerow(table)
    rows.writerows(zip(*table.values(), strict=True))
    return text.getvalue().encode("utf-8-sig")


def as_html(title: str, figure: go.Figure) -> bytes:
    """The figure as a web page that needs no network."""
    return titled(figure, title).to_html(include_plotlyjs=True, config={"displaylogo": False}).encode()  # type: ignore[no-any-return]
