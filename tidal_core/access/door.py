"""The door before every address, Streamlit's own (pages, websocket, uploads, downloads, static files) included.

It lets in who has signed in, says with each request who that is (``person_of``), and answers the addresses of the
login. Whoever comes without is shown the way to sign in, or refused in words. A page's connection is looked at again
with each of its messages: it ends with the session.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidal_core.access.attempts import TooManyAttempts
from tidal_core.access.identity import IdentityProvider
from tidal_core.access.pass_phrases import COOKIE, SharedPassPhrase
from tidal_core.access.people import HERE, Person, Role, only_owners
from tidal_core.access.sessions import Access, Login
from tidal_core.errors import TidalError

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
SIGN_IN_WITH = "/sign-in/with"
OF_PROVIDER = ("/auth/login", "/oauth2callback", "/auth/logout")
"""Streamlit's addresses that bring a browser to the identity provider and back."""

FOR_PROGRAMS = re.compile(r"/api/p/[^/]+/owner/[^/]+")
"""Addresses for programs of the user who runs the studio: they ask for a token that only this user can read."""

FOR_OWNERS = {"/_stcore/upload_file/": "upload files", "/_stcore/agent/": "let programs use the pages"}
"""Streamlit's own addresses that more than looking and labelling needs: a part of the path, and what it is for."""

SIGN_IN_FIRST = "Sign in first: reload the page. Answers that this browser keeps are saved once you are in."
FORM_AT_MOST = 4_000  # bytes
REFUSED = 1008  # a websocket's code for who may not
_PERSON = "tidal.person"

LoginHref = Callable[[str], str]
"""The address that brings a browser to the identity provider of a name: what ``st.login`` would send it to."""


def person_of(scope: Scope) -> Person | None:
    """Who sent a request that has passed the door; None for nobody."""
    person: Person | None = scope.get(_PERSON)
    return person


class Door:
    """Stands before an application; ``access`` says who may pass."""

    def __init__(self, app: ASGIApp, access: Access, login_href: LoginHref | None = None) -> None:
        self._app, self._access, self._login_href = app, access, login_href

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its person, answer it, or refuse it."""
        access = self._access
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
        elif not isinstance(access, Login):
            scope[_PERSON] = HERE
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(access, scope, receive, send)
        else:
            await self._http(access, scope, receive, send)

    async def _websocket(self, access: Login, scope: Scope, receive: Receive, send: Send) -> None:
        cookies = cookies_of(scope)
        scope[_PERSON] = access.person(cookies)
        if scope[_PERSON] is None:
            await send({"type": "websocket.close", "code": REFUSED})
            return

        async def still_in() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and access.person(cookies) is None:
                await send({"type": "websocket.close", "code": REFUSED})
                return {"type": "websocket.disconnect", "code": REFUSED}
            return message

        await self._app(scope, still_in, send)

    async def _http(self, access: Login, scope: Scope, receive: Receive, send: Send) -> None:
        path, cookies = scope["path"], cookies_of(scope)
        person = scope[_PERSON] = access.person(cookies)
        response = None
        if path in (SIGN_IN, SIGN_IN_WITH, SIGN_OUT):
            response = await self._of_login(access, Request(scope, receive), cookies, person)
        if response is None and person is None and not self._is_open(access, path):
            response = _turned_away(access, Headers(scope=scope), scope, cookies)
        if response is None and person is not None and not person.role.may(Role.OWNER):
            what = next((what for part, what in FOR_OWNERS.items() if part in path), None)
            response = None if what is None else problem(403, only_owners(what, person))
        await (self._app if response is None else response)(scope, receive, send)

    def _is_open(self, access: Login, path: str) -> bool:
        """Addresses that ask for another proof than a session, or lead to one."""
        if FOR_PROGRAMS.fullmatch(path):
            return True
        return isinstance(access, IdentityProvider) and path in OF_PROVIDER

    async def _of_login(self, access: Login, request: Request, cookies: str, person: Person | None) -> Response | None:
        """The answer of an address of the login; None for all other addresses."""
        path, method = request.scope["path"], request.method
        if path == SIGN_OUT:
            return self._sign_out(access, request, cookies, person)
        if path == SIGN_IN_WITH and isinstance(access, IdentityProvider):
            wanted = QueryParams(request.scope["query_string"]).get("provider", "")
            if self._login_href is None or wanted not in access.providers:
                return _page(access, told="There is no such identity provider.", is_bad=True, status=404)
            return _redirect(self._login_href(wanted))
        if path != SIGN_IN:
            return None
        if method == "POST" and isinstance(access, SharedPassPhrase):
            return await _sign_in(access, request)
        if method not in {"GET", "HEAD"}:
            return problem(405, "This address answers GET and POST only.")
        query = QueryParams(request.scope["query_string"])
        if person is not None:
            return _redirect(own_path(query.get("next")))
        return _invitation(access, cookies, own_path(query.get("next")), "out" in query)

    def _sign_out(self, access: Login, request: Request, cookies: str, person: Person | None) -> Response:
        # A link elsewhere may lead here; it signs nobody out by itself.
        is_own = request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}
        if request.method not in {"GET", "POST"}:
            return problem(405, "This address answers GET and POST only.")
        if person is not None and request.method == "GET" and not is_own:
            return _page(access, title="Sign out?", kind="sign out")
        access.end(cookies)
        if isinstance(access, IdentityProvider):
            return _redirect("/auth/logout")
        response: Response = _redirect(f"{SIGN_IN}?out")
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=_is_tls(request.scope))
        return response


def cookies_of(scope: Scope) -> str:
    """The Cookie header of a request; HTTP/2 may send it in parts."""
    parts = [value for name, value in scope["headers"] if name == b"cookie"]
    return b"; ".join(parts).decode("latin-1") if parts else ""


def own_path(text: str | None) -> str:
    """A place within the studio to go to; its front page for anything that could lead elsewhere."""
    given = text or "/"
    is_own = re.fullmatch(r"/(?![/\\])[^\\\x00-\x20\x7f]*", given) is not None and len(given) <= 2_000
    return given if is_own and not given.startswith((SIGN_IN, SIGN_OUT)) else "/"


def problem(status: int, message: str) -> JSONResponse:
    """A refusal in words, as all addresses of the studio give it."""
    return JSONResponse({"error": message}, status)


async def _sign_in(access: SharedPassPhrase, request: Request) -> Response:
    """The answer to a form that was sent: on to where the person wanted, with a cookie, or the form again and why."""
    form = await _form(request)
    if form is None:
        return problem(413, "This is no sign-in form.")
    name, place = form.get("name", ""), own_path(form.get("next"))
    address = request.client.host if request.client else ""
    try:
        cookie, seconds = await run_in_threadpool(access.sign_in, form.get("pass_phrase", ""), name, address)
    except TooManyAttempts as error:
        response = _page(access, told=str(error), is_bad=True, status=429, next=place, name=name)
        response.headers["Retry-After"] = str(math.ceil(error.seconds))
        return response
    except TidalError as error:
        return _page(access, told=str(error), is_bad=True, status=403, next=place, name=name)
    came_in = _redirect(place)
    came_in.set_cookie(
        COOKIE, cookie, max_age=int(seconds), path="/", httponly=True, samesite="lax", secure=_is_tls(request.scope)
    )
    return came_in


async def _form(request: Request) -> dict[str, str] | None:
    """What a small form says; None for anything else."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > FORM_AT_MOST:
                return None
        return dict(parse_qsl(received.decode(), keep_blank_values=True, max_num_fields=10))
    except (ClientDisconnect, UnicodeDecodeError, ValueError):
        return None


