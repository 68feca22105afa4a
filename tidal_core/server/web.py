"""All that the studio serves beside Streamlit's pages, and what guards both: for ``app.py``, and for tests without it.

The guard stands before every address, Streamlit's own (pages, websocket, uploads, downloads) included.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidal_core.server import api, endpoints, owner_api
from tidal_core.server.endpoints import problem

if TYPE_CHECKING:
    from tidal_core.server.studio import Studio

logger = logging.getLogger(__name__)

ENDPOINTS = (*api.ENDPOINTS, *owner_api.ENDPOINTS)
HOSTS = ("localhost", "127.0.0.1", "[::1]")
OWN_FAULT = "The studio has made a mistake; the terminal that it runs in says which. Try again, or restart the studio."


def routes(get_studio: Callable[[], Studio]) -> list[Route]:
    """Every address that is not Streamlit's. ``get_studio`` is called at each request, in a thread."""
    return [*endpoints.routes(ENDPOINTS, get_studio), endpoints.rest()]


def middleware() -> list[Middleware]:
    """What each request passes, in this order."""
    return [
        Middleware(Guard),
        # Pages are for this machine: a foreign host name in a request is a page elsewhere that was pointed here.
        Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS),
    ]


class Guard:
    """Answers in words whatever goes wrong within."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; answer it, if what is within does not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            # No address may end a request without an answer, whatever was sent; what it was is for this terminal only.
            logger.exception("%s %s failed", scope["method"], ascii(scope["path"]))
            if started:
                raise
            await problem(500, OWN_FAULT)(scope, receive, send)
