"""All that the studio serves beside Streamlit's pages, and what guards both: for ``app.py``, and for tests without it.

The guard stands before every address, Streamlit's own (pages, websocket, uploads, downloads) included.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidal_core.access.door import Door, LoginHref
from tidal_core.access.hosts import LOOPBACK
from tidal_core.access.sessions import Access, NoLogin
from tidal_core.server import api, collection_api, endpoints, gallery_api, owner_api, replay_api
from tidal_core.server.endpoints import problem
from tidal_core.server.requests import OWN_PAGES_ONLY, Refused, check_origin, header

if TYPE_CHECKING:
    from tidal_core.server.studio import Studio

logger = logging.getLogger(__name__)

ENDPOINTS = (
    *api.ENDPOINTS,
    *collection_api.ENDPOINTS,
    *gallery_api.ENDPOINTS,
    *replay_api.ENDPOINTS,
    *owner_api.ENDPOINTS,
)
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        # Streamlit's page has a script and styles in it, and its components bring theirs as blobs. Plotly draws clouds
        # of points by WebGL with functions that it makes of text.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "worker-src 'self' blob:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
"""What a page of the studio may load, and who may show it in a frame: this studio, and nobody else."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FOREIGN = 1008  # a websocket's code for who may not
OWN_FAULT = "The studio has made a mistake; the terminal that it runs in says which. Try again, or restart the studio."


def routes(get_studio: Callable[[], Studio]) -> list[Route]:
    """Every address that is not Streamlit's. ``get_studio`` is called at each request, in a thread."""
    return [*endpoints.routes(ENDPOINTS, get_studio), endpoints.rest()]


def middleware(
    access: Access | None = None, hosts: Sequence[str] = LOOPBACK, login_href: LoginHref | None = None
) -> list[Middleware]:
    """What each request passes, in this order. Without ``access`` nobody has to sign in."""
    return [
        Middleware(Guard),
        # A name that is not this studio's in a request is a page elsewhere that was pointed here.
        Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        Middleware(Door, access=access or NoLogin(), login_href=login_href),
    ]


class Guard:
    """Lets only the studio's own pages ask, tells browsers what those may do, and answers what goes wrong within."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it; answer it, if what is within does not."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A page's own connection. Streamlit takes one from any port of this computer, and from none at all."""
        headers = Headers(scope=scope)
        try:
            if header(headers, "origin") is None:
                raise Refused(403, OWN_PAGES_ONLY)
            check_origin(headers, "https" if scope["scheme"] == "wss" else "http")
        except Refused:
            await send({"type": "websocket.close", "code": FOREIGN})
            return
        await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            check_origin(Headers(scope=scope), scope["scheme"])
            await self._app(scope, receive, with_headers)
        except Refused as refused:
            await problem(refused.status, str(refused))(scope, receive, with_headers)
        except Exception:
            # No request may end without an answer, whatever was sent; what went wrong is for this terminal only.
            logger.exception("%s %s failed", scope["method"], ascii(scope["path"]))
            if started:
                raise
            await problem(500, OWN_FAULT)(scope, receive, with_headers)
