"""HTTP routes for the labelling component and for programs, beside Streamlit's own.

Streamlit checks nothing on routes of an app (no XSRF token, no Origin, no Host), so every route here demands

- the token of this process, in the header ``X-Tidal-Token`` or, where a beacon cannot set one, in the body;
- ``application/json`` for a POST, at most 1 MB of it (413 beyond, without reading on);
- an Origin that is this server, if the browser names one.

Images are named by opaque ids; paths come from the store. Handlers run in threads: the event loop, and with it every
page, never waits for DuckDB or for a photo to be decoded. Every refusal is ``{"error": text}`` with text for people.
"""

from __future__ import annotations

import json
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidal_core import files, json_checks, projects
from tidal_core.errors import (
    DISK_FULL,
    DiskFull,
    ImageUnreadable,
    InputError,
    NotFound,
    ProjectInUse,
    ProjectNotFound,
    TidalError,
)
from tidal_core.images.pixels import PixelStore
from tidal_core.images.previews import Packed, pack, preview, thumbnail
from tidal_core.labelling import desk, explaining
from tidal_core.labelling.sheets import SHEET_AT_MOST
from tidal_core.projects import Project
from tidal_core.records import ImageRecord, Purpose
from tidal_core.server import wire

if TYPE_CHECKING:
    from tidal_core.labelling.desk import Desk
    from tidal_core.server.studio import Studio

BODY_AT_MOST = 1_000_000  # bytes
FOR_EVER = "private, max-age=31536000, immutable"
SIZES = (256, 512, 1024, 2048, 4096)  # pixels: what the component may ask an image at
ITEMS_AT_MOST = 200
STATUS_OF_ERROR: tuple[tuple[type[Exception], int], ...] = (
    (ImageUnreadable, 422),
    (InputError, 400),
    (NotFound, 404),
    (ProjectNotFound, 404),
    (ProjectInUse, 423),
    (DiskFull, 507),
    (TidalError, 409),
)


@dataclass(frozen=True)
class Call:
    """One request that has passed the checks."""

    studio: Studio
    project: Project
    desk: Desk
    body: dict[str, Any]  # {} for a GET
    image_id: int  # 0 where the route has none
    query: dict[str, str]


Handler = Callable[[Call], Response]


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def routes(get_studio: Callable[[], Studio]) -> list[Route]:
    """The routes, under ``/api/p/{slug}/``. ``get_studio`` is called at each request, in a thread."""
    posts: dict[str, Handler] = {
        "open": _open,
        "queue": _queue,
        "answers": _answers,
        "status": _status,
        "history": _history,
        "release": _release,
        "sweep": _sweep,
        "thumbs": _thumbs,
    }
    gets: dict[str, Handler] = {
        "classes": _classes,
        "image/{image_id:int}": _image,
        "why/{image_id:int}": _why,
        "neighbours/{image_id:int}": _neighbours,
    }
    return [
        *(_route(path, handler, "POST", get_studio) for path, handler in posts.items()),
        *(_route(path, handler, "GET", get_studio) for path, handler in gets.items()),
    ]


def _route(path: str, handler: Handler, method: str, get_studio: Callable[[], Studio]) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _checked_body(request) if method == "POST" else {}
            return await run_in_threadpool(_answer, request, body, handler, get_studio)
        except _Refused as refused:
            return problem(refused.status, str(refused))

    return Route(f"/api/p/{{slug}}/{path}", endpoint, methods=[method])