def _turned_away(access: Login, headers: Headers, scope: Scope, cookies: str) -> Response:
    """Where to for a browser that shows pages; words for everything else."""
    asks_for_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
    if not asks_for_page or scope["path"].startswith("/api/"):
        return problem(401, SIGN_IN_FIRST)
    query = scope["query_string"].decode("latin-1")
    return _redirect(f"{SIGN_IN}?{urlencode({'next': own_path(scope['path'] + ('?' + query if query else ''))})}")


def _invitation(access: Login, cookies: str, place: str, is_out: bool) -> Response:
    if isinstance(access, IdentityProvider):
        stranger = access.stranger(cookies)
        if stranger is not None:
            told = f"You are {stranger}, and no list of this studio has you. Ask its owner to add you, or sign out."
            return _page(access, title="You may not enter", told=told, is_bad=True, status=403, kind="sign out")
    return _page(access, told="You are signed out." if is_out else "", next=place)


def _is_tls(scope: Scope) -> bool:
    """Whether the browser speaks TLS, with us or with a proxy that is trusted to say so (X-Forwarded-Proto)."""
    return bool(scope["scheme"] == "https")


def _redirect(place: str) -> RedirectResponse:
    return RedirectResponse(place, 303, {"Cache-Control": "no-store"})


@cache
def _template() -> Any:
    text = (Path(__file__).with_name("sign_in.html")).read_text(encoding="utf-8")
    return Environment(autoescape=True).from_string(text)


def _page(access: Login, *, title: str = "Sign in", status: int = 200, kind: str = "", **said: Any) -> HTMLResponse:
    """``sign_in.html`` with a form of a ``kind``: "pass phrase", "provider" (default: by the login) or "sign out"."""
    providers = access.providers if isinstance(access, IdentityProvider) else []
    usual = "provider" if isinstance(access, IdentityProvider) else "pass phrase"
    values = {"told": "", "is_bad": False, "next": "/", "name": "", **said}
    text = _template().render(title=title, kind=kind or usual, providers=providers, **values)
    return HTMLResponse(text, status, {"Cache-Control": "no-store"})
