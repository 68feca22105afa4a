"""The replay's component: the player that exported pages have, too, fed by the studio. No build step."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from tidal_core.export.replay.player_files import player_file, player_script, shared_script
from tidal_core.projects import Project
from tidal_core.ui import address
from tidal_core.ui.streamlit_internals import told_by_component

HERE = Path(__file__).parent
PAGE = "replay"


@cache
def _component() -> Any:
    scripts = (
        shared_script(),
        (HERE.parent / "labeller" / "transport.js").read_text(encoding="utf-8"),
        player_script(),
        (HERE / "main.js").read_text(encoding="utf-8"),
    )
    return st.components.v2.component(
        "tidal_replay",
        html=player_file("player.html"),
        css=(HERE.parent / "controls.css").read_text(encoding="utf-8") + player_file("player.css"),
        js="\n".join(scripts),
    )


def replay(project: Project, *, project_id: str, token: str, version: str) -> None:
    """Mount the player; the moment that it rests at stands in the address.

    ``version`` changes when another round has ended or a class was changed. See ``ui.labeller.labeller`` for the
    others.
    """
    slug = project.slug
    key = f"replay-{slug}"
    moment, led = address.texts(PAGE, slug)

    def rested() -> None:
        given = told_by_component(key, "moment")
        if isinstance(given, dict):
            address.keep_texts(PAGE, slug, given)

    _component()(
        key=key,
        data={
            "base": "",
            "slug": slug,
            "project": project_id,
            "token": token,
            "version": version,
            "moment": dict(moment),
            "led": led,
        },
        on_moment_change=rested,
    )
