"""What programs of the user who runs the studio may ask: what becomes of a project that this process owns.

They give whole projects away, so they ask for more than the routes of the pages: the token of ``ownership``, which
is in no page and in a file that only this user can read, in the header ``X-Tidal-Owner``; and no browser may be behind
the request, from whatever origin: one that names an Origin or a Sec-Fetch-Site is refused.

    POST /api/p/{slug}/owner/status     the project's ``summary``, as JSON[: ?where=CONDITION]
    POST /api/p/{slug}/owner/snapshot   the project's file as it is now
    POST /api/p/{slug}/owner/export     an export of one file: ?format=csv&what=labels[&round=7][&where=]
                                        [&with_model=yes][&plain=yes]
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tidal_core.errors import InputError
from tidal_core.files import scratch
from tidal_core.server import wire
from tidal_core.server.endpoints import Call, Endpoint
from tidal_core.server.owner_client import NOTE_HEADER, ROWS_HEADER
from tidal_core.server.summary import summary

TAKEN_WITHIN = 60.0  # seconds for one chunk: a client that hangs must not put checkpoints off for ever


def _status(call: Call) -> Response:
    return JSONResponse(summary(call.project, call.studio.worker.progress(call.project.slug), call.query.where))


def _snapshot(call: Call) -> Response:
    snapshot = call.project.store.snapshot()
    return _BytesResponse(snapshot.size, snapshot.chunks(), snapshot.close)


def _export(call: Call) -> Response:
    """The whole project need not travel for a table of labels."""
    # They bring the decoders of photos with them, which no other request for the owner needs.
    from tidal_core.export.tables import checked
    from tidal_core.export.tables.base import ExportOptions

    query: wire.ExportQuery = call.query
    options = ExportOptions(
        what=query.what,
        round_id=int(query.round) if query.round else None,
        where=query.where,
        with_model=query.with_model == "yes",
        plain=query.plain == "yes",
        beside=False,  # only the file travels
    )
    with ExitStack() as stack:
        folder = stack.enter_context(scratch("export"))
        exporter, target = checked(folder / "export", query.format, options)
        if not exporter.from_store:
            raise InputError(f"the format {exporter.name} needs the photos; ask for a snapshot and export that.")
        report = exporter.write(call.project, target, options)
        file = stack.enter_context(target.open("rb"))
        chunks = iter(lambda: file.read(1 << 20), b"")
        told = {ROWS_HEADER: str(report.rows), NOTE_HEADER: quote(report.note)}
        return _BytesResponse(target.stat().st_size, chunks, stack.pop_all().close, told)


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


ENDPOINTS = (
    Endpoint("POST", "owner/status", _status, query=wire.StatusQuery, door="owner"),
    Endpoint("POST", "owner/snapshot", _snapshot, door="owner"),
    Endpoint("POST", "owner/export", _export, query=wire.ExportQuery, door="owner"),
)
