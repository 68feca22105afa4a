"""The gallery's component: every image of a project, virtualised. Plain html, css and js files; no build step."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from tidal_core.access.people import Role
from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.projects import Project
from tidal_core.rounds import similar
from tidal_core.server.collection_api import ROLES
from tidal_core.ui import address
from tidal_core.ui.runtime import person
from tidal_core.ui.streamlit_internals import told_by_component

HERE = Path(__file__).parent
LABELLER = HERE.parent / "labeller"
OWN_PARTS = (
    "filters", "pictures", "listing", "selection", "scroll", "grid", "plane", "plane_hand", "place", "acts", "main",
)  # fmt: skip
# One module for the browser, in this order: each part uses what stands before it.
PARTS = (
    LABELLER / "shared.js",
    LABELLER / "transport.js",
    *(HERE / f"{part}.js" for part in OWN_PARTS),
)
STYLES = (HERE.parent / "controls.css", HERE / "gallery.css")
PAGE = "gallery"

SORTS = {
    "id": "Oldest first",
    "-id": "Newest first",
    "name": "File name",
    "p": "Least certain first",
    "-p": "Most certain first",
    "margin": "Smallest margin",
    **{
        ("-" if ESTIMATORS[name].query_end == "highest" else "") + name: words
        for name, words in (("entropy", "Largest entropy"), ("td_margin", "Smallest margin of dynamics"))
    },
    "p_bar": "Label learnt worst",
    "-answered": "Answered last",
}
"""What the images can be sorted by: a field of ``store.where``, with "-" for the largest first."""


@cache
def _component() -> Any:
    return st.components.v2.component(
        "tidal_gallery",
        html=(HERE / "gallery.html").read_text(encoding="utf-8"),
        css="\n".join(path.read_text(encoding="utf-8") for path in STYLES),
        js="\n".join(path.read_text(encoding="utf-8") for path in PARTS),
    )


def _acts() -> list[str]:
    """What whoever looks may do to many images at once; "export" takes an owner as well."""
    role = person().role
    return [act.value for act, needed in ROLES.items() if role.may(needed)] + ["export"] * role.may(Role.OWNER)


def gallery(project: Project, *, project_id: str, token: str, annotator: str, typed: bool, version: str) -> int | None:
    """Mount the gallery; the image whose life was just asked for.

    ``version`` changes when what the model says of the images does. See ``ui.labeller.labeller`` for the others.
    """
    slug = project.slug
    key = f"gallery-{slug}"
    kept, led = address.texts(PAGE, slug)

    def chosen() -> None:
        given = told_by_component(key, "chosen")
        if isinstance(given, dict):
            address.keep_texts(PAGE, slug, given)

    result = _component()(
        key=key,
        data={
            "base": "",
            "slug": slug,
            "project": project_id,
            "token": token,
            "annotator": annotator,
            "typed": typed,
            "version": version,
            "features": similar.has_features(project),
            "filter": dict(kept),
            "led": led,
            "sorts": list(SORTS.items()),
            "acts": _acts(),
        },
        on_chosen_change=chosen,
        on_opened_change=lambda: None,
    )
    opened = getattr(result, "opened", None)
    return opened if isinstance(opened, int) else None
