"""Images on a screen of the presenter's view, as large as they fit."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from tidal_core.figures.palettes import ClassStyle
from tidal_core.projects import Project
from tidal_core.records import ImageRecord
from tidal_core.ui.thumbnails import picture

HERE = Path(__file__).parent
_SIDES = (160, 320, 640)  # pixels that are sent for one image, by how many share the screen
_WIDE = 2.2  # width of the room for tiles by its height


@cache
def _component(captioned: bool) -> Any:
    style = "tiles captioned" if captioned else "tiles"
    return st.components.v2.component(
        f"tidal_present_tiles_{captioned}",
        html=f'<div class="{style}"></div>',
        css=(HERE / "tiles.css").read_text(encoding="utf-8"),
        js=(HERE / "tiles.js").read_text(encoding="utf-8"),
    )


def tiles(
    project: Project,
    image_ids: Sequence[int],
    key: str,
    *,
    classes: Mapping[int, ClassStyle] | None = None,
    places: int = 0,
    room: str = "92vw",
) -> None:
    """A grid of images; ``classes``: what each is called below, by image. ``places``: room for so many at least,
    ``room`` across."""
    n = max(len(image_ids), places, 1)
    columns = min(n, math.ceil(math.sqrt(n * _WIDE)))
    side = _SIDES[2] if n <= 2 else _SIDES[1] if n <= 24 else _SIDES[0]
    _component(classes is not None)(
        key=f"present-tiles-{key}-{project.slug}",
        data={
            "columns": columns,
            "room": room,
            "rows": math.ceil(n / columns),
            "captioned": classes is not None,
            "items": [
                _item(project, image, side, None if classes is None else classes.get(image.id))
                for image in project.store.images.many(image_ids)
            ],
        },
    )


def _item(project: Project, image: ImageRecord, side: int, style: ClassStyle | None) -> dict[str, Any]:
    return {
        "id": image.id,
        "src": _source(project, image, side),
        "title": f"Image {image.id}",
        "caption": "" if style is None else style.name,
        "colour": "" if style is None else style.colour,
    }


@st.cache_data(max_entries=2_000, show_spinner=False, hash_funcs={ImageRecord: lambda image: image.sha256})
def _source(_project: Project, image: ImageRecord, side: int) -> str:
    shown = picture(_project, image, side)
    return "" if shown is None else f"data:{shown[1]};base64,{base64.b64encode(shown[0]).decode()}"
