"""HTTP routes for programs of the user who runs the studio: what becomes of a project that this process owns.

They give whole projects away, so they ask for more than the routes of the pages: the token of ``ownership``, which is
in no page and in a file that only this user can read, in the header ``X-Tidal-Owner``; and no browser may be behind
the request, from whatever origin: one that names an Origin or a Sec-Fetch-Site is refused.

    POST /api/p/{slug}/owner/status     the project's ``summary``, as JSON
    POST /api/p/{slug}/owner/snapshot   the project's file as it is now
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tidal_core.api import problem, refusal
from tidal_core.errors import TidalError
from tidal_core.ownership import TOKEN_HEADER
from tidal_core.store.database import Snapshot
from tidal_core.summary import summary

if TYPE_CHECKING:
    from tidal_core.studio import Studio

TAKEN_WITHIN = 60.0  # seconds for one chunk: a client that hangs must not put checkpoints off for ever


def routes(get_studio: Callable[[], Studio]) -> list[Route]:
    """The routes; ``get_studio`` is called at each request, in a thread."""
    return [_route("status", _status, get_studio), _route("snapshot", _snapshot, get_studio)]


def _route(path: str, handler: Callable[[Studio, str], Response], get_studio: Callable[[], Studio]) -> Route:
    def answer(request: Request) -> Response:
        studio = get_studio()
        owner, given = studio.owner, request.headers.get(TOKEN_HEADER, "")
        if "origin" in request.headers or "sec-fetch-site" in request.headers:
            return problem(403, "This address does not answer browsers.")
        if owner is None or not secrets.compare_digest(given.encode(), owner.token.encode()):
            return problem(403, "The token is missing or of an earlier run of the studio.")
        try:
            return handler(studio, request.path_params["slug"])
        except TidalError as error:
            return refusal(error)

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(answer, request)

    return Route(f"/api/p/{{slug}}/owner/{path}", endpoint, methods=["POST"])


def _status(studio: Studio, slug: str) -> Response:
    return JSONResponse(summary(studio.project(slug), studio.worker.progress(slug)))


def _snapshot(studio: Studio, slug: str) -> Response:
    return _SnapshotResponse(studio.project(slug).store.snapshot())


class _SnapshotResponse(Response):
    """The bytes of a snapshot, with their number ahead of them: whoever gets fewer knows that some are missing."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(media_type="application/octet-stream", headers={"Content-Length": str(snapshot.size)})
        self._snapshot = snapshot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            chunks = self._snapshot.chunks()
            while chunk := await run_in_threadpool(next, chunks, b""):
                async with asyncio.timeout(TAKEN_WITHIN):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            # The checkpoint that waited is made in a thread, and made also where this task is being cancelled.
            asyncio.get_running_loop().run_in_executor(None, self._snapshot.close)
