"""The guard before every address: which pages may ask, and what browsers are told about ours."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.helpers.hostile import Sent
from tests.helpers.served import Served
from tidal_core.access import hosts
from tidal_core.server import web

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(tmp_path_factory.mktemp("web")))
        made = Served(n=6)
        yield made
        made.close()


def websocket(headers: list[tuple[bytes, bytes]], scheme: str = "ws") -> str:
    """What becomes of a websocket behind the guard: "accepted", or how it was closed."""
    seen: list[Message] = []

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        seen.append(message)

    scope = {"type": "websocket", "scheme": scheme, "path": "/_stcore/stream", "headers": headers}
    asyncio.run(web.Guard(behind)(scope, receive, send))
    (message,) = seen
    return "accepted" if message["type"] == "websocket.accept" else f"closed {message['code']}"


@pytest.mark.parametrize("path", ["/api/p/tiny/classes", "/api/nothing", "/elsewhere"])
def test_every_answer_says_what_a_page_may_load_and_who_may_frame_it(served: Served, path: str) -> None:
    headers = served.exchange(Sent("GET", path)).headers

    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["frame-ancestors"] == "'self'"
    assert policy["img-src"] == "'self' data: blob:"
    assert "'unsafe-eval'" in policy["script-src"].split()  # without it Plotly says that the browser has no WebGL
    assert "http" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "origin",
    [b"http://localhost:8502", b"https://localhost:8501", b"http://127.0.0.1:8501", b"http://localhost", b"null", b"",
     b"http://localhost:8501.example.org", b"http://localhost:8501/", b"http://[::1", b"http://a@localhost:8501"],
)  # fmt: skip
def test_only_the_very_same_origin_may_ask_by_http_and_by_websocket(served: Served, origin: bytes) -> None:
    headers = [(b"host", b"localhost:8501"), (b"origin", origin)]

    assert served.exchange(Sent("GET", "/api/p/tiny/classes", b"", headers)).status == 403
    assert served.exchange(Sent("GET", "/elsewhere", b"", headers)).status == 403
    assert websocket(headers) == f"closed {web.FOREIGN}"


def test_a_page_of_the_studio_may_ask_by_http_and_by_websocket(served: Served) -> None:
    headers = [(b"host", b"localhost:8501"), (b"origin", b"http://localhost:8501")]
    token = (b"x-tidal-token", served.studio.token.encode())

    assert served.exchange(Sent("GET", "/api/p/tiny/classes", b"", [*headers, token])).status == 200
    assert websocket(headers) == "accepted"
    assert websocket([(b"host", b"localhost"), (b"origin", b"https://localhost")], "wss") == "accepted"


def test_a_websocket_that_names_no_origin_or_two_is_closed() -> None:
    host, own, other = (b"host", b"localhost"), (b"origin", b"http://localhost"), (b"origin", b"http://x.org")

    assert websocket([host]) == f"closed {web.FOREIGN}"
    assert websocket([host, own, other]) == f"closed {web.FOREIGN}"


def test_no_page_elsewhere_is_trusted_by_the_settings_of_streamlit() -> None:
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))

    assert settings["client"]["allowedOrigins"] == []
    assert set(settings["server"]["allowedHosts"]) == {host.strip("[]") for host in hosts.LOOPBACK}
    assert "enableCORS" not in settings["server"]  # on by default; off would let every origin in
    assert settings["server"]["enableXsrfProtection"]
