"""What the studio knows of Streamlit that Streamlit does not document, in one place.

``tests/ui/test_streamlit_internals.py`` fails by name when an upgrade changes one of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import auth_util, config, runtime
from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

_FIRST_SCRIPT = b"<script"
# Room for the sidebar until it is there: Streamlit draws the page without it first, and moves everything then. On a
# narrow screen it lies over the page and needs no room.
_STYLE = (
    "<style>@media (min-width: 768px) { [data-testid=stAppViewContainer]:not(:has([data-testid=stSidebar])) "
    "{ box-sizing: border-box; padding-left: 300px } }"
    # And for its list of pages.
    "[data-testid=stSidebarContent]:not(:has([data-testid=stSidebarNav])) [data-testid=stSidebarUserContent] "
    "{ margin-top: %dpx }</style>"
)
_ABOVE_PAGES, _PAGE = 19, 34  # pixels: what is above the list of pages, and a line of it
_OF_UNCHANGED = {b"accept-encoding", b"if-none-match", b"if-modified-since", b"range"}  # answers of these fit no change


def told_by_component(key: str, name: str) -> Any:
    """What a component has told under a name, for the callback that it calls; None where that is gone.

    Its state is dropped where the page that mounted it was left meanwhile: Back right after a step to another page.
    """
    state = st.session_state.get(key)
    return None if state is None else state.get(name)


def serves_already() -> bool:
    """Whether a server or a test already runs this file as the script of a page view.

    Streamlit reads ``app.py`` twice: once to find the app in it, and then as the script of each view. Between the two
    lies the making of its runtime. The function is exported, but stands on no page of the manual.
    """
    return runtime.exists()


def run_our_script_for_every_page() -> None:
    """Let ``app.py`` answer from the first visitor on, although our pages lie in a folder named ``pages``.

    A folder of this name beside the script makes Streamlit run a page's file by itself, without ours, until
    ``st.navigation`` has been called once in the process: the first visitor who comes by the address of a page would
    see it without sidebar and settings. There is no option for it.
    """
    PagesManager.uses_pages_directory = False


def allow_hosts(hosts: Sequence[str]) -> None:
    """Let Streamlit's websocket answer under these names, too; IPv6 in brackets or without.

    An option of the server cannot be set by ``st.set_option``, and on the command line it would replace the file's.
    """
    config.set_option("server.allowedHosts", [host.strip("[]") for host in hosts])


def user_cookie(cookies: Mapping[str, str]) -> tuple[str, float] | None:
    """What ``st.login`` wrote of a person into its cookie, as JSON, and when, in seconds since 1970.

    None for no cookie, and for one that this studio's ``cookie_secret`` did not sign. Streamlit reads it at a page's
    connection only (``st.user``); the studio's door reads it at every address.
    """
    secret = get_cookie_secret()

    def one(name: str) -> bytes | None:
        value = cookies.get(name)
        return None if value is None else decode_signed_value(secret, name, value)

    text = auth_util.get_cookie_with_chunks(one, USER_COOKIE_NAME)
    if text is None:
        return None
    try:
        _, signed = URLSafeTimedSerializer(secret, salt=USER_COOKIE_NAME).loads(
            cookies[USER_COOKIE_NAME], return_timestamp=True
        )
        return text.decode(), float(signed.timestamp())
    except (BadData, UnicodeDecodeError):
        return None


def login_href(provider: str) -> str:
    """Where ``st.login(provider)`` sends a browser: for a page of ours that stands before all of Streamlit's."""
    auth_util.validate_auth_credentials(provider)
    return f"/auth/login?{urlencode({'provider': auth_util.encode_provider_token(provider)})}"


class OwnPage:
    """Changes two of the answers that Streamlit gives to browsers, as a program around it may.

    The settings of its page: no dialogs about errors. "Connection error ... streamlit run yourscript.py" would lie over
    the page and take the keys of whoever labels; ``ui/connection.py`` says it in our words, and ``ui/address.py`` says
    that a page is not there. The page itself: it is told where the server is (it would ask below the address of each
    page first, and be answered 404), and keeps room for the sidebar with so many pages.
    """

    def __init__(self, app: ASGIApp, base: str = "", pages: int = 0) -> None:
        self._app = app
        where = f"location.origin + {json.dumps('/' + base.strip('/'))}"
        self._style = (_STYLE % (_ABOVE_PAGES + _PAGE * pages)).encode()
        self._script = f"<script>window.__streamlit = {{ BACKEND_BASE_URL: {where} }}</script>".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; change the answer if it is one of the two."""
        is_read = scope["type"] == "http" and scope["method"] == "GET"
        is_settings = is_read and scope["path"].endswith("/_stcore/host-config")
        is_page = is_read and "text/html" in Headers(scope=scope).get("accept", "")
        if not is_settings and not is_page:
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def changed(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            answer = MutableHeaders(scope=start)
            if start["status"] == 200 and is_settings:
                body = json.dumps({**json.loads(body), "blockErrorDialogs": True}).encode()
            elif start["status"] == 200 and answer.get("content-type", "").startswith("text/html"):
                body = body.replace(_FIRST_SCRIPT, self._style + self._script + _FIRST_SCRIPT, 1)
            if "content-length" in answer:
                answer["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

        asked = [(name, value) for name, value in scope["headers"] if name not in _OF_UNCHANGED]
        await self._app({**scope, "headers": asked}, receive, changed)
