"""What Streamlit does not document and the studio relies on: each test names what an upgrade has changed."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from pathlib import Path

import pytest
import streamlit
import uvicorn
from starlette.responses import HTMLResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message
from streamlit import auth_util, config, runtime
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from streamlit.web.server.starlette.starlette_routes import create_host_config_routes
from streamlit.web.server.starlette.starlette_server import _get_uvicorn_config_kwargs
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from tidal_core.ui import streamlit_internals

ROOT = Path(__file__).parents[2]


def test_the_runtime_exists_within_a_page_view_and_not_before() -> None:
    script = """
import streamlit
from tidal_core.ui import streamlit_internals
streamlit.write(str(streamlit_internals.serves_already()))
"""
    before = streamlit_internals.serves_already()

    view = AppTest.from_string(script).run()

    assert not before, "streamlit.runtime.exists() is true outside a server"
    assert view.markdown[0].value == "True", "streamlit.runtime.exists() is false within a page view"


def test_what_a_component_told_is_nothing_once_its_page_was_left() -> None:
    script = """
import streamlit
from tidal_core.ui import streamlit_internals
streamlit.session_state.setdefault("there", {"went": "somewhere"})
streamlit.write(str([streamlit_internals.told_by_component(key, "went") for key in ("there", "gone")]))
"""
    assert AppTest.from_string(script).run().markdown[0].value == "['somewhere', None]"


def test_a_folder_named_pages_still_has_to_be_overruled_and_still_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PagesManager, "uses_pages_directory", None)
    PagesManager(str(ROOT / "app.py"))
    by_itself = PagesManager.uses_pages_directory
    monkeypatch.setattr(PagesManager, "uses_pages_directory", None)

    streamlit_internals.run_our_script_for_every_page()
    PagesManager(str(ROOT / "app.py"))

    assert by_itself is True, "PagesManager no longer looks for the folder: run_our_script_for_every_page can go"
    assert PagesManager.uses_pages_directory is False, (
        "PagesManager.uses_pages_directory no longer overrules the folder"
    )


def answer_of(app: ASGIApp, path: str, *headers: tuple[bytes, bytes]) -> bytes:
    """What an app answers to a browser."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    asyncio.run(app(scope, receive, send))
    start, end = sent
    assert dict(start["headers"])[b"content-length"] == str(len(end["body"])).encode()
    body: bytes = end["body"]
    return body


def test_streamlit_still_asks_whether_it_may_show_its_dialogs_and_is_told_not_to() -> None:
    its_own = Router(create_host_config_routes(None))
    path = "/_stcore/host-config"

    apps = its_own, streamlit_internals.OwnPage(its_own)
    before, after = (json.loads(answer_of(app, path)) for app in apps)

    assert before["blockErrorDialogs"] is False, "Streamlit no longer has the setting, or changed it"
    assert after == {**before, "blockErrorDialogs": True}
    scripts = (Path(streamlit.__file__).parent / "static" / "static" / "js").glob("index.*.js")
    assert any("blockErrorDialogs" in script.read_text(encoding="utf-8") for script in scripts), (
        "Streamlit's page no longer reads blockErrorDialogs: its dialogs come back over the labelling page"
    )


def test_streamlits_page_is_told_where_the_server_is_before_any_of_its_scripts() -> None:
    static = Path(streamlit.__file__).parent / "static"
    page = (static / "index.html").read_bytes()
    its_own = Router([Route("/progress", lambda _: HTMLResponse(page))])

    told = answer_of(streamlit_internals.OwnPage(its_own, "/base/"), "/progress", (b"accept", b"text/html"))

    script = b'window.__streamlit = { BACKEND_BASE_URL: location.origin + "/base" }'
    assert told.count(script) == 1
    assert told.index(script) < told.index(b"<script", told.index(script))
    style = told[
        told.index(b"<style>@media") : told.index(b"</style>", told.index(b"<style>@media")) + len(b"</style>")
    ]
    assert told.replace(style + b"<script>" + script + b"</script>", b"") == page
    scripts = (static / "static" / "js").glob("index.*.js")
    assert any("BACKEND_BASE_URL" in script.read_text(encoding="utf-8") for script in scripts), (
        "Streamlit's page no longer reads BACKEND_BASE_URL: it asks below the address of each page, and is answered 404"
    )


def test_the_modules_that_reach_into_streamlit_are_this_one_only() -> None:
    sources = [ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "tidal_core").rglob("*.py")]

    reaching = {path.name for path in sources if "from streamlit" in path.read_text(encoding="utf-8")}

    assert runtime.__all__  # what is imported from there is at least exported
    assert reaching == {"streamlit_internals.py"}


def test_the_page_keeps_room_for_the_sidebar_under_the_names_that_streamlit_gives_its_parts() -> None:
    page = Router([Route("/", lambda _: HTMLResponse("<html><script>1</script></html>"))])
    body = answer_of(streamlit_internals.OwnPage(page), "/", (b"accept", b"text/html")).decode()
    style = body[body.index("<style>") : body.index("</style>")]
    scripts = [file.read_text(encoding="utf-8") for file in (Path(streamlit.__file__).parent / "static").rglob("*.js")]

    assert body.index("</style>") < body.index("<script>")
    for name in re.findall(r"data-testid=(\w+)", style):
        assert any(f'"{name}"' in script or f"`{name}`" in script for script in scripts), f"no part is called {name}"


# --- signing in


def test_the_cookie_of_st_login_is_still_read_with_its_time_and_only_if_it_was_signed_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streamlit_internals, "get_cookie_secret", lambda: "s" * 32)
    long = json.dumps({"email": "ann@example.org", "picture": random.Random(1).randbytes(3000).hex()})
    cookies: dict[str, str] = {}

    def keep(name: str, value: str) -> None:  # as Streamlit's own route does after the provider has answered
        cookies[name] = create_signed_value("s" * 32, name, value).decode()

    auth_util.set_cookie_with_chunks(
        keep,
        lambda name, value: create_signed_value("s" * 32, name, value),
        USER_COOKIE_NAME,
        json.loads(long),
        cookie_attr_size=0,
    )
    found = streamlit_internals.user_cookie(cookies)

    assert len(cookies) > 1, "Streamlit no longer splits large cookies"
    assert found is not None
    assert json.loads(found[0]) == json.loads(long)
    assert abs(found[1] - time.time()) < 3600
    assert streamlit_internals.user_cookie({}) is None
    monkeypatch.setattr(streamlit_internals, "get_cookie_secret", lambda: "t" * 32)
    assert streamlit_internals.user_cookie(cookies) is None


def test_streamlit_still_looks_for_secrets_where_the_start_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "_main_script_path", str(ROOT / "app.py"))

    folders = [Path(file).parents[1] for file in config.get_config_files("secrets.toml")]

    assert folders == list(dict.fromkeys([Path.home(), Path.cwd(), ROOT]))


def test_a_proxy_of_this_computer_and_no_other_is_still_believed_that_it_speaks_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    asked = _get_uvicorn_config_kwargs()
    asked.update(ssl_certfile=None, ssl_keyfile=None)

    made = uvicorn.Config(streamlit_internals.OwnPage(Router()), **asked)

    assert made.proxy_headers
    assert set(str(made.forwarded_allow_ips).split(",")) == {"127.0.0.1", "::1"}
