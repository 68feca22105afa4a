"""What the gallery asks of a project beside the lists of images: their thumbnails with names.

POST /api/p/{slug}/tiles    {"images": [...]}: 4 bytes, big-endian, the length of a JSON head; the head, the shown
                            name of each image by its id; then their thumbnails (``images.previews.pack``)
"""

from __future__ import annotations

import json
import struct

from starlette.responses import Response

from tidal_core.errors import ImageUnreadable
from tidal_core.images.previews import THUMBNAIL_SIZE, Packed, pack
from tidal_core.labelling import desk
from tidal_core.projects import Project
from tidal_core.records import ImageRecord
from tidal_core.server import wire
from tidal_core.server.api import ITEMS_AT_MOST, picture
from tidal_core.server.endpoints import Call, Endpoint


def _tiles(call: Call) -> Response:
    """Thumbnails and names; of an image that cannot be read the name only."""
    body: wire.ThumbsBody = call.body
    images = call.project.store.images.many((body.images or [])[:ITEMS_AT_MOST])
    names = desk.desk_of(call.project).names()
    head = json.dumps({image.id: names.of(image.name) for image in images}).encode()
    pictures = pack(_packed(call.project, images))
    return Response(struct.pack(">I", len(head)) + head + pictures, media_type="application/octet-stream")


def _packed(project: Project, images: list[ImageRecord]) -> list[Packed]:
    packed = []
    for image in images:
        try:
            body, kind, _ = picture(project, image, THUMBNAIL_SIZE)
        except (ImageUnreadable, IndexError, ValueError):
            continue
        packed.append(Packed(image.id, kind, body))
    return packed


ENDPOINTS = (Endpoint("POST", "tiles", _tiles, wire.ThumbsBody),)
