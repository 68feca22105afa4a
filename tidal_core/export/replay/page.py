"""A replay as one HTML file that plays without the studio and without a network.

Everything is in it: the player, the numbers in base64, small pictures of the images that were asked. Its content policy
lets it load nothing and run no script but its own, by that script's hash. Names from outside are text everywhere: the
template escapes them, in the JSON no ``<`` is left, and the player writes them as text.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import json
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, StrictUndefined

import tidal_core
from tidal_core.errors import ImageUnreadable
from tidal_core.export.replay.player_files import player_file, player_script, shared_script
from tidal_core.figures.palettes import DARK, LIGHT
from tidal_core.figures.replay import ReplayInfo, packed
from tidal_core.images.pixels import PixelStore
from tidal_core.images.previews import thumbnail
from tidal_core.projects import Project
from tidal_core.records import ImageRecord
from tidal_core.store.columns import utc_now

MOST_PICTURES = 600  # of which each round's queue has as many
_SAMPLED = 12  # pictures that an estimate of the size rests on


def page(project: Project, info: ReplayInfo) -> str:
    """The whole page."""
    images = project.store.images.many(pictured(info))
    found = {image.id: _picture(project, image) for image in images}
    return _rendered(info, {image_id: source for image_id, source in found.items() if source})


def estimated_bytes(project: Project, info: ReplayInfo) -> int:
    """How large the page will be: exact but for the pictures, of which some are looked at."""
    wanted = pictured(info)
    some = project.store.images.many(wanted[:: max(len(wanted) // _SAMPLED, 1)][:_SAMPLED])
    sizes = [len(_picture(project, image)) + len(str(image.id)) + 6 for image in some]
    return len(_rendered(info, {}).encode()) + round(sum(sizes) / max(len(sizes), 1) * len(wanted))


def pictured(info: ReplayInfo) -> list[int]:
    """The images whose pictures are in the page, by id: the first ones of each queue."""
    queues = [info.begun_with, *(each.queue for each in info.rounds)]
    of_each = max(MOST_PICTURES // len(queues), 6)
    return sorted({asked.image for queue in queues for asked in queue[:of_each]})


def _rendered(info: ReplayInfo, pictures: dict[int, str]) -> str:
    head, arrays = packed(info)
    script = "\n".join((shared_script(), player_script(), player_file("page.js")))
    styles = (importlib.resources.files("tidal_core") / "ui" / "controls.css").read_text(encoding="utf-8")
    source = (importlib.resources.files("tidal_core.export.replay") / "page.html").read_text(encoding="utf-8")
    # autoescape is the point: titles and names of classes come from outside
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(source)
    return template.render(
        title=info.title,
        rounds=_several(len(info.rounds), "round"),
        made=f"{utc_now():%Y-%m-%d %H:%M} UTC",
        version=tidal_core.__version__,
        light=LIGHT,
        dark=DARK,
        styles=styles + player_file("player.css"),
        player=player_file("player.html"),
        script=script,
        script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        head=_json(head),
        pictures=_json(pictures),
        arrays=base64.b64encode(arrays).decode(),
    )


def _json(value: Any) -> str:
    """JSON that ends no element of the page, whatever stands in it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")


def _picture(project: Project, image: ImageRecord) -> str:
    """A small picture as a data URI; "" where nothing is left of the image."""
    found = picture(project, image)
    return f"data:{found[1]};base64,{base64.b64encode(found[0]).decode()}" if found else ""


def picture(project: Project, image: ImageRecord) -> tuple[bytes, str] | None:
    """A small picture and its type: from the file, or what the model saw of it; None where nothing is left."""
    try:
        return thumbnail(image, project.previews)
    except ImageUnreadable:
        try:
            return PixelStore(project.pixels).png(image.pixel_row, 96), "image/png"
        except (OSError, ValueError, IndexError):
            return None


def pictures_of(project: Project, image_ids: Sequence[int]) -> dict[int, bytes]:
    """Small pictures by image id, without those of which nothing is left."""
    found = {image.id: picture(project, image) for image in project.store.images.many(image_ids)}
    return {image_id: body[0] for image_id, body in found.items() if body}


def _several(n: int, one: str) -> str:
    return f"{n:,} {one}" if n == 1 else f"{n:,} {one}s"
