"""The routes on a small project, without Streamlit: what HTTP tests call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
from starlette.applications import Starlette

from tests.helpers.hostile import Got, Sent, exchange
from tests.helpers.tiny import tiny_project
from tidal_core.access.sessions import Access
from tidal_core.config import ProjectSettings
from tidal_core.server import web
from tidal_core.server.studio import Studio


class Served:
    """A studio without a worker behind its routes; ``post`` and ``get`` carry the token unless told otherwise."""

    def __init__(self, settings: ProjectSettings | None = None, n: int = 60, access: Access | None = None) -> None:
        tiny_project(n, settings=settings).close()
        self.studio, self.access = Studio(with_worker=False), access
        self.project = self.studio.project("tiny")
        self.app = Starlette(routes=web.routes(lambda: self.studio), middleware=web.middleware(access))
        self._loop = asyncio.Runner()
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://localhost")
        self._numbers = 0

    def send(self, method: str, path: str, *, slug: str = "tiny", **more: Any) -> httpx.Response:
        """One request, exactly as given."""
        return self._loop.run(self._client.request(method, f"/api/p/{slug}/{path}", **more))

    def exchange(self, sent: Sent, *, scheme: str = "http") -> Got:
        """One request that no client of HTTP would send."""
        return self._loop.run(exchange(self.app, sent, scheme=scheme))

    def send_chunks(self, path: str, chunks: Iterable[bytes], headers: dict[str, str]) -> httpx.Response:
        """A POST whose length is not declared."""

        async def stream() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        return self.send("POST", path, content=stream(), headers=headers)

    def post(
        self, path: str, body: Any = None, *, slug: str = "tiny", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        given = {"X-Tidal-Token": self.studio.token} if headers is None else headers
        return self.send("POST", path, slug=slug, json={} if body is None else body, headers=given)

    def get(self, path: str, *, slug: str = "tiny", headers: dict[str, str] | None = None) -> httpx.Response:
        given = {"X-Tidal-Token": self.studio.token} if headers is None else headers
        return self.send("GET", path, slug=slug, headers=given)

    def items(self, tab: str = "tab-one", n: int = 5, **more: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.post("queue", {"tab": tab, "n": n, **more}).json()["items"]
        return found

    def label(self, item: dict[str, Any], class_id: int = 1, **more: Any) -> dict[str, Any]:
        """A label event for an item, as the component sends it."""
        self._numbers += 1
        return {
            "id": f"event-{self._numbers:04d}",
            "kind": "label",
            "image": item["image"],
            "class": class_id,
            "purpose": item["purpose"],
            "round": item["round"],
            "ms": 812,
            **more,
        }

    def answer(self, *events: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        response = self.post("answers", {"answers": list(events), **more})
        assert response.status_code == 200, response.text
        results: list[dict[str, Any]] = response.json()["results"]
        return results

    def close(self) -> None:
        self._loop.run(self._client.aclose())
        self._loop.close()
        self.studio.close()
