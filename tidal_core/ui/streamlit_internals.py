"""What the studio knows of Streamlit that Streamlit does not document, in one place.

``tests/ui/test_streamlit_internals.py`` fails by name when an upgrade changes one of them.
"""

from __future__ import annotations

import json

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import runtime
from streamlit.runtime.pages_manager import PagesManager


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


class OwnDialogs:
    """Turns off Streamlit's dialogs about errors, as a program that shows Streamlit in a frame of its own may.

    Its "Connection error ... streamlit run yourscript.py" would lie over the page and take the keys of whoever labels;
    ``ui/connection.py`` says it in our words, and ``app.py`` says that a page is not there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; change the answer that tells browsers how to behave."""
        if scope["type"] != "http" or not scope["path"].endswith("/_stcore/host-config") or scope["method"] != "GET":
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
            if start["status"] == 200:
                body = json.dumps({**json.loads(body), "blockErrorDialogs": True}).encode()
                MutableHeaders(scope=start)["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self._app({**scope, "headers": plain}, receive, changed)
