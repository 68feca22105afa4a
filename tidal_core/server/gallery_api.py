"""What the gallery asks of a project beside the lists of images: their thumbnails with names, their labels as a file.

POST /api/p/{slug}/tiles    {"images": [...]}: 4 bytes, big-endian, the length of a JSON head; the head, the shown
                            name of each image by its id; then their thumbnails (``images.previews.pack``)

    POST /api/p/{slug}/collection/table     {"ids": [...]} or {"list": "...", "runs": [...]} (see ``collection_api``):
                                            the labels of these images as CSV; how many there are stands in the header
                                            that ``owner_client.ROWS_HEADER`` names
"""

from __future__ import annotations

from starlette.responses import Response

from tidal_core.access.people import Role
from tidal_core.errors import ImageUnreadable, InputError
from tidal_core.files import scratch
from tidal_core.images.previews import THUMBNAIL_SIZE, Packed, pack
from tidal_core.labelling import desk
from tidal_core.projects import Project
from tidal_core.records import ImageRecord
from tidal_core.server import wire
from tidal_core.server.api import ITEMS_AT_MOST, picture
from tidal_core.server.collection_api import BULK_BYTES_AT_MOST, named_images
from tidal_core.server.endpoints import Call, Endpoint
from tidal_core.server.octets import with_head
from tidal_core.server.owner_client import ROWS_HEADER


def _tiles(call: Call) -> Response:
    """Thumbnails and names; of an image that cannot be read the name only."""
    body: wire.ThumbsBody = call.body
    images = call.project.store.images.many((body.images or [])[:ITEMS_AT_MOST])
    names = desk.desk_of(call.project).names()
    head = {str(image.id): names.of(image.name) for image in images}
    return with_head(head, pack(_packed(call.project, images)))


def _packed(project: Project, images: list[ImageRecord]) -> list[Packed]:
    packed = []
    for image in images:
        try:
            body, kind, _ = picture(project, image, THUMBNAIL_SIZE)
        except (ImageUnreadable, IndexError, ValueError):
            continue
        packed.append(Packed(image.id, kind, body))
    return packed


def _table(call: Call) -> Response:
    # They bring the decoders of photos with them, which no other request of a page needs.
    from tidal_core.export.tables import checked
    from tidal_core.export.tables.base import ExportOptions

    ids = named_images(call)
    if ids is None:
        raise InputError("Name the images by ids, or by list and runs together.")
    options = ExportOptions(image_ids=tuple(map(int, ids)), beside=False)
    with scratch("export") as folder:
        exporter, target = checked(folder / "export", "csv", options)
        report = exporter.write(call.project, target, options)
        return Response(target.read_bytes(), media_type="text/csv", headers={ROWS_HEADER: str(report.rows)})


ENDPOINTS = (
    Endpoint("POST", "tiles", _tiles, wire.ThumbsBody, role=Role.ANNOTATOR),
    Endpoint("POST", "collection/table", _table, wire.TableBody, body_at_most=BULK_BYTES_AT_MOST),
)
