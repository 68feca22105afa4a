"""Names from outside on a page, in a real browser: what Streamlit makes of them is seen there only."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.server import Server
from tests.helpers.tiny import tiny_project
from tests.test_text import HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


def test_class_names_are_shown_as_they_are(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path / "home"))
    project = tiny_project()
    for record, name in zip(project.store.classes.add([f"n{number}" for number in range(24)]), HOSTILE, strict=False):
        project.store.classes.change(record.id, name=name)
    names = [record.name for record in project.store.classes.all()]
    project.close()

    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with Server(tmp_path / "home") as server:
        answer = page.goto(f"{server.url}/?plain=1&project=tiny")
        assert answer is not None
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        buttons = page.locator("[class*='st-key-plain-'] button")
        expect(buttons.filter(has_text="[a](http:")).to_be_visible(timeout=90_000)
        shown = [text.replace("\u2060", "").strip() for text in buttons.all_inner_texts()]

    assert [name for name in names if name not in shown] == []
    assert [url for url in asked if not url.startswith((server.url, "data:", "blob:"))] == []
