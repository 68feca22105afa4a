"""HTTP routes for programs of the user who runs the studio: what becomes of a project that this process owns.

They give whole projects away, so they ask for more than the routes of the pages: the token of ``ownership``, which
is in no page and in a file that only this user can read, in the header ``X-Tidal-Owner``; and no browser may be behind
the request, from whatever origin: one that names an Origin or a Sec-Fetch-Site is refused.

    POST /api/p/{slug}/owner/status     the project's ``summary``, as JSON
    POST /api/p/{slug}/owner/snapshot   the project's file as it is now
    POST /api/p/{slug}/owner/export     an export that needs no photos: ?format=csv&what=labels[&round=7]
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tidal_core.errors import InputError, TidalError
from tidal_core.files import scratch
from tidal_core.server.api import problem, refusal
from tidal_core.server.owner_client import ROWS_HEADER, TOKEN_HEADER
from tidal_core.server.summary import summary

if TYPE_CHECKING:
    from tidal_core.server.studio import Studio

Handler = Callable[["Studio", str, Mapping[str, str]], Response]  # studio, slug, what was asked for

TAKEN_WITHIN = 60.0  # seconds for one chunk: a client that hangs must not put checkpoints off for ever


def routes(get_studio: Callable[[], Studio]) -> list[Route]:
    """The routes; ``get_studio`` is called at each request, in a thread."""
    handlers: dict[str, Handler] = {"status": _status, "snapshot": _snapshot, "export": _export}
    return [_route(path, handler, get_studio) for path, handler in handlers.items()]


def _route(path: str, handler: Handler, get_studio: Callable[[], Studio]) -> Route:
    def answer(request: Request) -> Response:
        studio = get_studio()
        owner, given = studio.owner, request.headers.get(TOKEN_HEADER, "")
        if "origin" in request.headers or "sec-fetch-site" in request.headers:
            return problem(403, "This address does not answer browsers.")
        if owner is None or not secrets.compare_digest(given.encode(), owner.token.encode()):
            return problem(403, "The token is missing or from an earlier start of the studio; run the command again.")
        try:
            return handler(studio, request.path_params["slug"], request.query_params)
        except TidalError as error:
            return refusal(error)

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(answer, request)

    return Route(f"/api/p/{{slug}}/owner/{path}", endpoint, methods=["POST"])


def _status(studio: Studio, slug: str, asked: Mapping[str, str]) -> Response:
    return JSONResponse(summary(studio.project(slug), studio.worker.progress(slug)))


def _snapshot(studio: Studio, slug: str, asked: Mapping[str, str]) -> Response:
    snapshot = studio.project(slug).store.snapshot()
    return _BytesResponse(snapshot.size, snapshot.chunks(), snapshot.close)


def _export(studio: Studio, slug: str, asked: Mapping[str, str]) -> Response:
    """The whole project need not travel for a table of labels."""
    # They bring the decoders of photos with them, which no other request for the owner needs.
    from tidal_core.export.tables import checked
    from tidal_core.export.tables.base import WHATS, ExportOptions

    project = studio.project(slug)
    what = next((name for name in WHATS if name == asked.get("what", "labels")), None)
    number = asked.get("round", "")
    if what is None or not (number.isdecimal() or not number) or not asked.get("format"):
        raise InputError(f"the export request {dict(asked)} is incomplete or wrong; give format, what, round.")
    options = ExportOptions(what=what, round_id=int(number) if number else None)
    with ExitStack() as stack:
        folder = stack.enter_context(scratch("export"))
        exporter, target = checked(folder / "export", asked["format"], options)
        if not exporter.from_store:
            raise InputError(f"the format {exporter.name} needs the photos; ask for a snapshot and export that.")
        report = exporter.write(project, target, options)
        file = stack.enter_context(target.open("rb"))
        chunks = iter(lambda: file.read(1 << 20), b"")
        return _BytesResponse(target.stat().st_size, chunks, stack.pop_all().close, {ROWS_HEADER: str(report.rows)})


class _BytesResponse(Response):
    """Bytes with their number ahead of them: whoever gets fewer knows that some are missing. Calls ``close`` last."""

    def __init__(
        self, size: int, chunks: Iterator[bytes], close: Callable[[], None], headers: Mapping[str, str] | None = None
    ) -> None:
        all_headers = {"Content-Length": str(size), **(headers or {})}
        super().__init__(media_type="application/octet-stream", headers=all_headers)
        self._chunks, self._close = chunks, close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while chunk := await run_in_threadpool(next, self._chunks, b""):
                async with asyncio.timeout(TAKEN_WITHIN):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            # A checkpoint that waited is made in a thread, and made also where this task is being cancelled.
            asyncio.get_running_loop().run_in_executor(None, self._close)
