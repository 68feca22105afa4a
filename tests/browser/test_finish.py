"""A collection is finished by keyboard alone, and taken back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.made_up import Size, make
from tests.browser.server import Server
from tests.pages.looking import sure_of_all

pytestmark = pytest.mark.browser


def test_a_collection_is_finished_by_keyboard_and_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Page
) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path / "home"))
    project = make("made-up", Size(labelled=40, pool=60, test=200, rounds=2, epochs=5))
    sure_of_all(project)
    project.close()
    with Server(tmp_path / "home") as server:
        page.goto(f"{server.url}/finish?project=made-up")
        expect(page.get_by_role("heading", name="The model can label 60 images")).to_be_visible()
        images = page.get_by_role("group", name="Images to choose from").get_by_role("button")
        expect(images).to_have_count(50)

        images.nth(3).press("Enter")
        expect(page.get_by_text("1 of 50 marked as wrong")).to_be_visible()
        expect(images.nth(3)).to_have_attribute("aria-pressed", "true")
        expect(images.nth(3)).to_be_focused()  # so that the next key goes on from there
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_text("2 of 50 marked as wrong")).to_be_visible()
        expect(images.nth(4)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_text("1 of 50 marked as wrong")).to_be_visible()

        images.last.focus()
        page.keyboard.press("Tab")  # behind the last image comes the button
        expect(page.get_by_role("button", name="Accept the model's class for 59 images")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_text(re.compile("59 images accepted"))).to_be_visible()
        page.get_by_role("button", name="Take back").press("Enter")
        expect(page.get_by_text(re.compile("Taken back: 59 images"))).to_be_visible()
