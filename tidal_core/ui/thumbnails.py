"""Images on a page: one large picture with the way to its life, or a grid of small ones that can be picked.

The grid is one component, so that fifty images cost one message.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any

import streamlit as st
from PIL import Image

from tidal_core.errors import ImageUnreadable
from tidal_core.images.pixels import PixelStore
from tidal_core.images.previews import preview, thumbnail
from tidal_core.images.squares import png_bytes
from tidal_core.labelling.desk import desk_of
from tidal_core.projects import Project
from tidal_core.records import ImageRecord
from tidal_core.ui.address import DYNAMICS_PAGE

TINY = 64  # pixels: smaller pictures are enlarged pixel by pixel

HTML = '<div class="grid" role="group" aria-label="Images to choose from"></div>'

CSS = """
.grid { display: flex; flex-wrap: wrap; gap: 8px; }
button { all: unset; box-sizing: border-box; width: 84px; cursor: pointer; border-radius: 8px; padding: 4px;
  border: 1px solid var(--st-border-color); background: var(--st-secondary-background-color); text-align: center;
  font: 12px/1.3 var(--st-font); color: var(--st-text-color); }
button:hover, button:focus-visible { border-color: var(--st-primary-color); }
button[aria-pressed="true"] { outline: 2px solid var(--st-primary-color); }
img { display: block; width: 74px; height: 74px; object-fit: contain; image-rendering: auto; margin: 0 auto 3px; }
img.tiny { image-rendering: pixelated; }
.gone { width: 74px; height: 74px; display: grid; place-items: center; margin: 0 auto 3px; opacity: 0.7; }
span { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
"""

JS = """
export default function ({ parentElement, data, setTriggerValue }) {
  const grid = parentElement.querySelector(".grid");
  const focused = [...grid.children].indexOf(parentElement.getRootNode().activeElement);
  grid.replaceChildren(...data.items.map((item) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = item.title;
    button.setAttribute("aria-pressed", String(item.pressed));
    let picture;
    if (item.src) {
      picture = document.createElement("img");
      picture.src = item.src;
      picture.alt = item.title;
      if (item.tiny) picture.className = "tiny";
    } else {
      picture = document.createElement("div");
      picture.className = "gone";
      picture.textContent = "gone";
    }
    const caption = document.createElement("span");
    caption.textContent = item.caption;
    button.append(picture, caption);
    button.onclick = () => setTriggerValue("picked", item.id);
    return button;
  }));
  if (focused >= 0) grid.children[focused]?.focus();
}
"""


@cache
def _component() -> Any:
    return st.components.v2.component("tidal_thumbnails", html=HTML, css=CSS, js=JS)


def picture(project: Project, image: ImageRecord, size: int) -> tuple[bytes, str] | None:
    """An image for the screen, from the training cache if its file has gone; None if nothing is left."""
    try:
        body, kind = preview(image, size, project.previews)
    except ImageUnreadable:
        try:
            body, kind = PixelStore(project.pixels).png(image.pixel_row, size), "image/png"
        except (OSError, ValueError, IndexError):
            return None
    return _enlarged(body, size) if max(image.width, image.height) <= TINY else (body, kind)


def show_picture(shown: tuple[bytes, str] | None, *, alt: str) -> None:
    """A picture that ``picture`` found, as wide as what it stands in; a warning in its place if nothing was found."""
    if shown is None:
        st.warning("The file of this image is missing, and there is no preview of it.", icon=":material/broken_image:")
    else:
        st.image(shown[0], width="stretch", alt=alt)


def life_link(project: Project, image: ImageRecord) -> None:
    """The way from an image to its curves, its rounds and its label on the page Dynamics."""
    st.page_link(
        DYNAMICS_PAGE,
        label=f"Image {image.id}: its life",
        icon=":material/show_chart:",
        query_params={"image": str(image.id), "project": project.slug},
    )


def _enlarged(body: bytes, size: int) -> tuple[bytes, str]:
    """A tiny image made larger square by square: a browser would blur it."""
    image = Image.open(io.BytesIO(body))
    factor = max(1, size // max(image.size))
    return png_bytes(image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)), "image/png"


def thumbnails(
    project: Project,
    image_ids: Sequence[int],
    key: str,
    *,
    captions: Callable[[ImageRecord], str] | None = None,
    chosen: int | None = None,
    marked: Collection[int] = (),
) -> int | None:
    """A grid of images by id; returns the one that was just clicked. ``marked`` ones, and ``chosen``, look pressed."""
    items = []
    pressed = {*marked, chosen}
    names = desk_of(project).names()  # many of these images wait for a label
    for image in project.store.images.many(image_ids):
        try:
            body, kind = thumbnail(image, project.previews)
            source = f"data:{kind};base64,{base64.b64encode(body).decode()}"
        except ImageUnreadable:
            left = picture(project, image, 96)
            source = f"data:{left[1]};base64,{base64.b64encode(left[0]).decode()}" if left else ""
        caption = captions(image) if captions else f"#{image.id}"
        tiny = max(image.width, image.height) <= TINY
        title = names.of(image.name) or f"Image {image.id}"
        items.append(
            {
                "id": image.id,
                "src": source,
                "title": title,
                "caption": caption,
                "tiny": tiny,
                "pressed": image.id in pressed,
            }
        )
    result = _component()(key=f"{key}-{project.slug}", data={"items": items}, on_picked_change=lambda: None)
    picked = getattr(result, "picked", None)
    return None if picked is None else int(picked)
