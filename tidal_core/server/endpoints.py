"""The studio's addresses as a table: each ``Endpoint`` says all that a request to it may hold, and who answers it.

``ENDPOINTS`` of ``api``, ``collection_api`` and ``owner_api`` are the tables. A handler is called only with what its
row describes, read by ``requests``, from a person of the row's role; whatever else is sent is refused here.
``tests/server/test_requests.py`` drives every row with whatever can be sent, and sees that an address that is in no
table is in no route either; ``tests/server/test_roles.py`` that each row refuses whom it should.

Handlers run in threads: the event loop, and with it every page, never waits for DuckDB or for a photo to be decoded.
Every refusal is ``{"error": text}`` with text for people, and names no folder of this computer.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tidal_core import files, json_checks, projects
from tidal_core.access.door import SIGN_IN_FIRST, person_of
from tidal_core.access.people import HERE, Person, Role
from tidal_core.errors import (
    DISK_FULL,
    DiskFull,
    ImageUnreadable,
    InputError,
    ListGone,
    NotAllowed,
    NotFound,
    ProjectInUse,
    ProjectNotFound,
    TidalError,
)
from tidal_core.projects import Project
from tidal_core.server import requests, wire
from tidal_core.server.owner_client import TOKEN_HEADER
from tidal_core.server.requests import Refused

if TYPE_CHECKING:
    from tidal_core.server.studio import Studio

PREFIX = "/api/p/{slug}/"
PAGE_TOKEN_HEADER = "X-Tidal-Token"
STATUS_OF_ERROR: tuple[tuple[type[Exception], int], ...] = (
    (ImageUnreadable, 422),
    (ListGone, 410),
    (InputError, 400),
    (NotAllowed, 403),
    (NotFound, 404),
    (ProjectNotFound, 404),
    (ProjectInUse, 423),
    (DiskFull, 507),
    (TidalError, 409),
)

ANNOTATOR = "X-Tidal-Annotator"


@dataclass(frozen=True)
class Call:
    """One request that has passed the checks."""

    studio: Studio
    project: Project
    body: Any  # a record of the endpoint's ``body``; None where it takes none
    query: Any  # a record of the endpoint's ``query``
    image_id: int  # 0 where the address names none
    person: Person  # who asks
    annotator: str  # who looks, by the header ``X-Tidal-Annotator`` (percent-encoded); "" where it is not said


@dataclass(frozen=True)
class Endpoint:
    """One address: what a request to it may say, and who answers it."""

    method: Literal["GET", "POST"]
    path: str  # below ``PREFIX``; "{image}" stands for an image's id
    handler: Callable[[Call], Response]
    body: type | None = None  # of the JSON in a POST, from ``wire``
    body_at_most: int = requests.BODY_AT_MOST  # bytes
    query: type = wire.NoQuery  # of what stands behind the "?", from ``wire``: a record of texts
    door: Literal["page", "owner"] = "page"  # whose token is asked for: see ``api`` and ``owner_api``
    role: Role = Role.OWNER  # what it takes, where people sign in; owners only unless it is said


def routes(endpoints: Iterable[Endpoint], get_studio: Callable[[], Studio]) -> list[Route]:
    """The routes of a table. ``get_studio`` is called at each request, in a thread."""
    return [Route(PREFIX + endpoint.path, _Answering(endpoint, get_studio)) for endpoint in endpoints]


class _Answering:
    """An endpoint for all methods, so that a wrong one is refused in the same words as all else."""

    def __init__(self, endpoint: Endpoint, get_studio: Callable[[], Studio]) -> None:
        self._endpoint, self._get_studio = endpoint, get_studio

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except Refused as refused:
            response = problem(refused.status, str(refused))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        endpoint = self._endpoint
        if request.method != endpoint.method and (endpoint.method, request.method) != ("GET", "HEAD"):
            response = problem(405, f"This address answers {endpoint.method} only.")
            response.headers["Allow"] = endpoint.method
            return response
        body = None if endpoint.body is None else await requests.read_body(request, endpoint.body_at_most)
        return await run_in_threadpool(_answer, request, body, endpoint, self._get_studio)


def _answer(
    request: Request, body: dict[str, Any] | None, endpoint: Endpoint, get_studio: Callable[[], Studio]
) -> Response:
    studio = get_studio()
    person = _DOORS[endpoint.door](request, body, studio)
    query: Any = requests.read_query(request, endpoint.query)
    try:
        person.require(endpoint.role, f"use this address ({endpoint.path})")
        project = studio.project(request.path_params["slug"])
        image_id = _image_id(request.path_params.get("image", "0"))
        record = None if endpoint.body is None else json_checks.convert(body, endpoint.body)
        annotator = person.name or unquote(request.headers.get(ANNOTATOR, ""))
        return endpoint.handler(Call(studio, project, record, query, image_id, person, annotator))
    except TidalError as error:
        return _refusal(error)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        return _refusal(files.disk_full(projects.home()))


def _refusal(error: TidalError) -> JSONResponse:
    """What went wrong on purpose, with the status that says what kind it is."""
    return problem(next(status for kind, status in STATUS_OF_ERROR if isinstance(error, kind)), str(error))


def _image_id(text: str) -> int:
    number = requests.read_number(text, wire.LARGEST_ID)
    if number is None:
        raise NotFound(f"There is no image {text[:20]!r} in this project.")
    return number


def _check_page(request: Request, body: dict[str, Any] | None, studio: Studio) -> Person:
    """Who has passed the door, with the token of this process's pages in a header or, from a beacon, in the body."""
    if (requests.header(request.headers, "sec-fetch-site") or "same-origin") not in {"same-origin", "none"}:
        raise Refused(403, requests.OWN_PAGES_ONLY)
    given = requests.header(request.headers, PAGE_TOKEN_HEADER)
    requests.check_token(given or (body or {}).get("token"), studio.token)
    person = person_of(request.scope)
    if person is None:
        raise Refused(401, SIGN_IN_FIRST)
    return person


def _check_owner(request: Request, body: dict[str, Any] | None, studio: Studio) -> Person:
    """The owner's token, and no browser behind the request, from whatever origin."""
    if "origin" in request.headers or "sec-fetch-site" in request.headers:
        raise Refused(403, "This address does not answer browsers.")
    token = studio.owner.token if studio.owner is not None else ""
    if not token:
        raise Refused(403, "The studio has not started up yet; run the command again.")
    requests.check_token(requests.header(request.headers, TOKEN_HEADER), token)
    return HERE


_DOORS: dict[str, Callable[[Request, dict[str, Any] | None, Studio], Person]] = {
    "page": _check_page,
    "owner": _check_owner,
}


def problem(status: int, message: str) -> JSONResponse:
    """A refusal."""
    return JSONResponse({"error": without_folders(message)}, status)


_PATH = re.compile(r"(?<![\w:/.])(?:~|/[^\s/'\"(),;]+)(?:/[^\s/'\"(),;]+)*(/[^\s/'\"(),;]+)")


def without_folders(message: str) -> str:
    """A message with what it names on this computer's disk cut to the last part: pages need not know where it lies."""
    for folder in sorted({str(projects.home()), str(Path.home()), tempfile.gettempdir()}, key=len, reverse=True):
        if len(folder) > 1:
            message = message.replace(folder, "/…")
    return _PATH.sub(r"…\1", message)


class _Unknown:
    """What answers below ``/api/`` where no endpoint is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await problem(404, "There is no such address; reload the page.")(scope, receive, send)


def rest() -> Route:
    """The last route: all addresses below ``/api/`` that no table has. Without it Streamlit's front page answers."""
    return Route("/api/{rest:path}", _Unknown())
