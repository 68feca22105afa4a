"""Two people fight over one image: both answers are kept, the disagreement is seen on Review and settled by a key."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import patient
from tests.browser.driver import Labelling
from tests.browser.server import Server
from tests.helpers.tiny import tiny_project
from tidal_core.config import ProjectSettings
from tidal_core.projects import open_project

pytestmark = pytest.mark.browser

SETTINGS = ProjectSettings(title="tiny", training_size=8, audit_share=0.0, rounds_enabled=False)


def named(browser: Browser, name: str) -> Labelling:
    context = patient(browser.new_context(viewport={"width": 1440, "height": 900}))
    context.add_init_script(f"localStorage.setItem('tidal:name', {name!r})")
    return Labelling(context.new_page(), "", "tiny")


def test_a_late_answer_is_kept_and_the_disagreement_settled(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path / "home"))
    tiny_project(1, test=0, settings=SETTINGS).close()
    with Server(tmp_path / "home") as server:
        ann, bo = (named(browser, name) for name in ("ann", "bo"))
        ann.url = bo.url = server.url
        with ann.page.expect_request(lambda request: request.url.endswith("/api/p/tiny/open")) as opened:
            image = ann.open().wait_painted()
        bo.page.goto(f"{server.url}/?project=tiny")
        expect(bo.page.locator(".empty-title")).to_have_text("The last image is open in another tab")
        # Her browser leaves the page, and says so; then it comes back to it as it was, before it reaches the studio.
        ann.page.context.set_offline(True)
        tab, token = opened.value.post_data_json["tab"], opened.value.headers["x-tidal-token"]
        httpx.post(f"{server.url}/api/p/tiny/release", json={"tab": tab}, headers={"X-Tidal-Token": token})
        assert bo.wait_painted() == image
        bo.page.keyboard.press("2")
        bo.wait_saved()

        ann.page.keyboard.press("1")
        ann.page.context.set_offline(False)
        ann.wait_saved()

        bo.page.goto(f"{server.url}/review?project=tiny")
        bo.page.get_by_text("Agreement", exact=True).click()
        expect(bo.page.get_by_text("On 0 of 1 image that two or more people labelled")).to_be_visible()
        expect(bo.page.get_by_role("img", name=f"Image {image}, to settle")).to_be_visible()
        bo.page.locator("body").press("3")
        expect(bo.page.get_by_text(f"Image {image} is settled: blue.")).to_be_visible()
        expect(bo.page.get_by_text("Nobody disagrees about an image.")).to_be_visible()
        for each in (ann, bo):
            each.page.context.close()
    project = open_project("tiny")
    said = {(stored.answer.annotator, stored.answer.class_id) for stored in project.store.answers.of_image(image)}
    assert said == {("ann", 1), ("bo", 2), ("bo", 3)}
    assert project.store.answers.labels().class_ids.tolist() == [3]
    project.close()