async def _checked_body(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise _Refused(415, "Send application/json.")
    declared = request.headers.get("content-length", "")
    too_large = _Refused(413, f"The body is larger than {BODY_AT_MOST:,} bytes; send fewer answers at a time.")
    if declared.isdigit() and int(declared) > BODY_AT_MOST:
        raise too_large
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > BODY_AT_MOST:
            raise too_large
    try:
        return json_checks.decode(bytes(received), dict[str, Any])
    except InputError as error:
        raise _Refused(400, f"The body of the request cannot be read: {error}") from error


def _check_origin(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc != request.headers.get("host"):
        raise _Refused(403, "This address only answers the studio's own pages.")
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise _Refused(403, "This address only answers the studio's own pages.")


def _check_token(request: Request, body: dict[str, Any], token: str) -> None:
    given = request.headers.get("x-tidal-token") or body.get("token")
    if not isinstance(given, str) or not secrets.compare_digest(given.encode(), token.encode()):
        raise _Refused(403, "The token is missing or from an earlier start of the studio; reload the page.")


def _answer(request: Request, body: dict[str, Any], handler: Handler, get_studio: Callable[[], Studio]) -> Response:
    _check_origin(request)
    studio = get_studio()
    _check_token(request, body, studio.token)
    try:
        project = studio.project(request.path_params["slug"])
        image_id = request.path_params.get("image_id", 0)
        if image_id > wire.LARGEST_ID:
            raise NotFound(f"There is no image {image_id} in this project.")
        return handler(Call(studio, project, desk.desk_of(project), body, image_id, dict(request.query_params)))
    except TidalError as error:
        return refusal(error)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        return refusal(files.disk_full(projects.home()))


def refusal(error: TidalError) -> JSONResponse:
    """What went wrong on purpose, with the status that says what kind it is."""
    return problem(next(status for kind, status in STATUS_OF_ERROR if isinstance(error, kind)), str(error))


def problem(status: int, message: str) -> JSONResponse:
    """A refusal."""
    return JSONResponse({"error": message}, status)


# --- handlers


def _open(call: Call) -> Response:
    items = _next_items(call, wire.read(call.body, wire.QueueBody))
    classes = call.project.store.classes.all()
    return JSONResponse(
        {
            "classes": wire.write_classes(classes),
            "status": _state(call),
            "items": items,
        }
    )


def _queue(call: Call) -> Response:
    return JSONResponse({"items": _next_items(call, wire.read(call.body, wire.QueueBody))})


def _next_items(call: Call, body: wire.QueueBody) -> list[dict[str, Any]]:
    items = call.desk.next(body.tab, min(body.n, ITEMS_AT_MOST), body.held or (), fresh=body.fresh)
    return [wire.write_item(item) for item in items]


def _answers(call: Call) -> Response:
    body = wire.read(call.body, wire.AnswersBody)
    outcomes = call.desk.record(wire.answers_of(body), body.tab)
    if any(outcome.new for outcome in outcomes):
        call.studio.worker.wake()
    if body.release is not None:
        call.desk.release(body.release)
    return JSONResponse(
        {"results": [{"id": outcome.event_id, "seq": outcome.seq, "refused": outcome.refused} for outcome in outcomes]}
    )


def _status(call: Call) -> Response:
    body = wire.read(call.body, wire.StatusBody)
    if body.tab is not None:
        call.desk.renew(body.tab, body.held or ())
    return JSONResponse(_state(call))


def _state(call: Call) -> dict[str, Any]:
    settings = call.project.settings
    active = call.project.store.rounds.active()
    progress = call.studio.worker.progress(call.project.slug)
    return {
        **wire.write_counts(call.desk.counts()),
        "labels_per_round": settings.labels_per_round,
        "rounds_enabled": settings.rounds_enabled,
        "settings": {"suggestions": settings.suggestions},
        "ranking": call.desk.ranking(),
        "round": wire.write_round(active, progress),
        "waiting": call.desk.waiting(),
    }


def _history(call: Call) -> Response:
    body = wire.read(call.body, wire.HistoryBody)
    entries = call.desk.history(body.annotator or "me", body.before, min(body.limit, desk.HISTORY_AT_MOST))
    return JSONResponse(
        {
            "entries": [
                {
                    "seq": seq,
                    "item": wire.write_item(asked),
                    "event": {
                        "id": answer.event_id,
                        "kind": answer.kind.value,
                        "class": answer.class_id,
                        "reason": answer.reason,
                        "mode": answer.mode.value,
                        "purpose": asked.purpose.value,
                    },
                }
                for seq, answer, asked in entries
            ]
        }
    )


def _release(call: Call) -> Response:
    call.desk.release(wire.read(call.body, wire.TabBody).tab)
    return JSONResponse({})


def _classes(call: Call) -> Response:
    classes = call.project.store.classes.all()
    return JSONResponse({"classes": wire.write_classes(classes), "version": desk.classes_version(classes)})


def _image(call: Call) -> Response:
    image = call.project.store.images.get(call.image_id)
    if call.query.get("v") != wire.version_of(image.sha256):
        raise NotFound(f"There is no image {image.id} of this content in this project; reload the page.")
    wanted = call.query.get("size", "1024")
    if not wanted.isdigit() or int(wanted) not in SIZES:
        raise InputError(f"size is {wanted[:20]!r}; it must be one of {', '.join(map(str, SIZES))}.")
    body, kind, kept = _picture(call.project, image, int(wanted))
    call.studio.worker.expect_rounds()  # the first page is on its way
    return Response(body, media_type=kind, headers={"Cache-Control": FOR_EVER if kept else "no-store"})


def _picture(project: Project, image: ImageRecord, size: int) -> tuple[bytes, str, bool]:
    """Bytes, content type, and whether it is the picture itself and not what is left of it in the pixel cache."""
    try:
        return *preview(image, size, project.previews), True
    except ImageUnreadable:
        if not project.pixels.exists():
            raise
        return PixelStore(project.pixels).png(image.pixel_row), "image/png", False


def _why(call: Call) -> Response:
    why = explaining.reasons(call.project, call.image_id)
    return JSONResponse(
        {
            "reason": why.sentence,
            "facts": why.facts,
            "classes": [{"class": share.class_id, "p": share.p, "td": share.td} for share in why.classes],
            "age": _age(call, why.round_id),
            "rivals": why.rivals,
        }
    )


def _age(call: Call, round_id: int | None) -> str:
    said = f"Ranked by round {round_id}" if round_id else "Chosen before the first round"
    active = wire.write_round(call.project.store.rounds.active(), call.studio.worker.progress(call.project.slug))
    if active is None:
        return f"{said}."
    if active["epoch"] is None:
        return f"{said}; round {active['id']} is {active['state']}."
    return (
        f"{said}; round {active['id']} at epoch {active['epoch']} of {active['epochs']}, "
        f"{active['seconds_left']:.0f} s left."
    )


def _neighbours(call: Call) -> Response:
    groups = explaining.neighbours(call.project, call.image_id)
    return JSONResponse(
        {
            "groups": [
                {
                    "class": class_id,
                    "items": [
                        {
                            "image": image.id,
                            "version": wire.version_of(image.sha256),
                            "name": image.name,
                            "width": image.width,
                            "height": image.height,
                        }
                        for image in images
                    ],
                }
                for class_id, images in groups
            ]
        }
    )


def _thumbs(call: Call) -> Response:
    """Thumbnails of many images in one answer, see ``images.previews.pack``; unreadable ones are left out."""
    ids = wire.read(call.body, wire.ThumbsBody).images or []
    images = call.project.store.images.many(ids[:ITEMS_AT_MOST])
    return Response(pack(_packed(call.project, images)), media_type="application/octet-stream")


def _packed(project: Project, images: list[ImageRecord]) -> list[Packed]:
    packed = []
    for image in images:
        try:
            body, kind = thumbnail(image, project.previews)
        except ImageUnreadable:
            continue
        packed.append(Packed(image.id, kind, body))
    return packed


def _sweep(call: Call) -> Response:
    """One sheet: 4 bytes, big-endian, the length of a JSON head; the head; then the pack of its thumbnails."""
    body = wire.read(call.body, wire.SweepBody)
    sheet = call.desk.sheet(body.tab, min(body.n, SHEET_AT_MOST), body.after, body.without or ())
    head = {
        "class": sheet.class_id,
        "reason": sheet.reason,
        "items": [
            {
                **wire.write_item(desk.Asked(image, Purpose.QUERY, sheet.round_id, None)),
                "class": sheet.class_id,
                "p": round(p, 4),
            }
            for image, p in sheet.images
        ],
    }
    written = json.dumps(head).encode()
    pictures = pack(_packed(call.project, [image for image, _ in sheet.images]))
    return Response(struct.pack(">I", len(written)) + written + pictures, media_type="application/octet-stream")
