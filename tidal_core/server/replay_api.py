"""What the page Replay asks of a project, once; thumbnails come by ``gallery_api``.

GET /api/p/{slug}/replay    4 bytes, big-endian, the length of a JSON head; the head, and the rounds' arrays, both as
                            ``figures.replay.packed`` has them. Answered 400 where no round has ended.
"""

from __future__ import annotations

from starlette.responses import Response

from tidal_core.access.people import Role
from tidal_core.errors import NotAllowed
from tidal_core.figures.replay import packed
from tidal_core.rounds import again
from tidal_core.server.endpoints import Call, Endpoint
from tidal_core.server.octets import with_head


def _replay(call: Call) -> Response:
    # It names strategies, whose arithmetic no other request of a page needs.
    from tidal_core.export.replay.collect import replay_info

    if not call.person.role.may(Role.OWNER) and again.hidden_from(call.project, call.annotator):
        raise NotAllowed("Replay shows what others say of images that you are still to answer; answer them first.")
    return with_head(*packed(replay_info(call.project)))


ENDPOINTS = (Endpoint("GET", "replay", _replay, role=Role.ANNOTATOR),)
