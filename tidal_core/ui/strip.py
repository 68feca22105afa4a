"""Small images that change while they are looked at, without flicker: what is shown already stays as it is."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import streamlit as st

from tidal_core.projects import Project
from tidal_core.records import ImageRecord
from tidal_core.ui.thumbnails import picture

HTML = '<div class="strip" role="list"></div>'

CSS = """
.strip { display: flex; flex-wrap: wrap; gap: 8px; overflow: hidden; height: var(--strip-height); }
.strip > div { flex: none; text-align: center; font: 13px/1.3 var(--st-font); color: var(--st-text-color); }
img { display: block; object-fit: contain; border-radius: 6px; background: var(--st-secondary-background-color);
  border: 1px solid var(--st-border-color); }
span { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.wrong { color: var(--st-red-text-color); font-weight: 600; }
"""

JS = """
export default function ({ parentElement, data }) {
  const strip = parentElement.querySelector(".strip");
  strip.setAttribute("aria-label", data.label);
  strip.style.setProperty("--strip-height", `${data.rows * (data.side + 28) - 8}px`);
  const there = new Map([...strip.children].map((node) => [node.dataset.id, node]));
  const wanted = data.items.map((item) => {
    let node = there.get(String(item.id));
    if (!node) {
      node = document.createElement("div");
      node.setAttribute("role", "listitem");
      node.dataset.id = item.id;
      node.append(document.createElement("img"), document.createElement("span"));
    }
    const [image, caption] = node.children;
    node.style.width = `${data.side}px`;
    image.width = image.height = data.side;
    if (image.src !== item.src) image.src = item.src;
    image.alt = item.caption || `Image ${item.id}`;
    if (caption.textContent !== item.caption) caption.textContent = item.caption;
    caption.className = item.wrong ? "wrong" : "";
    return node;
  });
  for (const node of there.values()) if (!wanted.includes(node)) node.remove();
  wanted.forEach((node, place) => {
    if (strip.children[place] !== node) strip.insertBefore(node, strip.children[place] || null);
  });
}
"""


@dataclass(frozen=True)
class Shown:
    """One image of a strip."""

    id: int
    src: str
    caption: str = ""
    wrong: bool = False  # its caption is marked


@cache
def _component() -> Any:
    return st.components.v2.component("tidal_strip", html=HTML, css=CSS, js=JS)


def source_of(project: Project, image: ImageRecord, side: int) -> str:
    """An image of a project as an address that needs no request; "" if nothing is left of it."""
    left = picture(project, image, side)
    return "" if left is None else f"data:{left[1]};base64,{base64.b64encode(left[0]).decode()}"


def strip(items: Sequence[Shown], label: str, key: str, *, side: int = 72, rows: int = 1) -> None:
    """Draw it, the first item at the left, as many whole images as have room in so many rows.

    ``side`` in pixels. ``label`` says to a screen reader what it is.
    """
    data = {"items": [asdict(item) for item in items if item.src], "label": label, "side": side, "rows": rows}
    _component()(key=key, data=data)
